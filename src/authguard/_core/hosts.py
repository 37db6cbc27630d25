"""Examine the hosts of URLs: which are public, and which are the same, without resolving names."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias
from urllib.parse import urlsplit

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?\Z", re.IGNORECASE)
# Text that resolvers read as an address (inet_aton), in any number of parts: decimal, octal or hexadecimal.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
# RFC 6761 section 6.3, the names of a Debian or Fedora /etc/hosts, and two of cloud metadata services.
_LOCAL_NAMES = frozenset(
    {"localhost", "localdomain", "localhost6", "localdomain6", "ip6-localhost", "ip6-loopback"}
    | {"metadata.google.internal", "instance-data.ec2.internal"}
)
_LOCAL_ENDINGS = (".localhost", ".localdomain", ".localdomain6")
# The IANA special-purpose registries (RFC 6890), multicast and reserved addresses, and Azure's own address.
# Python's `is_global` differs between minor versions.
_SPECIAL_IPV4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
]
_LOOPBACK_IPV4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_IPV6 = IPv6Address("::1")
# Outside it are loopback, link-local, unique local and multicast addresses, and embedded IPv4 addresses.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_SPECIAL_IPV6 = [IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_PORTS = {"http": 80, "https": 443}

#: Scheme, host and port.
Origin: TypeAlias = tuple[str, str, int | None]


def is_host(host: str) -> bool:
    """Return whether all programs read a host in the same way: as a name, or as an address.

    Args:
        host: as returned by `urlsplit`; an IPv6 address without brackets.
    """
    if ":" not in host:
        return bool(_NAME.match(host))
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1.

    Args:
        host: as returned by `urlsplit`; an IPv6 address without brackets.
    """
    if host.lower() == "localhost":
        return True
    try:
        return IPv6Address(host) == _LOOPBACK_IPV6 if ":" in host else IPv4Address(host) in _LOOPBACK_IPV4
    except AddressValueError:
        return False


def is_public_host(host: str) -> bool:
    """Return whether a host is not an address of this machine, a private network or a special range.

    A name is public, unless it is one that means this machine. An address in an unusual notation (`127.1`,
    `0x7f000001`, `010.0.0.1`) or with a zone is not public, regardless of its meaning.

    Args:
        host: a host for which `is_host` holds.
    """
    name = _canonical(host)
    if ":" in name:
        ipv6 = IPv6Address(name)
        special = any(ipv6 in network for network in _SPECIAL_IPV6)
        return ipv6 in _GLOBAL_IPV6 and ipv6.scope_id is None and not special
    if _NUMBER.match(name.rpartition(".")[2]):
        try:
            ipv4 = IPv4Address(name)
        except AddressValueError:
            return False
        return not any(ipv4 in network for network in _SPECIAL_IPV4)
    return name not in _LOCAL_NAMES and not name.endswith(_LOCAL_ENDINGS)


def is_same_host(host: str, other: str) -> bool:
    """Return whether two hosts are the same, ignoring letter case and a final dot."""
    return _canonical(host) == _canonical(other)


def _canonical(host: str) -> str:
    name = host.lower().rstrip(".")
    return str(IPv6Address(name)) if ":" in name else name


def origin_of(url: str) -> Origin:
    """Return scheme, host and port of a checked URL (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
