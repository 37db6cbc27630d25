"""Nonces for DPoP proofs that no process has to remember (RFC 9449 sections 8, 9 and 11.3)."""

from base64 import urlsafe_b64encode
from hmac import compare_digest, digest

from authguard._core.jose.secret import check_not_place, weakness_of
from authguard.errors import ConfigurationError

_LEAST_SECRET = 32  # bytes, as for HS256
_PERIOD = 150  # seconds; a nonce is good for one to two of them


class Nonces:
    """Makes and knows nonces: a keyed digest of the time and of the key that will use it.

    Args:
        secret: at least 32 bytes, the same for all processes.

    Raises:
        ConfigurationError: if it is shorter, can be guessed, or is a path or the like.
    """

    def __init__(self, secret: str | bytes) -> None:
        if isinstance(secret, (str, bytes)):
            check_not_place(secret, "nonce_secret")
        data = secret.encode() if isinstance(secret, str) else secret
        if not isinstance(data, bytes) or len(data) < _LEAST_SECRET:
            raise ConfigurationError(
                f"nonce_secret needs {_LEAST_SECRET} random bytes, for example from "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if (reason := weakness_of(data)) is not None:
            raise ConfigurationError(f"nonce_secret can be guessed: {reason}; it needs random bytes")
        self._secret = data

    def issue(self, thumbprint: str, now: float) -> str:
        """The nonce for a key's next proofs."""
        return self._nonce(thumbprint, int(now // _PERIOD))

    def accepts(self, nonce: object, thumbprint: str, now: float) -> bool:
        """Whether it is one of ours for this key, and fresh.

        The next period's counts, too: the clock of the process that issued it may be ahead.
        """
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        period = int(now // _PERIOD)
        return any(
            compare_digest(nonce, self._nonce(thumbprint, one)) for one in (period, period - 1, period + 1)
        )

    def is_last(self, nonce: object, thumbprint: str, now: float) -> bool:
        """Whether an accepted nonce is in the last of its periods, so that it is time for the next."""
        return nonce == self._nonce(thumbprint, int(now // _PERIOD) - 1)

    def _nonce(self, thumbprint: str, period: int) -> str:
        data = digest(self._secret, f"authguard nonce {period} {thumbprint}".encode(), "sha256")
        return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
