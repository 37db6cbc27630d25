"""Remember for a few seconds which credentials the introspection endpoint has called inactive."""

import secrets
from hashlib import sha256

from authguard._core.memory import Memory
from authguard._core.model import Credential

MAX_SECONDS = 10
_MAX_CREDENTIALS = 10_000


class InactiveCredentials:
    """Remember which credentials are not active; a flood of random tokens evicts only others of its kind.

    Args:
        seconds: how long each is remembered; more than `MAX_SECONDS` count as that.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = min(MAX_SECONDS, seconds)
        #: Seconds since the epoch, by digest.
        self.until: Memory[bytes, float] = Memory(_MAX_CREDENTIALS)
        # A digest of a token is of no use outside of this process.
        self._salt = secrets.token_bytes(16)

    def digest(self, credential: Credential) -> bytes:
        """Return the digest by which a credential is remembered."""
        return sha256(self._salt + credential.value.encode()).digest()

    def has(self, digest: bytes, now: float) -> bool:
        """Tell whether a credential is known to be inactive."""
        return now < (self.until.get(digest) or 0)

    def put(self, digest: bytes, now: float) -> None:
        """Note that a credential is inactive."""
        self.until.put(digest, now + self._seconds)
