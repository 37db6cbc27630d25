"""Where verified credentials are remembered, and by what."""

from hashlib import sha256

from authguard._core.credential.extractor import Extractor
from authguard._core.memory import Memory
from authguard._core.model import Auth, Credential


class Remembered(Memory[bytes, tuple[float, Auth]]):
    """Verified credentials by digest (law 9: nothing is kept in clear), with their last second."""

    __slots__ = ()


def digest_of(credential: Credential) -> bytes:
    """For Bearer, of the whole field as clients write it: `recall` need not take it apart."""
    value = credential.value.encode("latin-1")
    return sha256(b"Bearer " + value if credential.method == "bearer" else value).digest()


def vary_on(extractor: Extractor, method: str) -> str:
    """Shared caches keep answers to Authorization apart by themselves (RFC 9111 section 3.5)."""
    if method == "api_key":
        return ", ".join(sorted(field.decode() for field in extractor.key_fields))
    return "Cookie" if method == "cookie" else ""
