"""Choose how this process reads tokens: with the packages of the extra `fast`, or without."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from authguard._core import strict_json
from authguard._core.encoding import fast
from authguard._core.jose import compact


def without_fast() -> AbstractContextManager[None]:
    """Read with only Python's own modules, as without the extra."""
    return _reading(None, None)


def with_fast() -> AbstractContextManager[None]:
    """Read with the packages of the extra, as far as they are installed."""
    return _reading(fast.find_json_reader(), fast.find_base64_decoder())


@contextmanager
def _reading(read_json: Any, decode_base64: Any) -> Iterator[None]:
    before = strict_json._read_fast, compact._decode_fast
    strict_json._read_fast, compact._decode_fast = read_json, decode_base64
    try:
        yield
    finally:
        strict_json._read_fast, compact._decode_fast = before
