"""Read JSON as RFC 8259 defines it, more strictly than Python's own reader.

Refused: duplicate names (RFC 7515 section 5.2, compared after unescaping), NaN and Infinity, a byte order
mark, lone surrogates, nesting or numbers too large for the interpreter, and any document that is not one
object, or one array if an array is expected.
"""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from authguard._core.encoding.fast import find_json_reader


class JSONError(ValueError):
    """Tell that a text is not one strict JSON object.

    Its `__cause__` is the error of Python's reader, if that has refused the text.
    """


class RepeatedNameError(JSONError):
    """Tell that an object has a member name twice.

    Attributes:
        name: the member name.
    """

    def __init__(self, name: str) -> None:
        super().__init__("a member name occurs twice")
        self.name = name


class ConstantError(JSONError):
    """Tell that a text has NaN or Infinity."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise RepeatedNameError(name)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ConstantError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Built once, because json.loads with hooks would build a decoder for each call.
_read_fast = find_json_reader()


def parse_object(text: str) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        JSONError: for any other text.
    """
    try:
        # Issuers write no white space around the object, so this avoids decode(), which looks for it four
        # times.
        value, end = _DECODER.raw_decode(text) if text[:1] == "{" else (None, 0)
        if end != len(text):
            value = _DECODER.decode(text)
        if "\\" in text:
            # Only an escape can produce a lone surrogate, which would fail much later, in encode(). A search
            # for a single character is several times faster than a search for two.
            json.dumps(value, ensure_ascii=False).encode()
    except JSONError:
        raise
    except (ValueError, RecursionError) as error:
        # ValueError: bad syntax, a number of over 4,300 digits, a lone surrogate.
        raise JSONError("not JSON") from error
    if not isinstance(value, dict):
        raise JSONError("not a JSON object")
    return value


def parse_array_bytes(data: bytes | bytearray) -> list[Any]:
    """Read one JSON array from bytes, which may be megabytes of UTF-8.

    Raises:
        JSONError: for any other bytes.
    """
    text = decode_utf8(data)
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except JSONError:
        raise
    except (ValueError, RecursionError) as error:
        raise JSONError("not JSON") from error
    if not isinstance(value, list):
        raise JSONError("not a JSON array")
    return value


def read_object(data: bytes) -> tuple[str, dict[str, Any]]:
    """Read one JSON object from bytes, which must be UTF-8 (RFC 8725 section 3.7), and return its text, too.

    Raises:
        JSONError: for any other bytes.
    """
    text = decode_utf8(data)
    if _read_fast is not None:
        try:
            value = _read_fast(data)
        except ValueError:
            pass  # The text may still be JSON, because the limits of this reader differ.
        else:
            if type(value) is dict:
                return text, value
    return text, parse_object(text)


def parse_object_bytes(data: bytes) -> dict[str, Any]:
    """Read one JSON object from bytes, which must be UTF-8 (RFC 8725 section 3.7)."""
    return parse_object(decode_utf8(data))


def decode_utf8(data: bytes | bytearray) -> str:
    """Decode UTF-8, without guessing another encoding as json.loads(bytes) does."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JSONError("not UTF-8") from error
