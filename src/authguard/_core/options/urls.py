"""Check options that are URLs: https, or http on loopback, without a user name and a fragment."""

import re
from urllib.parse import SplitResult, urlsplit

from authguard._core.hosts import is_host, is_loopback, is_public_host, is_same_host
from authguard._core.options.text import is_quoted
from authguard._core.options.values import got, shown_url, unwrapped
from authguard.errors import ConfigurationError

# Python's parser accepts `[::1]evil.example`, but another parser makes the connection.
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Za-z.%]*:[0-9A-Za-z.%:]*\]|[^\[\]:]+)(?::[0-9]*)?\Z")
_PLAIN_HTTP = (
    "an attacker who changes the answer decides who is admitted; on your own network, write "
    "HTTPOptions(plain_http=True)"
)


def check_url(
    url: object,
    option: str,
    *,
    plain_http: bool = False,
    example: str = "https://auth.example.com/…",
    reason: str = _PLAIN_HTTP,
) -> str:
    """Check a URL.

    Args:
        url: the URL.
        option: the name of the option.
        plain_http: whether plain http is allowed.
        example: a valid URL, for the error.
        reason: the reason why https is required, for the error.

    Raises:
        ConfigurationError: unless it is https (or http on loopback), without userinfo and fragment.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("https", "http"):
        advice = f": write {url[1:-1]!r}" if isinstance(url, str) and is_quoted(url) else unwrapped(url)
        raise ConfigurationError(f"{option} must be a URL such as {example}, got {got(url)}{advice}")
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"{option} must have no user name and no password in it, since URLs are logged, got {got(url)}"
        )
    if "#" in str(url):
        raise ConfigurationError(f"{option} must have no fragment, which is never sent, got {got(url)}")
    if parts.scheme == "http" and not plain_http and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{option} must be https, or http on loopback, got {got(url)}, which is plain http: {reason}"
        )
    return str(url)


def is_plain_http(origin: str) -> bool:
    """Return whether an origin is http, and not on loopback."""
    return origin.startswith("http://") and not is_loopback(urlsplit(origin).hostname or "")


def check_no_metadata_url(issuer: object) -> None:
    """Check that an issuer is not the URL of its metadata or key set; other types are not checked.

    Raises:
        ConfigurationError: if it is such a URL.
    """
    origin, marker, rest = issuer.partition("/.well-known/") if isinstance(issuer, str) else ("", "", "")
    if marker:  # the metadata, as OpenID Connect or RFC 8414 builds its URL, or a key set
        _, slash, path = rest.partition("/")
        raise ConfigurationError(
            "issuer must be as tokens have it in `iss`, got a URL with /.well-known/ in it: "
            f"write {origin + slash + path!r}; for a key set, RemoteKeySet(url)"
        )


def check_key_set_url(url: str) -> None:
    """Check that the URL of a key set is not that of an issuer's metadata, which only names the key set.

    Raises:
        ConfigurationError: if it is such a URL.
    """
    origin, _, rest = url.partition("/.well-known/")
    name, slash, path = rest.partition("/")
    if name in ("openid-configuration", "oauth-authorization-server"):
        raise ConfigurationError(
            f"url must be that of a key set, got {got(url)}, which is that of an issuer's metadata: write "
            f"JWTVerifier.from_issuer({origin + slash + path!r}, audience=…)"
        )


def check_named_url(
    url: object,
    name: str,
    named_by: str,
    *,
    plain_http: bool = False,
    allow_private: bool = False,
    option: str = "HTTPOptions(allow_private=True)",
) -> str:
    """Check a URL that a remote names, such as the `jwks_uri` of an issuer.

    The remote may name its own host, and any public host. Names are not resolved.

    Args:
        url: the URL.
        name: its name, for the error.
        named_by: the URL of the remote, which has been checked.
        plain_http: whether plain http is allowed.
        allow_private: whether it may lead to this machine and into private networks.
        option: the option to set for that, for the error.

    Raises:
        ConfigurationError: if it leads to another host, or is plain http although the remote is https.
    """
    parts, own = urlsplit(check_url(url, name, plain_http=True)), urlsplit(named_by)
    host = parts.hostname or ""
    if not (allow_private or is_same_host(host, own.hostname or "") or is_public_host(host)):
        raise ConfigurationError(
            f"{name} must be at the host of {shown_url(named_by)} or at a public one, got {host!r}: if it is "
            f"meant to lead into a private network, set {option}"
        )
    check_url(url, name, plain_http=plain_http)
    if parts.scheme == "http" and own.scheme == "https" and not (plain_http or allow_private):
        raise ConfigurationError(
            f"{name} must be https, as {shown_url(named_by)} is, got {got(url)}, which is plain http"
        )
    return str(url)


def _split(url: object) -> SplitResult | None:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    is_readable = _HOST_AND_PORT.match(parts.netloc.rpartition("@")[2]) and is_host(parts.hostname or "")
    return parts if is_readable and port != 0 else None
