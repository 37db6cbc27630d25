"""Compare the origin of a request with the only one that gets a credential."""

import logging
from typing import TypeAlias

import httpx

from authguard._core.options import check_url, got
from authguard.errors import ConfigurationError

logger = logging.getLogger("authguard")

#: Scheme, host and port.
Origin: TypeAlias = tuple[str, str, int | None]

_PORTS = {"http": 80, "https": 443}


def origin_of(url: httpx.URL) -> Origin:
    """Return the origin of a URL (RFC 6454 section 4)."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


class CredentialOrigin:
    """Hold the URL of an API, whose origin gets the credential, and log the first request to another one.

    Args:
        base_url: the URL of the API.
        owner: the name of the class that sends the credential, for the log.

    Attributes:
        base: the URL of the API without a trailing slash.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback), or has a query.
    """

    def __init__(self, base_url: str, owner: str) -> None:
        check_url(base_url, "base_url", reason="credentials are sent there")
        if "?" in base_url:
            raise ConfigurationError(
                f"base_url must have no query, since paths are put after it, got {got(base_url)}: "
                f"write {base_url.partition('?')[0]!r}"
            )
        self.base = base_url.rstrip("/")
        self._url = httpx.URL(base_url)
        self._origin = origin_of(self._url)
        self._owner = owner
        self._has_logged = False

    def gets(self, url: httpx.URL) -> bool:
        """Return whether the credential may be sent to a URL."""
        return origin_of(url) == self._origin

    def log_other(self, url: httpx.URL) -> None:
        """Log the first request to another origin, whose 401 would otherwise have no explanation."""
        if self._has_logged or not url.host:
            return
        self._has_logged = True
        logger.warning(
            "a request to %s was sent without the credential of %s, which is sent only to the origin of "
            "base_url, %s (logged once)",
            _shown(url),
            self._owner,
            _shown(self._url),
        )


def _shown(url: httpx.URL) -> str:
    # Without the user name and password that a URL may have.
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
