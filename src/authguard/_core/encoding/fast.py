"""Find the packages of the extra `fast`, which read tokens faster, and with the same outcome.

They are used if they are installed. JSON that jiter refuses is read again by Python's own reader, so that all
refusals come from Python's reader. `tests/core/test_fast.py` compares the outcomes for a million changed
tokens.
"""

from collections.abc import Callable
from typing import Any

# The lowest versions that are tested. Other packages may install older versions, which read differently.
_JITER_SINCE = (0, 10)
_PYBASE64_SINCE = (1, 4)


def find_json_reader() -> Callable[[bytes], Any] | None:
    """Return a reader that takes only JSON without duplicate names, NaN and Infinity; None without jiter."""
    try:
        import jiter
    except ImportError:
        return None
    if not _is_since(getattr(jiter, "__version__", ""), _JITER_SINCE):
        return None
    from_json = jiter.from_json

    # jiter's cache of texts belongs to the process. Only names of claims may be in it, and no values.
    def read(data: bytes) -> Any:
        return from_json(data, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)

    return read


def find_base64_decoder() -> Callable[[bytes], bytes] | None:
    """Return a decoder that raises `binascii.Error` for other characters; None without pybase64.

    It treats unnecessary padding in another way than `binascii`, so the text must have no such padding.
    """
    try:
        import pybase64
    except ImportError:
        return None
    version, _, implementation = pybase64.get_version().partition(" ")
    # Without its C extension, it is slower than Python's own decoder.
    if not implementation.startswith("(C extension active") or not _is_since(version, _PYBASE64_SINCE):
        return None
    b64decode = pybase64.b64decode

    # The argument is passed by position, which is faster.
    def decode(data: bytes) -> bytes:
        return b64decode(data, None, True)

    return decode


def packages_in_use() -> list[str]:
    """Return the names of the packages that read tokens here; empty if only Python's own modules do."""
    readers = {"jiter": find_json_reader(), "pybase64": find_base64_decoder()}
    return [name for name, reader in readers.items() if reader is not None]


def _is_since(version: str, first: tuple[int, int]) -> bool:
    """Return whether a version is at least the first one; False for a version in another form."""
    numbers = version.split(".")[:2]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= first
