"""Networks and addresses of IP, and the address of a client behind proxies."""

from dataclasses import dataclass, field

import pytest

from authguard._core.networks import covers, is_within, parse_address, parse_network
from authguard._core.proxies import TrustedProxies
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1%1", "192.0.2.1"),
        (f"fe80::1%{'a' * 56}", "fe80::1"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    """IPv4 written as IPv6 is read as IPv4, and the zone is left out."""
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.1/32",
        " 192.0.2.1",
        "192.0.2.1:80",
        "[::1]",
        f"fe80::1%{'a' * 57}",
        "1" * 5_000,
        None,
    ],
)
def test_other_text_is_no_address(text: str | None) -> None:
    """Text that is no address is None."""
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_form(text: str, network: str) -> None:
    """A network has one form, and an address is a network of one."""
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0.1/8", "10.0.0.0/33", "fe80::%1/64", "1" * 5_000, "10.0.0.0/8 "]
)
def test_other_text_is_no_network(text: str) -> None:
    """Text that is no network, or has bits after its prefix, is None."""
    assert parse_network(text) is None


def test_networks_hold_addresses_of_their_kind() -> None:
    """`::/0` contains no IPv4 address, and no network contains None."""
    everything = [parse_network("::/0")]
    assert is_within(parse_address("2001:db8::1"), everything)  # type: ignore[arg-type]
    assert not is_within(parse_address("192.0.2.1"), everything)  # type: ignore[arg-type]
    assert not is_within(None, [parse_network("0.0.0.0/0")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (["10.0.0.0/8"], ["10.1.0.0/16", "10.2.3.4"], True),
        (["10.0.0.0/8"], ["10.0.0.0/7"], False),
        (["10.0.0.0/8", "::/0"], ["2001:db8::1", "10.0.0.1"], True),
        (["::/0"], ["10.0.0.1"], False),
        (["0.0.0.0/0"], ["::ffff:10.0.0.1"], True),
        ([], ["10.0.0.1"], False),
        (["10.0.0.0/8"], [], True),
    ],
)
def test_networks_within_networks(outer: list[str], inner: list[str], expected: bool) -> None:
    """`covers` is true if each inner network is within one of the outer ones."""
    assert covers([parse_network(t) for t in outer], [parse_network(t) for t in inner]) is expected  # type: ignore[misc]


@dataclass
class Request(RequestView):
    """Be a request with the members that the address is read from."""

    peer: str | None = None  # type: ignore[assignment]  # an attribute will do
    forwarded: list[bytes] = field(default_factory=list)
    query = ""

    def fields(self, name: bytes) -> list[bytes]:
        return self.forwarded if name == b"x-forwarded-for" else []


PROXIES = TrustedProxies(["10.0.0.0/24", "2001:db8::/64"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # An address that is not listed: the field is not read.
        ("192.0.2.1", [b"198.51.100.1"], "192.0.2.1"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("10.0.1.1", [b"198.51.100.1"], "10.0.1.1"),
        # A proxy: the last address that is not listed counts, because the client can write those before it.
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"203.0.113.7, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"203.0.113.7", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"203.0.113.7, 198.51.100.1 ,\t10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, 2001:db8::2"], "198.51.100.1"),
        ("10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        # A request of a proxy itself.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"10.0.0.2"], "10.0.0.2"),
        # Text that is no address is ignored.
        ("10.0.0.1", [b"198.51.100.1, unknown"], None),
        ("10.0.0.1", [b"198.51.100.1, "], None),
        ("10.0.0.1", [b"198.51.100.1:443"], None),
        ("10.0.0.1", [b"\xff\xfe"], None),
        (None, [b"198.51.100.1"], None),
        ("", [b"198.51.100.1"], None),
        ("/run/app.sock", [b"198.51.100.1"], None),
    ],
)
def test_the_address_of_a_client(peer: str | None, forwarded: list[bytes], client: str | None) -> None:
    """The client's address is that of the server, or that of a listed proxy's field."""
    address = PROXIES.client_address(Request(peer, forwarded))
    assert (None if address is None else str(address)) == client


def test_a_long_field_is_not_read_to_its_end() -> None:
    """A long field is not read to its end."""
    address = PROXIES.client_address(Request("10.0.0.1", [b"198.51.100.1" + b",10.0.0.2" * 5_000]))
    assert str(address) == "10.0.0.2"


def test_without_proxies_the_server_is_believed() -> None:
    """Without proxies the address is that of the server."""
    assert str(TrustedProxies([]).client_address(Request("10.0.0.1", [b"198.51.100.1"]))) == "10.0.0.1"


@pytest.mark.parametrize(
    "proxies",
    [
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["128.0.0.0/2", "10.0.0.1", "192.0.0.0/2", "0.0.0.0/1"],
        ["::/1", "8000::/1"],
        ["::/1", "10.0.0.1", "8000::/2", "c000::/2"],
        ["::ffff:0.0.0.0/97", "128.0.0.0/1"],
    ],
)
def test_proxies_that_are_all_addresses_together(proxies: list[str]) -> None:
    """Networks that together are all addresses of a version of IP are refused, like one such network."""
    with pytest.raises(ConfigurationError, match="proxies must not include all addresses together"):
        TrustedProxies(proxies)
    assert TrustedProxies(proxies[:-1]).networks  # without the last one, some addresses are clients


@pytest.mark.parametrize("proxies", ["10.0.0.0/8", ["0.0.0.0/0"], ["::/0"], ["10.0.0.1/8"], [""], [7], None])
def test_proxies_that_cannot_be_meant(proxies: object) -> None:
    """Proxies that are invalid, or are all addresses, are refused."""
    with pytest.raises(ConfigurationError, match="proxies"):
        TrustedProxies(proxies)  # type: ignore[arg-type]
