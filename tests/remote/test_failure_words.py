"""Reasons of failed connections in words: certificates, ports and names of hosts."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authguard import Credential, HTTPOptions, VerificationUnavailableError
from authguard.drivers.asynchronous import run as run_async
from ports import free_port
from remote.servers import raw, serving
from remote.test_faults import TOKEN, blocking, in_loop, introspection_at, keys_at
from support import NOW

DAY = dt.timedelta(days=1)

both = pytest.mark.parametrize("verify", [blocking, in_loop], ids=["sync", "async"])
each = pytest.mark.parametrize("at", [keys_at, introspection_at], ids=["keys", "introspection"])


def certificate(folder: Path, *, name: str = "localhost", begins: int = -2, ends: int = 2) -> Path:
    """Create a certificate with its key in one file; it is valid between two days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(names, names, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(today + begins * DAY).not_valid_after(today + ends * DAY)
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(*form) + built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return file


def reason_of(verify: Callable[[Any], object], verifier: Any) -> str:
    """Return the reason of an outage."""
    with pytest.raises(VerificationUnavailableError) as outage:
        verify(verifier)
    return str(outage.value.reason)


@both
@each
@pytest.mark.parametrize(
    ("given", "is_trusted", "words"),
    [
        ({"ends": -1}, True, "tls: the certificate has expired"),
        ({"begins": 1}, True, "tls: the certificate is not valid yet"),
        ({"name": "other.example"}, True, "tls: the certificate is for another host"),
        ({}, False, "tls: the certificate is not trusted"),
    ],
    ids=["expired", "early", "other host", "unknown issuer"],
)
def test_the_fault_of_a_certificate_is_named(
    at: Any, verify: Any, tmp_path: Path, given: dict[str, Any], is_trusted: bool, words: str
) -> None:
    """The reason names the fault of the certificate of the server."""
    file = certificate(tmp_path, **given)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    options = HTTPOptions(ca_bundle=file if is_trusted else None, timeout=5, connect_timeout=5)
    with serving(context) as server:
        assert words in reason_of(verify, at(server.url, options))


@both
@each
def test_a_port_without_tls_is_named(at: Any, verify: Any) -> None:
    """The reason tells that a server answers in clear where TLS is expected."""

    def in_clear(connection: Any, ended: Any) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with raw(in_clear) as url:
        reason = reason_of(verify, at(url.replace("http://", "https://")))
    assert "tls: the server does not speak TLS at the port" in reason


@both
@each
def test_a_closed_port_and_an_unknown_host_are_named(at: Any, verify: Any) -> None:
    """The reason tells a closed port and an unknown host apart, and has no class of an exception."""
    options = HTTPOptions(timeout=5, connect_timeout=5)
    closed = reason_of(verify, at(f"https://127.0.0.1:{free_port()}", options))
    unknown = reason_of(verify, at("https://no-such-host.invalid", options))
    assert "connect: no server listens at the port" in closed
    assert "connect: the host " in unknown
    assert "Error" not in closed + unknown


def lingering(verifier: Any) -> None:
    """Verify a token in an event loop, which runs on until the connection is closed."""

    async def main() -> None:
        try:
            await run_async(verifier.flow(Credential(TOKEN, "bearer"), NOW))
        finally:
            await asyncio.sleep(0.1)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("verify", [blocking, lingering], ids=["sync", "async"])
def test_a_handshake_without_an_answer_is_no_fault_of_tls(verify: Any) -> None:
    """A server that accepts a connection and says nothing does not answer in time."""
    with raw(lambda connection, ended: ended.wait(5)) as url:
        reason = reason_of(verify, keys_at(url.replace("http://", "https://")))
    assert "in time" in reason or "no answer within" in reason
    assert "tls" not in reason
