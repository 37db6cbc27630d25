"""Check at start-up for problems that would appear later, or weaken the service silently."""

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from authguard._core.networks import parse_network
from authguard._core.options import got
from authguard._core.proxies import TrustedProxies
from authguard.cli.configuration import raw_settings, read_settings
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    from authguard.identity import Settings


def read_all_settings(config: str | None, database: str | None, given: dict[str, Any]) -> "Settings":
    """Read the settings; if one is wrong, also name the faults that would follow in the next rounds.

    Args:
        config: the file that `--config` names.
        database: the URL that `--database` names.
        given: settings with the highest precedence.

    Raises:
        ConfigurationError: as `Settings.from_env` does.
    """
    try:
        return read_settings(config, database, **given)
    except ConfigurationError as error:
        later = [each for each in _later_faults(config, database, given) if each not in str(error)]
        raise ConfigurationError("; ".join([str(error), *later])) from None


def _later_faults(config: str | None, database: str | None, given: dict[str, Any]) -> Iterator[str]:
    """Yield the faults that are recognised without valid settings."""
    from authguard.identity.setting_checks import missing_mailer
    from authguard.identity.storage import migrations

    try:
        raw = raw_settings(config) | given
    except ConfigurationError:  # the error names this fault already
        return
    if str(raw.get("dev", "")).lower() in ("1", "true", "yes"):
        return
    if "smtp_url" not in raw:
        yield missing_mailer(has_sender=bool(raw.get("mail_from")))
    url = database or raw.get("database") or f"sqlite:///{migrations.DEFAULT_FILE}"
    if isinstance(url, str) and "database_file" not in raw and (fault := migrations.find_fault(url)):
        yield fault


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


def read_proxies(given: str | None) -> list[str] | None:
    """Return the addresses and networks of `--forwarded-allow-ips`.

    uvicorn takes `*` and networks of all addresses literally, and a host name never matches an address: the
    first lets each caller choose the address that limits count, the second makes all callers share one.

    Raises:
        ConfigurationError: if a part is no address and no network, or the parts include all addresses.
    """
    if given is None:
        return None
    names = [part.strip() for part in given.split(",") if part.strip()]
    name = "--forwarded-allow-ips"
    if not names:
        raise ConfigurationError(
            f"{name} must name the proxies, got no address: write {name} 10.0.0.1, or leave it out"
        )
    for each in names:
        try:
            TrustedProxies([each])
        except ConfigurationError:
            raise ConfigurationError(
                f"{name} must be addresses and networks of your proxies, and not all addresses, because "
                f"limits count by address, got {got(each)}: write {_network_near(each)}"
            ) from None
    try:
        TrustedProxies(names)
    except ConfigurationError:
        raise ConfigurationError(
            f"{name} must not include all addresses, because limits count by address, got networks that "
            f"do together: write {_network_near('')}"
        ) from None
    return [spelling for each in names for spelling in _spellings(each)]


def _spellings(text: str) -> list[str]:
    """Return an address or a network, and how a socket for both versions of IP spells it (`::ffff:10.0.0.1`).

    uvicorn compares an IPv4 address and the same one written as IPv6 as two.
    """
    network = parse_network(text)
    if not isinstance(network, IPv4Network):
        return [text]
    mapped = f"::ffff:{network.network_address}"
    if "/" not in text:
        return [str(network.network_address), mapped]
    return [str(network), f"{mapped}/{96 + network.prefixlen}"]


def _network_near(text: str) -> str:
    """Return the network that a text with address bits after its prefix means, or an example."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "10.0.0.1, or 10.0.0.0/24"
    return str(network) if network.prefixlen else "10.0.0.1, or 10.0.0.0/24"
