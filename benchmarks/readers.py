"""Choose how this process reads tokens: with the packages of the extra `fast`, or without."""

from collections.abc import Iterator
from contextlib import contextmanager

from authguard._core import strict_json
from authguard._core.jose import compact


@contextmanager
def without_fast() -> Iterator[None]:
    """Read with Python's own modules alone, as where the extra `fast` is not installed."""
    before = strict_json._read_fast, compact._decode_fast
    strict_json._read_fast = compact._decode_fast = None
    try:
        yield
    finally:
        strict_json._read_fast, compact._decode_fast = before
