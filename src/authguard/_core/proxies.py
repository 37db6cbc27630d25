"""Determine the address of a client behind the proxies in front of the server."""

from collections.abc import Iterable

from authguard._core.networks import Address, Network, include_all, is_within, parse_address, parse_network
from authguard._core.options import check_list, check_text, got
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError

_FORWARDED_FOR = b"x-forwarded-for"
_MAX_HOPS = 32  # entries of the field that are examined, beginning with the nearest


class TrustedProxies:
    """Recognise connections from trusted proxies, whose fields are used.

    Args:
        proxies: addresses or networks, such as `10.0.0.0/24`.

    Raises:
        ConfigurationError: if a text is not a network, or the networks include all addresses of a version of
            IP.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        self.networks = tuple(_network(proxy) for proxy in check_list(proxies, "proxies", '"10.0.0.0/24"'))
        if include_all(self.networks):
            raise ConfigurationError(
                "proxies must not include all addresses together, got networks that do: name each proxy"
            )

    def includes(self, peer: str | None) -> bool:
        """Return whether a connection from this address is from one of the proxies."""
        return is_within(parse_address(peer), self.networks)

    def client_address(self, request: RequestView) -> Address | None:
        """Return the address of the client; None if it is not known.

        It is the address that the server reports. If that is a trusted proxy, it is the last address in
        `X-Forwarded-For` that is not one: each proxy appends the address of its peer, so entries written by
        the client come before that.
        """
        address = parse_address(request.peer)
        if not is_within(address, self.networks):
            return address
        hops = [hop for field in request.fields(_FORWARDED_FOR) for hop in field.split(b",")]
        for hop in reversed(hops[-_MAX_HOPS:]):
            address = parse_address(hop.strip(b" \t").decode("latin-1"))
            if not is_within(address, self.networks):
                return address
        return address


def _network(text: object) -> Network:
    network = parse_network(check_text(text, "each of proxies"))
    if network is None:
        raise ConfigurationError(
            f"each of proxies must be an address or a network such as '10.0.0.0/24', got {got(text)}"
        )
    if network.prefixlen == 0:
        raise ConfigurationError(f"each of proxies must not include all addresses, got {got(text)}")
    return network
