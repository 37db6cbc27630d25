"""Remember for a few seconds which credentials the introspection endpoint reported as inactive."""

import secrets
from hashlib import sha256

from authguard._core.memory import Memory
from authguard._core.model import Credential

MAX_SECONDS = 10
_MAX_CREDENTIALS = 10_000


class InactiveCredentials:
    """Remember inactive credentials; many random tokens replace only each other.

    Args:
        seconds: seconds for which each is remembered, at most `MAX_SECONDS`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = min(MAX_SECONDS, seconds)
        #: Seconds since the epoch, by digest.
        self.until: Memory[bytes, float] = Memory(_MAX_CREDENTIALS)
        # A digest of a token is useless outside this process.
        self._salt = secrets.token_bytes(16)

    def digest(self, credential: Credential) -> bytes:
        """Return the digest by which a credential is remembered."""
        return sha256(self._salt + credential.value.encode()).digest()

    def has(self, digest: bytes, now: float) -> bool:
        """Return whether a credential is known to be inactive."""
        return now < (self.until.get(digest) or 0)

    def put(self, digest: bytes, now: float) -> None:
        """Note that a credential is inactive."""
        self.until.put(digest, now + self._seconds)
