"""Check at start-up for problems that would appear later, or weaken the service silently."""

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from authguard._core.options import got
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    from authguard.identity import Settings


def check_workers(settings: "Settings", workers: int) -> str | None:
    """Check that several processes share their counts of attempts.

    Returns:
        a warning, in development.

    Raises:
        ConfigurationError: if each process would count logins and mails separately.
    """
    if workers == 1 or not settings.limits_url.startswith("memory:"):
        return None
    if settings.dev:
        return f"limits_url is memory://: each of {workers} workers counts separately"
    raise ConfigurationError(
        f"limits_url must be redis://… with {workers} workers, got memory://, with which each worker counts "
        "logins separately, so that guessing is faster: write AUTHGUARD_LIMITS_URL=redis://…, or --workers 1"
    )


def root_path_of(settings: "Settings", given: str | None) -> str:
    """Return the path of the issuer, under which browsers reach the service and which a proxy removes.

    Links in mails begin with the issuer. With another path, forms, redirects and styles would have wrong
    URLs.

    Raises:
        ConfigurationError: if `--root-path` is another path.
    """
    path = unquote(urlsplit(settings.issuer).path)
    if given is not None and given.rstrip("/") != path:
        raise ConfigurationError(
            f"--root-path must be the path of the issuer, got {got(given)}: write "
            f"{path or 'nothing'}, or another issuer"
        )
    return path
