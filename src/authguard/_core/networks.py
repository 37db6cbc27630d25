"""Read networks and addresses of IP, also IPv4 that is written as IPv6 (RFC 4291 section 2.5.5.2)."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from itertools import chain
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAX_ADDRESS = 64  # characters; the longest address has 45, and a zone may follow
_MAPPED = IPv6Network("::ffff:0:0/96")


def parse_address(text: str | None) -> Address | None:
    """Return an address; for an IPv4 address that is written as IPv6, the IPv4 address.

    None for other text.
    """
    if text is None or len(text) > _MAX_ADDRESS:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:  # the zone names a link of the sending machine, and is ignored
            return IPv6Address(int(address))
    return address


def parse_network(text: str) -> Network | None:
    """Return a network such as `10.0.0.0/24`, or the network of a single address. None for other text.

    If address bits after the prefix are set, it is not a network, because the intended prefix is unknown.
    """
    if len(text) > _MAX_ADDRESS or "%" in text:
        return None
    try:
        network = ip_network(text)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFF_FFFF
        return IPv4Network((number, network.prefixlen - _MAPPED.prefixlen))
    return network


def is_within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Return whether one of the networks contains an address; False if the address is not known."""
    return address is not None and any(address in network for network in networks)


def include_all(networks: Iterable[Network]) -> bool:
    """Return whether networks include all addresses of a version of IP, such as both halves of them."""
    networks = list(networks)
    of_version_4 = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    of_version_6 = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    return any(network.prefixlen == 0 for network in chain[Network](of_version_4, of_version_6))


def covers(outer: Iterable[Network], inner: Iterable[Network]) -> bool:
    """Return whether each network of `inner` lies in one of `outer`."""
    outer = list(outer)
    return all(any(_is_subnet(network, around) for around in outer) for network in inner)


def _is_subnet(network: Network, around: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(around, IPv4Network) and network.subnet_of(around)
    return isinstance(around, IPv6Network) and network.subnet_of(around)
