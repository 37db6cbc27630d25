"""Check at the start what would fail later, or weaken the service in silence."""

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from authguard._core.options import got
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    from authguard.identity import Settings


def check_workers(settings: "Settings", workers: int) -> str | None:
    """Check that several processes share what they count.

    Returns:
        A warning, for development.

    Raises:
        ConfigurationError: if each would count logins and mails by itself.
    """
    if workers == 1 or not settings.limits_url.startswith("memory:"):
        return None
    if settings.dev:
        return f"limits_url is memory://: each of {workers} workers counts by itself"
    raise ConfigurationError(
        f"limits_url must be redis://… with {workers} workers, got memory://, where each counts logins by "
        "itself, so that guessing is faster: write AUTHGUARD_LIMITS_URL=redis://…, or --workers 1"
    )


def root_path_of(settings: "Settings", given: str | None) -> str:
    """Return the path under which browsers reach the service, which a proxy takes away: that of the issuer.

    Mails lead to the issuer; forms, redirects and style would lead elsewhere with another path.

    Raises:
        ConfigurationError: if `--root-path` says something else.
    """
    path = unquote(urlsplit(settings.issuer).path)
    if given is not None and given.rstrip("/") != path:
        raise ConfigurationError(
            f"--root-path must be the path of the issuer, got {got(given)}: write "
            f"{path or 'nothing'}, or another issuer"
        )
    return path
