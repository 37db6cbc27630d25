"""The hosts of URLs that remotes name: public, private, the same as another one, or invalid."""

import pytest

from authguard import ConfigurationError
from authguard._core.hosts import is_host, is_public_host, is_same_host, origin_of
from authguard._core.options import check_named_url

ISSUER = "https://issuer.example/tenant"

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 (a host to refuse; no server listens at it)
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:a00:1]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[2001:db8:1:2:3:4:5:6]",
    "[3fff::1]",
    "[fc00::1]",
    "[fd00:1:2:3:4:5:6:7]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    "[ff02::1]",
    "[2606:4700::1111%25eth0]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "app.localhost",
    "a.b.LocalHost.",
    "localhost.localdomain",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
]
ODD = [
    "127.1",
    "127.0.1",
    "0",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0X7F.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0127.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "256.0.0.1",
    "1.2.3.4.5",
    "08.8.8.8",
    "134744072",
    "foo.0x7f",
    "foo.1",
]
PUBLIC = [
    "www.googleapis.com",
    "WWW.example.com.",
    "auth_server.example",
    "xn--bcher-kva.example",
    "8.8.8.8",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.3.1",
    "223.255.255.255",
    "[2606:4700:4700::1111]",
    "[2001:4860:4860::8888]",
    "notlocalhost",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "10.example",
]
UNREADABLE = [
    "%31%32%37.0.0.1",
    "127%2e0.0.1",
    "localhost%00",
    "１２７.0.0.1",  # noqa: RUF001 (full-width digits)
    "127。0。0。1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "local\u00adhost",
    "issuer.example,127.0.0.1",
    "issuer.example;127.0.0.1",
    "issuer.example@127.0.0.1",
    "issuer.example:443@127.0.0.1",
    "127.0.0.1\\@issuer.example",
    "issuer.example\\@127.0.0.1",
    "[::1]issuer.example",
    "[::1]:443:80",
    "[127.0.0.1]",
    "[v1.fe80]",
    "[::g]",
    "[]",
    "::1",
    "a..b",
    ".localhost",
    "x" * 64 + ".example",
    "x." * 127,
    "issuer.example:port",
    "issuer.example:0",
    " localhost",
    "local host",
    "",
]


@pytest.mark.parametrize("host", [*PRIVATE, *ODD])
def test_what_is_not_plainly_public_is_refused_with_the_option(host: str) -> None:
    """A private or odd host is refused with the advice to set `allow_private`, which lets it pass."""
    url = f"https://{host}:8443/jwks?x=1"
    with pytest.raises(ConfigurationError, match=r"HTTPOptions\(allow_private=True\)"):
        check_named_url(url, "jwks_uri", ISSUER)
    assert check_named_url(url, "jwks_uri", ISSUER, allow_private=True) == url


@pytest.mark.parametrize("host", PUBLIC)
def test_public_hosts_may_be_named(host: str) -> None:
    """A public host passes; a name counts as public, because it is not resolved."""
    url = f"https://{host}/jwks"
    assert check_named_url(url, "jwks_uri", ISSUER) == url


@pytest.mark.parametrize("host", UNREADABLE)
def test_a_host_that_programs_read_differently_is_none(host: str) -> None:
    """A host that two programs may read differently is refused with all options."""
    with pytest.raises(ConfigurationError, match="jwks_uri must (be a URL|have no user name)"):
        check_named_url(f"https://{host}/jwks", "jwks_uri", ISSUER, allow_private=True, plain_http=True)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://10.0.0.1", "https://10.0.0.1/jwks"),
        ("https://10.0.0.1:6443", "https://10.0.0.1/jwks"),
        ("http://localhost:8080/realms/a", "http://localhost:8081/jwks"),
        ("http://127.0.0.1:8080", "https://127.0.0.1/jwks"),
        ("http://[::1]:8080", "http://[0:0::1]/jwks"),
        ("https://Keycloak.localhost", "https://keycloak.LOCALHOST./jwks"),
        ("https://keycloak", "https://keycloak:8443/jwks"),
    ],
)
def test_the_own_host_may_always_be_named(issuer: str, url: str) -> None:
    """The host of the issuer may be named on any port."""
    assert check_named_url(url, "jwks_uri", issuer) == url


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("http://localhost:8080", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1", "http://127.0.0.2/"),
        ("https://10.0.0.1", "https://10.0.0.2/"),
        ("http://[::1]", "http://127.0.0.1/"),
        ("https://a.localhost", "https://b.localhost/"),
    ],
)
def test_another_private_host_may_not(issuer: str, url: str) -> None:
    """Another private host is refused, even if the issuer's host is private."""
    with pytest.raises(ConfigurationError, match="allow_private"):
        check_named_url(url, "jwks_uri", issuer)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, "http://issuer.example/jwks"),
        (ISSUER, "http://keys.example/jwks"),
        (ISSUER, "http://8.8.8.8/jwks"),
        ("https://localhost", "http://localhost/jwks"),
        ("https://127.0.0.1:8443", "http://127.0.0.1:8443/jwks"),
        ("http://localhost", "http://keys.example/jwks"),
    ],
)
def test_no_remote_leads_from_https_to_plain_http(issuer: str, url: str) -> None:
    """A remote may not lead from https, or from loopback, to plain http elsewhere without `plain_http`."""
    with pytest.raises(ConfigurationError, match="is plain http"):
        check_named_url(url, "jwks_uri", issuer)
    assert check_named_url(url, "jwks_uri", issuer, plain_http=True) == url


def test_plain_http_stays_on_loopback_if_private_hosts_are_allowed() -> None:
    """`allow_private` allows plain http on loopback, and not in a private network."""
    assert check_named_url("http://127.0.0.1/", "jwks_uri", ISSUER, allow_private=True) == "http://127.0.0.1/"
    with pytest.raises(ConfigurationError, match="is plain http"):
        check_named_url("http://10.0.0.1/", "jwks_uri", ISSUER, allow_private=True)


def test_the_error_names_the_option_of_the_caller() -> None:
    """The error names the option of the caller."""
    with pytest.raises(ConfigurationError, match="set the option of mine"):
        check_named_url("https://10.0.0.1/", "token_endpoint", ISSUER, option="the option of mine")


def test_hosts_by_themselves() -> None:
    """`is_host` takes an IPv6 address without brackets, and `is_same_host` ignores case and a final dot."""
    assert is_host("::1")
    assert not is_host("1:2")
    assert is_public_host("2606:4700::1111")
    assert is_same_host("A.example.", "a.EXAMPLE")
    assert not is_same_host("a.example", "b.example")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://a.example/x", True),
        ("HTTPS://A.example:443?x", True),
        ("https://a.example:8443/", False),
        ("http://a.example/", False),
        ("http://a.example:443/", False),
        ("https://b.a.example/", False),
        ("https://a.example./", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    """An origin has the default port of its scheme if the URL has no port."""
    assert (origin_of(url) == origin_of("https://a.example")) is same
