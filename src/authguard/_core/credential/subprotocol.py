"""Read a token from the subprotocols of a websocket, because browsers cannot set its header fields."""

import re

from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard._core.jose.compact import base64url
from authguard._core.options import check_text, got
from authguard.errors import ConfigurationError, MalformedTokenError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # a token of RFC 9110 section 5.6.2
_MARK = ".bearer."
_TOKEN = re.compile(rb"[0-9A-Za-z._~+/-]+=*\Z")  # the b64token of RFC 6750 section 2.1
#: The number of offered subprotocols that are read and passed on; browsers offer a few.
MAX_OFFERED = 100
_MAX_ENCODED = (MAX_CREDENTIAL * 4 + 2) // 3  # base64url makes four characters of three bytes
_TOO_LONG = b"Bearer " + b"a" * (MAX_CREDENTIAL + 1)  # a field that is refused because of its length
_MALFORMED = b"Bearer"  # a field without a token, which is refused as malformed


class Subprotocol:
    """Accept a token in the subprotocols of a websocket, as browsers can send it.

    The browser offers the name, and in addition `<name>.bearer.<token>` with the token in base64url without
    padding, in its canonical encoding.

    Args:
        name: the name of the subprotocol.

    Raises:
        ConfigurationError: if it is not a name of a subprotocol, or could be read as one with a token.
    """

    def __init__(self, name: str) -> None:
        must = f"be a name such as 'authguard': letters, digits and !#$%&'*+.^_`|~-, without {_MARK!r} in it"
        self.name = check_text(name, "subprotocol", pattern=_NAME, must=must)
        if _MARK in f"{name}.".lower():
            raise ConfigurationError(f"subprotocol must {must}, got {got(name)}")
        self._prefix = name + _MARK

    def has_token(self, offered: str) -> bool:
        """Return whether an offered subprotocol contains a token."""
        return offered.startswith(self._prefix)

    def authorization(self, offered: str) -> bytes:
        """Return the Authorization field that is equivalent to an offered subprotocol.

        Args:
            offered: a subprotocol with a token.

        Returns:
            A field that is refused as malformed if the token is not canonically encoded, and one that is
            refused as too long if the token is.
        """
        encoded = offered.removeprefix(self._prefix)
        if len(encoded) > _MAX_ENCODED:
            return _TOO_LONG
        try:
            token = base64url(encoded.encode("ascii"))
        except (MalformedTokenError, UnicodeEncodeError):
            return _MALFORMED
        return b"Bearer " + token if _TOKEN.match(token) else _MALFORMED

    def __repr__(self) -> str:
        return f"Subprotocol({self.name!r})"
