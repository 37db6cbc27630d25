"""Find the packages of the extra `fast`, which read tokens in less time, and with the same outcome.

They are used where they are installed. Of JSON only what jiter accepts is taken from it: whatever it refuses
is read again by Python's own reader, so that all refusals come from there. `tests/core/test_fast.py` compares
the outcomes for a million changed tokens.
"""

from collections.abc import Callable
from typing import Any

# The versions that are tested, and all later ones. Other packages bring older ones, which read differently.
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

    # Its cache of texts is one of the process. It is to hold no claims, but only their names.
    def read(data: bytes) -> Any:
        return from_json(data, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)

    return read


def find_base64_decoder() -> Callable[[bytes], bytes] | None:
    """Return a decoder that raises `binascii.Error` for other characters; None without pybase64.

    It differs from `binascii` in padding that is not needed, and so must not be given any.
    """
    try:
        import pybase64
    except ImportError:
        return None
    version, _, implementation = pybase64.get_version().partition(" ")
    # Where its part in C is missing, it takes longer than Python's own.
    if not implementation.startswith("(C extension active") or not _is_since(version, _PYBASE64_SINCE):
        return None
    b64decode = pybase64.b64decode

    # By position, which takes less time.
    def decode(data: bytes) -> bytes:
        return b64decode(data, None, True)

    return decode


def packages_in_use() -> list[str]:
    """Return the names of the packages that read tokens here; none where Python's own modules do."""
    readers = {"jiter": find_json_reader(), "pybase64": find_base64_decoder()}
    return [name for name, reader in readers.items() if reader is not None]


def _is_since(version: str, first: tuple[int, int]) -> bool:
    """Return whether a version is the first one or a later one; one in another form is not."""
    numbers = version.split(".")[:2]
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= first
