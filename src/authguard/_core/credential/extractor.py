"""Find the single credential of a request in its header fields (law 7; RFC 6750 sections 2 and 3.1)."""

import re
import string
from collections.abc import Collection, Iterable

from authguard._core.credential.cookies import AccessCookie
from authguard._core.model import Credential, Kind
from authguard._core.request import SITE_FIELD, RequestView
from authguard.errors import (
    Cause,
    ConfigurationError,
    InvalidAPIKeyError,
    InvalidRequestError,
    MalformedTokenError,
)

#: Checked before decoding and hashing. Servers allow 8 to 64 KiB for all fields.
MAX_CREDENTIAL = 16 * 1024

# The `b64token` of RFC 6750 section 2.1, without the final `=`. Deleting these characters is faster than
# matching a pattern.
_B64TOKEN = (string.ascii_letters + string.digits + "-._~+/").encode()
_PREFLIGHT_FIELDS = (b"origin", b"access-control-request-method")
_VISIBLE = re.compile(rb"[\x21-\x7e]+\Z")
# Another scheme with its parameters (RFC 9110 section 11.4): the only commas that one Authorization field
# may have. Any other comma joins several field lines (section 5.3).
_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PARAMETER = _NAME + rb"[ \t]*+=[ \t]*+(?:\"(?:[^\"\\]|\\.)*+\"|[^,\"\s]*+)"
_PARAMETERS = re.compile(
    _NAME + rb" ++" + _PARAMETER + rb"(?:[ \t]*+,[ \t]*+" + _PARAMETER + rb")*+\Z", re.DOTALL
)

_INSTEAD = "came in the Authorization field, and was not read: the client must send 'Bearer ' and the token"
_NO_SCHEME = f"a JWT without a scheme {_INSTEAD}"
_OTHER_SCHEMES = {
    b"token": f"a token with the scheme Token {_INSTEAD}",
    b"jwt": f"a token with the scheme JWT {_INSTEAD}",
    b"bearer:": f"a token after 'Bearer:', with a colon, {_INSTEAD}",
    b"dpop": "a token with the scheme DPoP came, and was not read: write Guard(…, proofs=[DPoP(…)])",
}


#: The schemes in which other APIs take keys, with and without a colon.
_OF_KEYS = frozenset({b"apikey", b"api-key", b"api_key", b"key", b"x-api-key"})


class Extractor:
    """Find the credential, or report how it was sent incorrectly.

    Args:
        headers: names of the fields of API keys.
        prefixes: the prefixes of API keys, by which `Bearer sk_live_…` is recognised as one.
        cookie: the cookie of an access token, if any.
        dpop: whether the scheme `DPoP` is accepted (RFC 9449 section 7.1).
        token_headers: names of the fields of tokens without a scheme.

    Raises:
        ConfigurationError: for a prefix that no key can have.
    """

    def __init__(
        self,
        headers: Iterable[str],
        prefixes: Iterable[str],
        cookie: AccessCookie | None,
        *,
        dpop: bool = False,
        token_headers: Iterable[str] = (),
    ) -> None:
        self._schemes: dict[bytes, Kind] = {b"bearer": "bearer"}
        if dpop:
            self._schemes[b"dpop"] = "dpop"
        self.key_fields = _fields(headers)
        self.token_fields = _fields(token_headers)
        self._own_fields = self.key_fields | self.token_fields
        self._prefixes = tuple(_encoded(prefix) for prefix in prefixes)
        self.cookie = cookie
        #: The fields that `RequestView.presented` must hold.
        self.fields = self._own_fields | {b"authorization"} | ({b"cookie"} if cookie else set())
        #: These fields, and the one that tells which site has sent a cookie.
        self.recalled_fields = self.fields | ({SITE_FIELD} if cookie else set())

    def plain_bearer(self, field: bytes) -> Credential | None:
        """Return the token of an Authorization field in its usual form; None if `extract` must parse it.

        Use it for a request without other credential fields.
        """
        token = field[7:]
        if (
            field[:7] != b"Bearer "
            or len(token) > MAX_CREDENTIAL
            or token.startswith(self._prefixes)
            or not token
            or token.translate(None, _B64TOKEN)
        ):
            return None
        return Credential(token.decode("ascii"), "bearer", "authorization")

    def extract(self, request: RequestView) -> Credential | None:
        """Return the request's credential; None if it has none of a known kind.

        A credential in a field takes precedence over the cookie, which is then not read. Other schemes, such
        as Basic, are left to the application: they neither count as a credential nor hide one.

        Raises:
            InvalidRequestError: if several fields have a credential, or a field is malformed.
            InvalidTokenError: if it is too long, or cannot be an API key.
        """
        authorization = _only(request, (b"authorization",))
        own = _only(request, self._own_fields)
        bearer = None if authorization is None else self._token(authorization.strip(b" \t"))
        if bearer is not None:
            method, token = bearer
            if own is not None:
                raise InvalidRequestError("both a token and an API key, or a token in its own field")
            if method == "bearer" and token.startswith(self._prefixes):
                return _api_key(token, "authorization")
            if len(token) > MAX_CREDENTIAL:
                raise MalformedTokenError("longer than any accepted token")
            return Credential(token.decode("ascii"), method, "authorization")
        if own is not None:
            return self._of_own_field(own.strip(b" \t"), request)
        if self.cookie and (text := self.cookie.read(request)) is not None:
            if len(text) > MAX_CREDENTIAL:
                raise MalformedTokenError("longer than any accepted token, in the cookie")
            return Credential(text, "cookie", "cookie")
        return None

    def _of_own_field(self, value: bytes, request: RequestView) -> Credential:
        """Return the API key or token of a field that contains nothing else."""
        field = next(name for name, _ in request.presented if name in self._own_fields)
        return (_token if field in self.token_fields else _api_key)(value, field.decode("ascii"))

    def is_preflight(self, request: RequestView) -> bool:
        """Return whether this is a CORS preflight; browsers send none with a credential (WHATWG Fetch)."""
        if request.method != "OPTIONS" or not all(request.fields(name) for name in _PREFLIGHT_FIELDS):
            return False
        if any(name != b"cookie" for name, _ in request.presented):
            return False
        return self.cookie is None or self.cookie.read(request) is None

    def hint(self, request: RequestView) -> str | None:
        """Return the option to change if a token was sent in a way that is not read.

        None if no unread token is found.
        """
        value = next((value for name, value in request.presented if name == b"authorization"), b"").strip(
            b" \t"
        )
        scheme, space, rest = value[:MAX_CREDENTIAL].lower().partition(b" ")
        if scheme in _OTHER_SCHEMES and rest and scheme not in self._schemes:
            return _OTHER_SCHEMES[scheme]
        if scheme.rstrip(b":") in _OF_KEYS and rest and self.key_fields:
            field = min(self.key_fields).decode("ascii")
            return (
                f"an API key with the scheme {scheme.decode('ascii')} came in the Authorization field, and "
                f"was not read: the client must send the key alone in the field {field}"
            )
        if not space and scheme.startswith(b"eyj") and scheme.count(b".") == 2:
            return _NO_SCHEME
        return self.cookie.hint(request) if self.cookie else None

    def kind_of(self, request: RequestView) -> Kind | None:
        """Return how a request carries its credential, valid or not; None without one."""
        for name, value in request.presented:
            if name in self._own_fields:
                return "header" if name in self.token_fields else "api_key"
            if name == b"authorization":
                scheme, _, rest = value.strip(b" \t").partition(b" ")
                kind = self._schemes.get(scheme.lower())
                if kind is not None:
                    is_key = kind == "bearer" and rest.lstrip(b" ").startswith(self._prefixes)
                    return "api_key" if is_key else kind
        try:
            return "cookie" if self.cookie and self.cookie.read(request) is not None else None
        except InvalidRequestError:  # the request has two credentials
            return "cookie"

    @property
    def speaks_dpop(self) -> bool:
        """Return whether the scheme `DPoP` is accepted."""
        return b"dpop" in self._schemes

    def uses_dpop(self, request: RequestView) -> bool:
        """Return whether the request uses DPoP, so that errors are reported in that scheme's challenge."""
        return b"dpop" in self._schemes and any(
            name == b"authorization" and value.strip(b" \t")[:5].lower() in (b"dpop", b"dpop ")
            for name, value in request.presented
        )

    def _token(self, value: bytes) -> tuple[Kind, bytes] | None:
        """Return the text after `Bearer` or `DPoP`; None for other schemes, which the guard ignores."""
        scheme, space, rest = value.partition(b" ")
        method = self._schemes.get(scheme.lower())
        if method is None:
            if b"," in value and (len(value) > MAX_CREDENTIAL or not _PARAMETERS.match(value)):
                raise InvalidRequestError("several Authorization fields, joined")
            return None
        token = rest.lstrip(b" ")
        if not space or not token:
            raise InvalidRequestError("no token after the scheme")
        text = token.rstrip(b"=")
        if not text or text.translate(None, _B64TOKEN):
            raise InvalidRequestError("the text after the scheme is not one token")
        return method, token


def _fields(names: Iterable[str]) -> frozenset[bytes]:
    return frozenset(name.lower().encode("ascii") for name in names)


def _encoded(prefix: str) -> bytes:
    if "," in prefix:
        raise ConfigurationError(
            f"each of prefixes must not contain a comma, got {prefix!r}: no request could bring such a key"
        )
    return prefix.encode("ascii")


def _only(request: RequestView, names: Collection[bytes]) -> bytes | None:
    """Return the value of the only field with one of these names."""
    only: bytes | None = None
    for name, value in request.presented:
        if name in names:
            if only is not None:
                raise InvalidRequestError("a credential field occurs more than once")
            only = value
    return only


def _api_key(value: bytes, header: str) -> Credential:
    # WSGI servers join two fields this way; ASGI keeps them apart, but they are refused alike.
    if b"," in value:
        raise InvalidRequestError("several API keys, joined, or a key with a comma")
    if len(value) <= MAX_CREDENTIAL and b" " in value:
        raise InvalidAPIKeyError(
            "a field that must have the key and nothing else, such as 'Bearer ', in it", cause=Cause.MALFORMED
        )
    if len(value) > MAX_CREDENTIAL or not _VISIBLE.match(value):
        raise InvalidAPIKeyError("empty, too long or not ASCII", cause=Cause.MALFORMED)
    return Credential(value.decode("ascii"), "api_key", header)


def _token(value: bytes, header: str) -> Credential:
    if b"," in value:  # the same check as for API keys
        raise InvalidRequestError("several tokens, joined")
    if len(value) > MAX_CREDENTIAL:
        raise MalformedTokenError("longer than any accepted token")
    if not _VISIBLE.match(value):
        raise MalformedTokenError("a field that must have a token and nothing else, such as a scheme, in it")
    return Credential(value.decode("ascii"), "header", header)
