"""Name the fault of a body that is not a JSON object."""

import codecs
from json import JSONDecodeError

from authguard._core.strict_json import ConstantError, JSONError, RepeatedNameError
from authguard.identity.web.bodies import shown_name

_NO_OBJECT = "is not a JSON object"


def fault_of(body: bytes, error: JSONError) -> str:
    """Return the message of the field `body`; it repeats no value.

    Args:
        body: the body of the request.
        error: the error of the reader that refused it.
    """
    if not body.strip():
        return f"{_NO_OBJECT}, but empty"
    if body.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark: leave it out"
    if isinstance(error, RepeatedNameError):
        return f"{shown_name(error.name) or 'a field'} was sent twice"
    if isinstance(error, ConstantError):
        return "has NaN or Infinity, which are no numbers in JSON"
    return _fault_of_text(error.__cause__)


def _fault_of_text(cause: BaseException | None) -> str:
    match cause:
        case None:
            return _NO_OBJECT
        case UnicodeDecodeError():
            return "is not UTF-8"
        case UnicodeEncodeError():
            return r"has half a character (a lone surrogate, from \ud800 to \udfff): write both halves"
        case JSONDecodeError():
            return f"{_NO_OBJECT}: its text has a fault in line {cause.lineno}, at character {cause.colno}"
        case RecursionError():
            return "is nested too deeply"
        case _:  # a ValueError of int()
            return "has a number of too many digits"
