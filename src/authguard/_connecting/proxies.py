"""Check the URLs of proxies, of an option and of the environment, and never show them."""

import os
import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from authguard._core.hosts import is_host
from authguard._core.options import is_quoted, type_of
from authguard.errors import ConfigurationError

_EXAMPLE = "write http://proxy:3128"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30})://", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(r"(?:[^\s/?#]*@)?[^\s/?#@:]+:[0-9]+/?\Z")
_HTTP = ("http", "https")
_SOCKS = ("socks5", "socks5h")
_SCHEMES = ("http", "https", "all")


def check_proxy(proxy: object, option: str) -> None:
    """Check the URL of a proxy, which may contain a password.

    Args:
        proxy: the URL.
        option: the name of the option or of the variable, for the error.

    Raises:
        ConfigurationError: if httpx could not use it; its text is never shown.
    """
    fault = _fault_of(proxy) if isinstance(proxy, str) else f"{type_of(proxy)}: {_EXAMPLE}"
    if fault is not None:
        raise ConfigurationError(f"{option} must be the URL of a proxy, got {fault}")


def check_environment_proxies() -> None:
    """Check the proxies that httpx takes from the environment.

    Raises:
        ConfigurationError: if it could not use one; the error names the variable, without its value.
    """
    # imported here, because httpx needs it, too, and a guard without remote servers needs neither
    from urllib.request import getproxies

    proxies = getproxies()
    hosts = [host.strip() for host in proxies.get("no", "").split(",")]
    if "*" in hosts:
        return
    for scheme in _SCHEMES:
        if proxy := proxies.get(scheme):
            name = _variable(scheme, proxy)
            check_proxy(proxy if "://" in proxy else f"http://{proxy}", name)
    _check_exceptions(proxies.get("no", ""))


def _check_exceptions(hosts: str) -> None:
    import httpx

    try:
        httpx.Client(verify=False).close()  # noqa: S501 (it connects to nothing)
    except (httpx.InvalidURL, ValueError):  # its text may contain the host of a proxy
        name = _variable("no", hosts)
        raise ConfigurationError(
            f"{name} must be hosts separated by commas, got one that httpx cannot read: write "
            "internal.example"
        ) from None


def _variable(scheme: str, value: str) -> str:
    """Return the name of the variable that has this value."""
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    variables = [name for name in names if os.environ.get(name) == value]
    return f"the variable {variables[0]}" if variables else f"the {scheme} proxy of the system"


def _fault_of(proxy: str) -> str | None:
    """Return the fault of a URL, with the spelling that works; None for a usable URL."""
    if is_quoted(proxy):
        return "text in quotes: leave them out"
    if proxy != proxy.strip() or not proxy.isprintable():
        return "text with white space around it or control characters: leave them out"
    begin_of_url = _SCHEME.match(proxy)
    if begin_of_url is None:
        begin = "write http:// before the host" if _WITHOUT_SCHEME.match(proxy) else _EXAMPLE
        return f"text that begins with no scheme: {begin}"
    scheme = begin_of_url[1].lower()
    if scheme not in (*_HTTP, *_SOCKS):
        return f"a URL that begins with {scheme}://: {_EXAMPLE}"
    if scheme in _SOCKS and find_spec("socksio") is None:
        return f'a URL that begins with {scheme}://, but socksio is missing: pip install "httpx[socks]"'
    return _fault_of_address(proxy)


def _fault_of_address(proxy: str) -> str | None:
    """Return the fault of the part after the scheme."""
    authority, separator, rest = _split(proxy)
    if separator and "@" in rest:
        return "a URL with /, ? or # in its user name or password: write %2F for /, %3F for ?, %23 for #"
    host_and_port = authority.rpartition("@")[2]
    try:
        parts = urlsplit(f"http://{host_and_port}")
        is_readable = is_host(_ascii(parts.hostname or "")) and parts.port != 0
    except ValueError:  # its text has the port, which may be a part of the password
        is_readable = False
    if is_readable and _is_readable_by_httpx(proxy):
        return None
    return f"a URL without a valid host and port: {_EXAMPLE}"


def _split(proxy: str) -> tuple[str, str, str]:
    """Return the authority, the character behind it, and the rest."""
    after = proxy.partition("://")[2]
    end = re.search(r"[/?#]", after)
    return (after, "", "") if end is None else (after[: end.start()], end[0], after[end.end() :])


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()  # UnicodeError is a ValueError


def _is_readable_by_httpx(proxy: str) -> bool:
    import httpx

    try:
        return bool(httpx.Proxy(proxy).url.host)
    except (httpx.InvalidURL, ValueError):
        return False
