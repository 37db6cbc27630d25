"""How remotes are reached: what may be set about HTTP, checked when it is set."""

import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from os import PathLike, fspath
from re import compile as pattern
from typing import Any
from urllib.parse import urlsplit

from authguard._core.flow import Channel, Fetch
from authguard._core.hosts import origin_of
from authguard._core.options import check_object, type_of
from authguard._core.proofs.uris import shown
from authguard._core.remote.http import check_named_url, check_url
from authguard.errors import ConfigurationError

_FIELD_NAME = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FIELD_VALUE = pattern(r"[\x20-\x7e]*\Z")
_MOST_BYTES = 64 * 1024
_MOST_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, eq=False)
class HTTPOptions:
    """How a key set, an issuer or an introspection endpoint is reached.

    Args:
        headers: fields to send with each request to the origin of the URL or issuer that you have
            given, such as a `User-Agent` of your own, and to `origins`.
        ca_bundle: a file with the certificates to trust, in PEM, in the place of the usual ones.
        proxy: the URL of a proxy; None goes by the environment (`HTTPS_PROXY`, `NO_PROXY`).
        client: an httpx client of yours, a `Client` or, for servers with an event loop, an
            `AsyncClient`; it is used as it is, with the fields, the credentials and the cookies that it
            has or keeps, and never closed.
        connect_timeout: seconds to connect.
        timeout: seconds for a whole request, however the server drips; None is 3 for keys and
            discovery, and 5 for introspection.
        plain_http: whether remotes that are not on loopback may be plain http.
        allow_private: whether the metadata of an issuer may lead to another host on this machine, or to
            an address in a private network, as in Kubernetes. Names are not resolved.
        origins: where else `headers` are sent to, such as `["https://keys.example.com"]`.

    Raises:
        ConfigurationError: if this cannot be meant.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | PathLike[str] | None = None
    proxy: str | None = field(default=None, repr=False)
    client: Any = None
    connect_timeout: float = 1.0
    timeout: float | None = None
    plain_http: bool = False
    allow_private: bool = False
    origins: Iterable[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Mapping):
            raise ConfigurationError(f"headers must be a mapping, got {type_of(self.headers)}")
        for name, value in self.headers.items():
            if not (isinstance(name, str) and isinstance(value, str)):
                raise ConfigurationError(f"headers: {name!r} and its value must be text")
            if not _FIELD_NAME.match(name) or not _FIELD_VALUE.match(value):
                raise ConfigurationError(f"headers: {name!r} and its value are printable ASCII")
        for what, seconds in (("connect_timeout", self.connect_timeout), ("timeout", self.timeout)):
            is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if seconds is not None and not (is_number and 0 < seconds <= _MOST_SECONDS):
                raise ConfigurationError(f"{what} is more than 0 and at most {_MOST_SECONDS:g} seconds")
        if self.client is not None and not (self.ca_bundle is None and self.proxy is None):
            raise ConfigurationError("client: set its ca_bundle and proxy where you make it")
        if self.client is not None and not callable(getattr(self.client, "stream", None)):
            raise ConfigurationError("client is an httpx.Client or httpx.AsyncClient")
        if not isinstance(self.allow_private, bool):
            raise ConfigurationError(f"allow_private must be True or False, got {_got(self.allow_private)}")
        object.__setattr__(self, "origins", self._checked_origins())

    def _checked_origins(self) -> tuple[str, ...]:
        if isinstance(self.origins, str):
            raise ConfigurationError(f"origins must be a list, got text; write [{shown(self.origins)}]")
        if not isinstance(self.origins, Iterable):
            raise ConfigurationError(f"origins must be a list, got {_got(self.origins)}")
        origins = tuple(self.origins)
        for origin in origins:
            check_remote(origin, "each of origins", self)
            parts = urlsplit(origin)
            if parts.path or parts.query or origin.endswith("?"):
                raise ConfigurationError(
                    f"origins: {shown(origin)} is more than an origin: leave out what follows the host"
                )
        return origins


class Remote:
    """A remote server: checks its URLs, and makes the questions that go to it.

    Args:
        options: how it is reached; None for the defaults.
        timeout: seconds for a whole request, if the options do not say.
        url: the URL that is configured for it: of the issuer, the key set or the endpoint.
    """

    def __init__(self, options: HTTPOptions | None, timeout: float, url: str) -> None:
        self._url = url
        self._options = options = options or HTTPOptions()
        self.timeout = options.timeout or timeout
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
        """Check a URL that the remote names; see `check_named_url`."""
        return check_named_url(
            url,
            what,
            self._url,
            plain_http=self._options.plain_http,
            allow_private=self._options.allow_private,
        )

    def fetch(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Fetch:
        """The question to send this request."""
        return Fetch(
            self.channel,
            method,
            url,
            headers=headers,
            body=body,
            timeout=self.timeout,
            connect_timeout=min(self._options.connect_timeout, self.timeout),
            max_bytes=_MOST_BYTES,
        )


def check_remote(url: object, what: str, options: HTTPOptions | None) -> str:
    """Check the URL of a remote before anything is opened for it; see `check_url`."""
    check_object(options, "http", HTTPOptions, "http=HTTPOptions(…)")
    return check_url(url, what, plain_http=options is not None and options.plain_http)


def _got(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def _tls(ca_bundle: str | PathLike[str] | None) -> ssl.SSLContext:
    usual = _usual_tls()
    if ca_bundle is None:
        return usual
    try:
        return ssl.create_default_context(cafile=fspath(ca_bundle))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"ca_bundle: {fspath(ca_bundle)} cannot be read as PEM") from error


@cache
def _usual_tls() -> ssl.SSLContext:
    # Loaded when verifiers are built: in the first request it would hold up an event loop, for a
    # fifth of a second in all.
    for name in ("httpcore", "anyio._backends._asyncio"):
        with suppress(ImportError):
            import_module(name)
    import httpx

    return httpx.create_ssl_context()
