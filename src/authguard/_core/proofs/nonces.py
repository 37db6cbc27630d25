"""Issue nonces for DPoP proofs without storing them (RFC 9449 sections 8, 9 and 11.3)."""

from hmac import compare_digest, digest

from authguard._core.encoding import encode_base64url
from authguard._core.jose.secret import check_not_place, check_unwrapped, weakness_of
from authguard._core.options import got
from authguard.errors import ConfigurationError

_MIN_SECRET = 32  # bytes, as for HS256
_PERIOD = 150  # seconds; a nonce is valid for one to two periods


class Nonces:
    """Make and recognise nonces: keyed digests of the time and of the client's key.

    Args:
        secret: at least 32 bytes, the same for all processes.

    Raises:
        ConfigurationError: if it is shorter, can be guessed, or is a path, a URL or a placeholder.
    """

    def __init__(self, secret: str | bytes) -> None:
        if isinstance(secret, (str, bytes)):
            check_not_place(secret, "nonce_secret")
            check_unwrapped(secret, "nonce_secret")
        try:
            data = secret.encode() if isinstance(secret, str) else secret
        except UnicodeEncodeError:
            raise ConfigurationError(
                "nonce_secret must be Unicode, or bytes, got text UTF-8 cannot encode"
            ) from None
        if not isinstance(data, bytes) or len(data) < _MIN_SECRET:
            raise ConfigurationError(
                f"nonce_secret must be at least {_MIN_SECRET} random bytes, got {_size(data)}: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))" makes some'
            )
        if (reason := weakness_of(data)) is not None:
            raise ConfigurationError(
                f"nonce_secret must be random bytes, got one that can be guessed: {reason}"
            )
        self._secret = data

    def issue(self, thumbprint: str, now: float) -> str:
        """Return the nonce for a key's next proofs."""
        return self._nonce(thumbprint, int(now // _PERIOD))

    def accepts(self, nonce: object, thumbprint: str, now: float) -> bool:
        """Return whether a nonce is one of this server for this key, and fresh.

        A nonce of the next period is accepted, too, because the clock of the process that issued it may be
        ahead.
        """
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        period = int(now // _PERIOD)
        return any(
            compare_digest(nonce, self._nonce(thumbprint, number))
            for number in (period, period - 1, period + 1)
        )

    def is_last(self, nonce: object, thumbprint: str, now: float) -> bool:
        """Return whether an accepted nonce is in its last period, so that the next one must be issued."""
        return nonce == self._nonce(thumbprint, int(now // _PERIOD) - 1)

    def _nonce(self, thumbprint: str, period: int) -> str:
        data = digest(self._secret, f"authguard nonce {period} {thumbprint}".encode(), "sha256")
        return encode_base64url(data)


def _size(secret: object) -> str:
    return f"{len(secret)} bytes" if isinstance(secret, bytes) else got(secret, secret=True)
