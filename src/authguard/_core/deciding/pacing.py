"""Count the work of verifications, so that they do not delay the other tasks of the event loop."""

from authguard._core.verifier import Verifier

#: The work that is done before other tasks of the event loop run: 64 signatures by public keys.
MAX_WORK_AT_ONCE = 256
_WORK_OF_PUBLIC_KEY = 4


def work_of(verifier: Verifier) -> int:
    """Return the work of a verification, in units of that of a token with a secret."""
    return _WORK_OF_PUBLIC_KEY if verifier.has_public_keys else 1
