"""`authguard serve --forwarded-allow-ips` trusts the listed proxies, and no others."""

import socket
from pathlib import Path

import pytest

from authguard.cli.serving.checks import read_proxies
from authguard.errors import ConfigurationError
from cli.servers import served
from cli.support import run

EXAMPLE = "10.0.0.1, or 10.0.0.0/24"


@pytest.mark.parametrize(
    ("given", "write"),
    [
        ("*", EXAMPLE),
        ("10.0.0.1,*", EXAMPLE),
        ("0.0.0.0/0", EXAMPLE),
        ("::/0", EXAMPLE),
        ("nginx", EXAMPLE),
        ("/run/nginx.sock", EXAMPLE),
        ("127.0.0.1:8000", EXAMPLE),
        ("10.0.0.1 10.0.0.2", EXAMPLE),
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("fd00::1/64", "fd00::/64"),
    ],
)
def test_other_texts_are_refused(given: str, write: str) -> None:
    """All addresses, or a name, are refused with an example."""
    with pytest.raises(ConfigurationError, match=r"^--forwarded-allow-ips must be addresses") as refused:
        read_proxies(given)
    assert str(refused.value).endswith(f": write {write}")


@pytest.mark.parametrize("given", ["0.0.0.0/1,128.0.0.0/1", "10.0.0.1, ::/1, 8000::/1"])
def test_all_addresses_in_parts_are_refused(given: str) -> None:
    """Networks that together are all addresses are refused with an example."""
    with pytest.raises(ConfigurationError, match=r"^--forwarded-allow-ips must not include all") as refused:
        read_proxies(given)
    assert str(refused.value).endswith(f": write {EXAMPLE}")


@pytest.mark.parametrize("given", ["", " ", ","])
def test_an_empty_list_is_refused(given: str) -> None:
    """An empty list, as from a variable that is not set, is refused."""
    with pytest.raises(ConfigurationError, match="must name the proxies"):
        read_proxies(given)


def test_addresses_and_networks_are_accepted() -> None:
    """Addresses and networks are accepted, with spaces around the commas; those of IPv4 in both spellings."""
    assert read_proxies("10.0.0.1, 10.0.0.0/8,::1,fd00::/64, ::ffff:192.0.2.1") == [
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "10.0.0.0/8",
        "::ffff:10.0.0.0/104",
        "::1",
        "fd00::/64",
        "192.0.2.1",
        "::ffff:192.0.2.1",
    ]
    assert read_proxies(None) is None


@pytest.mark.slow
def test_the_command_does_not_start() -> None:
    """The command ends with 2 and one line."""
    done = run("serve", "--dev", "--port", "0", "--forwarded-allow-ips", "*")
    assert done.returncode == 2 and "--forwarded-allow-ips must be" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_proxy_that_is_not_listed_is_named(workers: str, tmp_path: Path) -> None:
    """A proxy that is not listed is logged once in each process."""
    with served("--dev", "--workers", workers, AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/a.db") as server:
        for number in range(8):
            server.get("/healthz", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        server.read()
    lines = [line for line in server.err.splitlines() if "X-Forwarded-For" in line]
    assert 1 <= len(lines) <= int(workers)
    assert "a request from 127.0.0.1 has X-Forwarded-For, which is not used" in lines[0]
    assert lines[0].endswith("start with --forwarded-allow-ips 127.0.0.1")


@pytest.mark.slow
def test_a_listed_proxy_and_a_request_without_the_field_write_nothing(tmp_path: Path) -> None:
    """A listed proxy, or a request without the field, logs nothing."""
    database = f"sqlite:///{tmp_path}/a.db"
    with served("--dev", "--forwarded-allow-ips", "127.0.0.1", AUTHGUARD_DATABASE=database) as server:
        server.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
        server.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9:4711"})
        server.get("/healthz")
        server.read()
    assert "X-Forwarded-For" not in server.err


@pytest.mark.slow
def test_the_text_of_a_caller_in_place_of_an_address_is_escaped(tmp_path: Path) -> None:
    """Text that a trusted proxy passes on in place of an address is escaped, and named as no proxy."""
    database = f"sqlite:///{tmp_path}/a.db"
    with served("--dev", "--forwarded-allow-ips", "127.0.0.1", AUTHGUARD_DATABASE=database) as server:
        server.get("/healthz", headers=[(b"X-Forwarded-For", b"evil\xc2\x9b31m\xe2\x80\xae")])
        server.end()
    assert "X-Forwarded-For" not in server.err
    (line,) = [line for line in server.out.splitlines() if "/healthz" in line]
    assert line.isascii() and "evil" in line


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize(
    ("proxy", "client"), [("127.0.0.1", "198.51.100.7"), ("127.0.0.2", "::ffff:127.0.0.1")]
)
def test_a_socket_for_both_versions_of_ip_knows_its_proxy(tmp_path: Path, proxy: str, client: str) -> None:
    """With `--host ::`, the field of a listed proxy with IPv4 is used, and that of another is not."""
    options = ["--dev", "--host", "::", "--forwarded-allow-ips", proxy]
    with served(*options, AUTHGUARD_DATABASE=f"sqlite:///{tmp_path}/a.db") as server:
        server.base = server.base.replace("[::]", "127.0.0.1")
        assert server.get("/healthz", headers={"X-Forwarded-For": "198.51.100.7"}).status_code == 200
        assert server.end() == 0
    line = next(line for line in server.out.splitlines() if "GET /healthz" in line)
    assert client in line
    assert ("--forwarded-allow-ips 127.0.0.1" in server.err) is (proxy != "127.0.0.1")
