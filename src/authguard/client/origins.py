"""Compute the origin of a URL. A credential is sent to this origin only."""

from typing import TypeAlias

import httpx

from authguard._core.options import check_url

#: Scheme, host and port.
Origin: TypeAlias = tuple[str, str, int | None]

_PORTS = {"http": 80, "https": 443}


def origin_of(url: httpx.URL) -> Origin:
    """Return the origin of a URL (RFC 6454 section 4)."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def check_base_url(base_url: str) -> tuple[str, Origin]:
    """Check the URL of an API, and return it without a trailing slash, and its origin.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback).
    """
    check_url(base_url, "base_url", reason="credentials are sent there")
    return base_url.rstrip("/"), origin_of(httpx.URL(base_url))
