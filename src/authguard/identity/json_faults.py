"""Name the fault of a body that is not a JSON object, without a value of it."""

import codecs
import json
from typing import Any, NoReturn

_NO_OBJECT = "is not a JSON object"
_MAX_NAME = 40


class _FaultError(Exception):
    """End the reading of a body whose fault is known."""


def fault_of(body: bytes) -> str:
    """Return why `parse_object` refuses a body, as the message of the field `body`."""
    if not body.strip():
        return f"{_NO_OBJECT}, but empty"
    if body.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark: leave it out"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return _fault_of_text(text) or _NO_OBJECT


def _fault_of_text(text: str) -> str:
    try:
        value = json.loads(text, object_pairs_hook=_check_names, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except _FaultError as fault:
        return str(fault)
    except json.JSONDecodeError as error:
        return f"{_NO_OBJECT}: its text has a fault in line {error.lineno}, at character {error.colno}"
    except UnicodeEncodeError:
        return r"has half a character (a lone surrogate, from \ud800 to \udfff): write both halves"
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "has a number of too many digits"
    return ""


def shown_name(name: str) -> str:
    """Return the name of a member as an answer shows it: only the characters of the names of fields."""
    return "".join(c for c in name[:_MAX_NAME] if c.isascii() and (c.isalnum() or c == "_"))


def _check_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _FaultError(f"{shown_name(name) or 'a field'} was sent twice")
        members[name] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _FaultError("has NaN or Infinity, which are no numbers in JSON")
