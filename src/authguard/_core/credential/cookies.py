"""Read the access token from a cookie, for websites; and check whether this site sent the request."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from math import inf

from authguard._core.options import (
    Duration,
    check_flag,
    check_seconds,
    check_text,
    check_text_list,
    got,
    is_plain_http,
    named_options,
    type_of,
)
from authguard._core.request import WEBSOCKET, RequestView
from authguard.errors import ConfigurationError, InvalidRequestError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[A-Za-z0-9._~+/=-]+\Z")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+\Z")
_PREFIXES = ("__host-", "__secure-")
# bytes of name and value together; browsers ignore larger cookies (RFC 6265bis section 5.6)
_MAX_COOKIE = 4096
#: The methods of requests that another site can cause a browser to send with the cookie.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_cookie_name(name: str, option: str) -> None:
    """Check the name of a cookie that gets the prefix `__Host-`.

    Args:
        name: the name.
        option: the name of the option.

    Raises:
        ConfigurationError: if browsers would not send it, or it has a prefix.
    """
    _check_token(name, option)
    if name.lower().startswith(_PREFIXES):
        raise ConfigurationError(
            f"{option} must be without a prefix, which is added, got {got(name)}: for a cookie that "
            f"another program sets, write AccessCookie({name!r}, host_prefix=False)"
        )


def _check_token(name: object, option: str) -> None:
    check_text(name, option, pattern=_NAME, must="be a cookie name of letters, digits and - _ .")


@named_options
@dataclass(frozen=True, slots=True)
class AccessCookie:
    """Carry the access token in an HttpOnly cookie.

    It is named `__Host-<name>` and is `Secure`, regardless of the scheme that the server reports, so that no
    sibling domain can set it (RFC 6265bis section 4.1.3.2). For unsafe methods and websockets,
    `Sec-Fetch-Site` or `Origin` must show that this site started the request.

    Args:
        name: the name, without prefix.
        secure: False for development over plain http on your own machine: the cookie then has no prefix and
            is not `Secure`.
        trusted_origins: other origins, such as `https://app.example.com`, that may send unsafe requests with
            the cookie.
        host_prefix: False for a cookie that another program sets, by its exact name, such as `__session` or
            `CF_Authorization`. Without the prefix a sibling domain can set it.
        no_store: whether browsers must not store responses that the cookie gave access to, so that the back
            button shows no page after signing out. The application's own Cache-Control is not changed.

    Raises:
        ConfigurationError: if a name or an origin is one that browsers would not send, or `secure`,
            `host_prefix` or `no_store` is not True or False.
    """

    name: str = "access_token"
    secure: bool = True
    trusted_origins: Iterable[str] = ()
    host_prefix: bool = True
    no_store: bool = False

    def __post_init__(self) -> None:
        check_flag(
            self.host_prefix,
            "host_prefix",
            "be True, or False for a cookie that somebody else sets, by its exact name",
        )
        check_flag(
            self.secure,
            "secure",
            "be True, or False for development over plain http on your own machine (leave it out for a site "
            "under https, also behind a proxy)",
        )
        check_flag(self.no_store, "no_store")
        if self.host_prefix:
            check_cookie_name(self.name, "name")
        else:
            _check_token(self.name, "name")
            self._check_prefix()
        origins = check_text_list(self.trusted_origins, "trusted_origins", '"https://app.example.com"')
        object.__setattr__(self, "trusted_origins", frozenset(origins))
        for origin in origins:
            if not _ORIGIN.match(origin) or origin != origin.lower():
                raise ConfigurationError(
                    "each of trusted_origins must be an origin such as 'https://app.example.com', in lower "
                    f"case, got {got(origin)}"
                )
            if self.secure and is_plain_http(origin):
                raise ConfigurationError(
                    f"each of trusted_origins must be https, or http on loopback, got {got(origin)}: an "
                    "attacker who changes a page of plain http sends requests with the cookie"
                )

    def _check_prefix(self) -> None:
        if self.name.lower().startswith(_PREFIXES) and not self.secure:
            raise ConfigurationError(
                f"secure must be True for a cookie of this name, got False: browsers keep {self.name} under "
                "https only"
            )

    @property
    def _field_name(self) -> str:
        """Return the name for browsers: with the prefix `__Host-`, unless an option forbids it."""
        return f"__Host-{self.name}" if self.secure and self.host_prefix else self.name

    @named_options
    def issue(self, token: str, *, max_age: float | Duration | None, scheme: str | None = None) -> str:
        """Return the value of a Set-Cookie field that signs the browser in.

        Args:
            token: the access token.
            max_age: seconds, or a timedelta, for which the token is valid: at least one, because browsers
                delete a cookie of less; None until the browser is closed.
            scheme: not used; only `secure` decides.

        Raises:
            ValueError: if the token is too large for a cookie, or malformed.
            ConfigurationError: if the token is not text, or `max_age` is not a number of seconds, or less
                than one.
        """
        age = "" if max_age is None else f"; Max-Age={int(check_seconds(max_age, 'max_age', inf, least=1))}"
        if not isinstance(token, str):
            remedy = ": write token.decode()" if isinstance(token, bytes) else ""
            raise ConfigurationError(f"token must be text, got {type_of(token)}{remedy}")
        if not _VALUE.match(token):
            raise ValueError("this cannot be a token: it has characters that cookies cannot carry")
        if len(self._field_name) + len(token) > _MAX_COOKIE:
            raise ValueError(f"the token has {len(token)} bytes; browsers drop cookies above {_MAX_COOKIE}")
        return f"{self._field_name}={token}{age}{self._attributes}"

    @named_options
    def clear(self, *, scheme: str | None = None) -> str:
        """Return the value of a Set-Cookie field that signs the browser out.

        Args:
            scheme: not used; only `secure` decides.
        """
        return f"{self._field_name}=; Max-Age=0{self._attributes}"

    def beside(self, name: str) -> "AccessCookie":
        """Return a cookie with the same attributes, for another value of the same browser.

        Args:
            name: the suffix of the name of the new cookie, such as `remember`.
        """
        return AccessCookie(f"{self.name}-{name}", secure=self.secure, host_prefix=self.host_prefix)

    @property
    def _attributes(self) -> str:
        return "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")

    def read(self, request: RequestView) -> str | None:
        """Return the token in the request's cookie, if any.

        Raises:
            InvalidRequestError: if the cookie was sent twice, because an attacker may have set one.
        """
        values = _values(request, self._field_name)
        if len(values) > 1:
            raise InvalidRequestError("the cookie was sent twice")
        return values[0] if values and values[0] else None

    @property
    def plain(self) -> Callable[[bytes], bytes | None]:
        """Return a function that reads a Cookie field in the usual form, or returns None to call `read`."""
        name = self._field_name.encode("ascii")
        begin = name + b"="

        def plain(field: bytes) -> bytes | None:
            before, _, rest = field.partition(begin)
            if name in before or name in rest or (before and before[-2:] != b"; "):
                return None
            return rest.partition(b";")[0].rstrip(b" \t") or None

        return plain

    def hint(self, request: RequestView) -> str | None:
        """Return the option to change if the cookie was sent by its plain name, which is not read."""
        if self._field_name == self.name or not _values(request, self.name):
            return None
        text = (
            f"a cookie {self.name} was not read: its name must be {self._field_name}, or write "
            f"AccessCookie({self.name!r}, host_prefix=False) if another program sets it"
        )
        if request.scheme in ("http", "ws"):
            text += f", or AccessCookie({self.name!r}, secure=False) for development over plain http"
        return text

    def is_cross_site(self, request: RequestView) -> bool | None:
        """Return whether another site started the request; None if this is unknown.

        Requests with safe methods are never cross-site. Fetch Metadata decides if the browser sends it
        (`same-site` is not `same-origin`), otherwise the Origin field.
        """
        if request.method in SAFE_METHODS:
            return False
        origin = (request.field(b"origin") or b"").decode("latin-1")
        if origin in frozenset(self.trusted_origins):
            return False
        site = request.fields(b"sec-fetch-site")
        if site:
            navigates = request.fields(b"sec-fetch-mode") == [b"navigate"]
            typed = site == [b"none"] and navigates and request.method != WEBSOCKET
            return not (site == [b"same-origin"] or typed)
        if not request.fields(b"origin"):
            return None
        return origin not in _own_origins(request)


def _values(request: RequestView, name: str) -> list[str]:
    """Return the values of the cookies of this name."""
    find = _finder(name)
    return [
        text.rstrip(b" \t").decode("latin-1")
        for field, value in request.presented
        if field == b"cookie"  # HTTP/2 may split the field (RFC 9113 section 8.2.3)
        for text in find(value)
    ]


@cache
def _finder(name: str) -> Callable[[bytes], list[bytes]]:
    """Return a function that finds the values of a cookie in a field, in one pass over all cookies."""
    escaped = re.escape(name.encode("ascii"))
    return re.compile(rb"(?:\A|;)[ \t]*" + escaped + rb"(?:=([^;]*)|[ \t]*(?=;|\Z))").findall


def _own_origins(request: RequestView) -> set[str]:
    """Return the values of the Origin field for requests that this site started.

    A page in a browser, which is the only attacker here, cannot forge the Host field.
    """
    host = (request.field(b"host") or b"").decode("latin-1").lower()
    if not host:
        return set()
    if request.scheme in ("https", "wss"):
        return {f"https://{host.removesuffix(':443')}"}
    # The site may be behind a proxy that ends TLS, so its pages may have https origins. Such an origin is not
    # weaker than the one with http.
    return {f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}"}
