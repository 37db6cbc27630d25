"""Configure connections to remote servers: the HTTP options, checked when they are set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from os import PathLike
from re import compile as pattern
from typing import Any, cast
from urllib.parse import urlsplit

from authguard._connecting.certificates import tls_context
from authguard._connecting.proxies import check_environment_proxies, check_proxy
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
from authguard._core.options.pickles import NeverPickled
from authguard.errors import ConfigurationError

_FIELD_NAME = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FIELD_VALUE = pattern(r"[\x20-\x7e]*\Z")
MAX_BYTES = 64 * 1024
MAX_SECONDS = 60.0


@named_options
@dataclass(frozen=True, kw_only=True, eq=False)
class HTTPOptions(NeverPickled):
    """Configure the connection to a key set, an issuer or an introspection endpoint.

    Args:
        headers: fields to send with each request to the origin of the configured URL or issuer, and to
            `origins`, such as your own `User-Agent`.
        ca_bundle: a PEM file with trusted certificates, instead of the default ones.
        proxy: the URL of a proxy, `http://`, `https://` or, with `httpx[socks]`, `socks5://`; None uses the
            environment (`HTTPS_PROXY`, `NO_PROXY`).
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
            check_proxy(self.proxy, "proxy")
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
        if options.client is None and options.proxy is None:
            check_environment_proxies()
        agent = f"authguard/{version('authguard')}"
        own = {"user-agent": agent, **{name.lower(): text for name, text in options.headers.items()}}
        self.channel = Channel(
            tls=None if options.client is not None else tls_context(options.ca_bundle),
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


def check_remote(url: object, option: str, options: HTTPOptions | None) -> str:
    """Check the URL of a remote before connections are opened; see `check_url`."""
    check_object(options, "http", HTTPOptions, "http=HTTPOptions(…)")
    return check_url(url, option, plain_http=options is not None and options.plain_http)
