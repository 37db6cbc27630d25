"""Count the work of verifications, so that they do not keep the event loop from its other tasks."""

from authguard._core.verifier import Verifier

#: Done at once, before the event loop turns. 64 signatures by public keys take some 6 ms with ES256, and 10
#: with EdDSA.
MAX_WORK_AT_ONCE = 256
_WORK_OF_PUBLIC_KEY = 4


def work_of(verifier: Verifier) -> int:
    """Return the work of a verification, in units of that of a token with a secret."""
    return _WORK_OF_PUBLIC_KEY if verifier.has_public_keys else 1
