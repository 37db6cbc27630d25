"""Configure connections to remote servers: the HTTP options, checked when they are set."""

import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from os import PathLike, fspath
from re import compile as pattern
from typing import Any, cast
from urllib.parse import urlsplit

from authguard._core.flow import Channel, Fetch
from authguard._core.hosts import origin_of
from authguard._core.options import (
    Duration,
    check_flag,
    check_list,
    check_mapping,
    check_method,
    check_named_url,
    check_object,
    check_seconds,
    check_text,
    check_url,
    got,
    named_options,
)
from authguard.errors import ConfigurationError

_FIELD_NAME = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FIELD_VALUE = pattern(r"[\x20-\x7e]*\Z")
_PROXIES = ("http", "https", "socks5", "socks5h")
MAX_BYTES = 64 * 1024
MAX_SECONDS = 60.0


@named_options
@dataclass(frozen=True, kw_only=True, eq=False)
class HTTPOptions:
    """Configure the connection to a key set, an issuer or an introspection endpoint.

    Args:
        headers: fields to send with each request to the origin of the configured URL or issuer, and to
            `origins`, such as your own `User-Agent`.
        ca_bundle: a PEM file with trusted certificates, instead of the default ones.
        proxy: the URL of a proxy; None uses the environment (`HTTPS_PROXY`, `NO_PROXY`).
        client: your own httpx client, a `Client` or, for servers with an event loop, an `AsyncClient`. It is
            used unchanged, with its fields, credentials and cookies, and never closed.
        connect_timeout: seconds, or a timedelta, to connect.
        timeout: seconds, or a timedelta, for a whole request, even if the server sends slowly; None is 3 for
            keys and discovery, and 5 for introspection.
        plain_http: whether plain http is allowed for servers that are not on loopback.
        allow_private: whether the metadata of an issuer may refer to another host on this machine, or to an
            address in a private network, as in Kubernetes. Host names are not resolved.
        origins: further origins that `headers` are sent to, such as `["https://keys.example.com"]`.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | PathLike[str] | None = None
    proxy: str | None = field(default=None, repr=False)
    client: Any = None
    connect_timeout: float | Duration = 1.0
    timeout: float | Duration | None = None
    plain_http: bool = False
    allow_private: bool = False
    origins: Iterable[str] = ()

    def __post_init__(self) -> None:
        self._check_headers()
        seconds = check_seconds(self.connect_timeout, "connect_timeout", MAX_SECONDS, exclusive=True)
        object.__setattr__(self, "connect_timeout", seconds)
        if self.timeout is not None:
            seconds = check_seconds(self.timeout, "timeout", MAX_SECONDS, exclusive=True)
            object.__setattr__(self, "timeout", seconds)
        if self.ca_bundle is not None and not isinstance(self.ca_bundle, (str, PathLike)):
            raise ConfigurationError(f"ca_bundle must be the path of a file, got {got(self.ca_bundle)}")
        if self.proxy is not None:
            _check_proxy(self.proxy)
        check_method(self.client, "client", "stream", "client=httpx.Client() or client=httpx.AsyncClient()")
        if self.client is not None and not (self.ca_bundle is None and self.proxy is None):
            raise ConfigurationError(
                "ca_bundle and proxy must be left out with client, got both: set them on the client"
            )
        check_flag(self.plain_http, "plain_http")
        check_flag(self.allow_private, "allow_private")
        object.__setattr__(self, "origins", self._checked_origins())

    def _check_headers(self) -> None:
        check_mapping(self.headers, "headers", 'headers={"User-Agent": "billing"}')
        for name, value in self.headers.items():
            check_text(name, "each name of headers", pattern=_FIELD_NAME, must="be the name of a field")
            if not isinstance(value, str) or not _FIELD_VALUE.match(value):
                shown = got(value, secret=True)
                raise ConfigurationError(
                    f"the value of {name!r} in headers must be printable ASCII, got {shown}"
                )

    def _checked_origins(self) -> tuple[str, ...]:
        origins = tuple(check_list(self.origins, "origins", '"https://keys.example.com"'))
        for origin in origins:
            check_remote(origin, "each of origins", self)
            parts = urlsplit(origin)
            if parts.path or parts.query or origin.endswith("?"):
                raise ConfigurationError(
                    f"each of origins must end with the host, got {got(origin)}: leave out the path and query"
                )
        return origins


class Remote:
    """Represent a remote server: check its URLs, and build the questions for it.

    Args:
        options: its connection options; None for the defaults.
        timeout: seconds, or a timedelta, for a whole request, if the options have none.
        url: its configured URL: of the issuer, the key set or the endpoint.

    Attributes:
        private_option: the option that allows URLs in private networks, for errors.
    """

    private_option = "HTTPOptions(allow_private=True)"

    def __init__(self, options: HTTPOptions | None, timeout: float, url: str) -> None:
        self._url = url
        self._options = options = options or HTTPOptions()
        self.timeout: float = cast("float | None", options.timeout) or timeout
        agent = f"authguard/{version('authguard')}"
        own = {"user-agent": agent, **{name.lower(): text for name, text in options.headers.items()}}
        self.channel = Channel(
            tls=None if options.client is not None else _tls(options.ca_bundle),
            proxy=options.proxy,
            client=options.client,
            headers=tuple(own.items()),
            origins=frozenset(map(origin_of, (url, *options.origins))),
            agent=agent,
        )

    def check_named(self, url: object, what: str) -> str:
        """Check a URL that the remote refers to; see `check_named_url`."""
        return check_named_url(
            url,
            what,
            self._url,
            plain_http=self._options.plain_http,
            allow_private=self._options.allow_private,
            option=self.private_option,
        )

    def fetch(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Fetch:
        """Return the question that sends this request."""
        return Fetch(
            self.channel,
            method,
            url,
            headers=headers,
            body=body,
            timeout=self.timeout,
            connect_timeout=min(cast("float", self._options.connect_timeout), self.timeout),
            max_bytes=MAX_BYTES,
        )


def _check_proxy(url: object) -> None:
    """Check the URL of a proxy, which httpx would refuse only when the first request is sent."""
    must = "be a URL such as http://proxy:3128"
    text = check_text(url, "proxy", must=must, secret=True)
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in _PROXIES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text may contain the password
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            f"proxy must {must}, got other text: write {', '.join(_PROXIES)}, :// and a host"
        )


def check_remote(url: object, option: str, options: HTTPOptions | None) -> str:
    """Check the URL of a remote before connections are opened; see `check_url`."""
    check_object(options, "http", HTTPOptions, "http=HTTPOptions(…)")
    return check_url(url, option, plain_http=options is not None and options.plain_http)


def _tls(ca_bundle: str | PathLike[str] | None) -> ssl.SSLContext:
    usual = _usual_tls()
    if ca_bundle is None:
        return usual
    try:
        return ssl.create_default_context(cafile=fspath(ca_bundle))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"ca_bundle must be a file of certificates in PEM, got {fspath(ca_bundle)!r}, which cannot be "
            "read"
        ) from error


@cache
def _usual_tls() -> ssl.SSLContext:
    # Imported when verifiers are built, because an import in the first request would block an event loop.
    for name in ("httpcore", "anyio._backends._asyncio"):
        with suppress(ImportError):
            import_module(name)
    import httpx

    return httpx.create_ssl_context()
