"""The access token in a cookie, for websites; and proof that this site sent it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from authguard._core.request import RequestView
from authguard._core.rules import WEBSOCKET
from authguard.errors import ConfigurationError, InvalidRequestError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[A-Za-z0-9._~+/=-]+\Z")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+\Z")
_LARGEST = 4096  # name and value together; browsers drop more (RFC 6265bis section 5.6)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class AccessCookie:
    """An HttpOnly cookie that carries the access token.

    Under https it is called `__Host-<name>` and is `Secure`, so that no sibling domain can
    plant it (RFC 6265bis section 4.1.3.2). Unsafe methods and websockets must then prove by
    `Sec-Fetch-Site` or `Origin` that this site started them.

    Args:
        name: the name, without prefix.
        secure: whether the site is under https; None goes by the scheme that the server reports.
            Set it to True behind a proxy that ends TLS and does not pass the scheme on.
        trusted_origins: other origins, such as `https://app.example.com`, that may send unsafe
            requests with the cookie.

    Raises:
        ConfigurationError: for a name or an origin that browsers would not send.
    """

    name: str = "access_token"
    secure: bool | None = None
    trusted_origins: Iterable[str] = ()

    def __post_init__(self) -> None:
        if not _NAME.match(self.name) or self.name.lower().startswith(("__host-", "__secure-")):
            raise ConfigurationError(f"cookie name {self.name!r}: a plain name; the prefix is added")
        if isinstance(self.trusted_origins, str):
            raise ConfigurationError("trusted_origins is a list of origins")
        object.__setattr__(self, "trusted_origins", frozenset(self.trusted_origins))
        for origin in self.trusted_origins:
            if not _ORIGIN.match(origin) or origin != origin.lower():
                raise ConfigurationError(f"{origin!r} is not an origin such as 'https://app.example.com'")

    def issue(self, token: str, *, scheme: str, max_age: int) -> str:
        """The value of a Set-Cookie field that signs the browser in.

        Args:
            token: the access token.
            scheme: the scheme of the request that is being answered.
            max_age: seconds, as long as the token is valid.

        Raises:
            ValueError: if the token is too large for a cookie, or is no token.
        """
        name, secure = self._named(scheme)
        if not _VALUE.match(token):
            raise ValueError("this cannot be a token: it has characters that cookies cannot carry")
        if len(name) + len(token) > _LARGEST:
            raise ValueError(f"the token has {len(token)} bytes; browsers drop cookies above {_LARGEST}")
        return f"{name}={token}; Max-Age={int(max_age)}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def clear(self, *, scheme: str) -> str:
        """The value of a Set-Cookie field that signs the browser out."""
        name, secure = self._named(scheme)
        return f"{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{secure}"

    def read(self, request: RequestView) -> str | None:
        """The token that the request's cookie carries, if any.

        Raises:
            InvalidRequestError: if the cookie came twice: somebody else may have planted one.
        """
        name = self._named(request.scheme)[0].encode("ascii")
        found = None
        for field, value in request.presented:
            if field != b"cookie":  # HTTP/2 may split the field (RFC 9113 section 8.2.3)
                continue
            for part in value.split(b";"):
                key, _, text = part.strip(b" \t").partition(b"=")
                if key == name:
                    if found is not None:
                        raise InvalidRequestError("the cookie was sent twice")
                    found = text
        return found.decode("latin-1") if found else None

    def _named(self, scheme: str) -> tuple[str, str]:
        secure = scheme in ("https", "wss") if self.secure is None else self.secure
        return (f"__Host-{self.name}", "; Secure") if secure else (self.name, "")

    def is_cross_site(self, request: RequestView) -> bool | None:
        """Whether another site started the request; None if nothing tells.

        Safe methods never count. Fetch Metadata decides where the browser sends it (`same-site`
        is not `same-origin`), else the Origin field.
        """
        if request.method in _SAFE_METHODS:
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


def _own_origins(request: RequestView) -> set[str]:
    """What the Origin field may say when this site started the request.

    The Host field cannot be forged by a page in a browser, which is the only attacker here.
    """
    host = (request.field(b"host") or b"").decode("latin-1").lower()
    if not host:
        return set()
    if request.scheme in ("https", "wss"):
        return {f"https://{host.removesuffix(':443')}"}
    # Perhaps behind a proxy that ended TLS: a page under https is no weaker than one under http.
    return {f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}"}
