"""How remotes are reached: what may be set about HTTP, checked when it is set."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from os import PathLike, fspath
from re import compile as pattern
from typing import Any

from authguard._core.flow import Channel, Fetch
from authguard._core.remote import check_url
from authguard.errors import ConfigurationError

_FIELD_NAME = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_FIELD_VALUE = pattern(r"[\x20-\x7e]*\Z")
_MOST_BYTES = 64 * 1024
_MOST_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, eq=False)
class HTTPOptions:
    """How a key set, an issuer or an introspection endpoint is reached.

    Args:
        headers: fields to send with each request, such as a `User-Agent` of your own.
        ca_bundle: a file with the certificates to trust, in PEM, in the place of the usual ones.
        proxy: the URL of a proxy; None goes by the environment (`HTTPS_PROXY`, `NO_PROXY`).
        client: an httpx client of yours, a `Client` or, for servers with an event loop, an
            `AsyncClient`; it is used as it is, and never closed.
        connect_timeout: seconds to connect.
        timeout: seconds for a whole request, however the server drips; None is 3 for keys and
            discovery, and 5 for introspection.
        plain_http: whether remotes that are not on loopback may be plain http.

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

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not _FIELD_NAME.match(name) or not _FIELD_VALUE.match(value):
                raise ConfigurationError(f"headers: {name!r} and its value are printable ASCII")
        for what, seconds in (("connect_timeout", self.connect_timeout), ("timeout", self.timeout)):
            if seconds is not None and (isinstance(seconds, bool) or not 0 < seconds <= _MOST_SECONDS):
                raise ConfigurationError(f"{what} is more than 0 and at most {_MOST_SECONDS:g} seconds")
        if self.client is not None and not (self.ca_bundle is None and self.proxy is None):
            raise ConfigurationError("client: set its ca_bundle and proxy where you make it")
        if self.client is not None and not callable(getattr(self.client, "stream", None)):
            raise ConfigurationError("client is an httpx.Client or httpx.AsyncClient")


class Remote:
    """A remote server: checks its URLs, and makes the questions that go to it.

    Args:
        options: how it is reached; None for the defaults.
        timeout: seconds for a whole request, if the options do not say.
    """

    def __init__(self, options: HTTPOptions | None, timeout: float) -> None:
        self._options = options = options or HTTPOptions()
        self.timeout = options.timeout or timeout
        own = {"user-agent": _user_agent(), **{name.lower(): text for name, text in options.headers.items()}}
        self.channel = Channel(
            tls=None if options.client is not None else _tls(options.ca_bundle),
            proxy=options.proxy,
            client=options.client,
            headers=tuple(own.items()),
        )

    def check(self, url: object, what: str) -> str:
        """Check a URL of the remote; see `check_url`."""
        return check_remote(url, what, self._options)

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
            most=_MOST_BYTES,
        )


def check_remote(url: object, what: str, options: HTTPOptions | None) -> str:
    """Check the URL of a remote before anything is opened for it; see `check_url`."""
    return check_url(url, what, plain_http=options is not None and options.plain_http)


def _user_agent() -> str:
    return f"authguard/{version('authguard')}"


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
