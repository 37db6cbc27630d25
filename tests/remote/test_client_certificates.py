"""Mutual TLS at an introspection endpoint that requires a certificate (RFC 8705)."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authguard import (
    ClientAuth,
    ConfigurationError,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
)
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from remote.servers import Server, answer, serving
from support import AUDIENCE, NOW, bearer

ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}


@dataclass
class Identity:
    """A self-signed certificate with its key."""

    certificate: Path
    key: Path

    def load(self, context: ssl.SSLContext) -> None:
        """Load the certificate into a TLS context."""
        context.load_cert_chain(self.certificate, self.key)


def make_identity(folder: Path, name: str) -> Identity:
    """Create a certificate for a host or a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(names, names, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(today - dt.timedelta(days=1)).not_valid_after(today + dt.timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = built.sign(key, hashes.SHA256())
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    identity.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    identity.key.write_bytes(key.private_bytes(*form))
    return identity


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """Create the certificates of the server, its client and a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    return {name: make_identity(folder, name) for name in ("localhost", "client", "stranger")}


@pytest.fixture
def endpoint(identities: dict[str, Identity]) -> Iterator[Server]:
    """Run an endpoint that accepts only the certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identities["localhost"].load(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(identities["client"].certificate)
    with serving(context) as server:
        server.pages["/introspect"] = answer(ACTIVE)
        yield server


def client_context(identities: dict[str, Identity], name: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the server, with the certificate of this name or without one."""
    context = ssl.create_default_context(cafile=str(identities["localhost"].certificate))
    if name is not None:
        identities[name].load(context)
    return context


def guard_at(endpoint: Server, client: Any) -> Guard:
    """Return a guard that asks the endpoint."""
    verifier = IntrospectionVerifier(
        f"{endpoint.url}/introspect",
        auth=ClientAuth.tls("api"),
        audience=AUDIENCE,
        http=HTTPOptions(client=client),
    )
    return Guard(verifier)


def test_a_certificate_authenticates_us(endpoint: Server, identities: dict[str, Identity]) -> None:
    """The form has the client id and no secret, without an event loop."""
    with httpx.Client(verify=client_context(identities, "client")) as client:
        decision: Any = run(guard_at(endpoint, client).decide(bearer("opaque"), NOW))
    assert decision.auth.principal.subject == "ann"
    (seen,) = endpoint.seen
    assert seen.form == {"token": ["opaque"], "token_type_hint": ["access_token"], "client_id": ["api"]}
    assert "authorization" not in seen.headers


def test_a_certificate_authenticates_us_in_an_event_loop(
    endpoint: Server, identities: dict[str, Identity]
) -> None:
    """An `AsyncClient` authenticates by its certificate."""

    async def main() -> Any:
        async with httpx.AsyncClient(verify=client_context(identities, "client")) as client:
            return await run_async(guard_at(endpoint, client).decide(bearer("opaque"), NOW))

    assert asyncio.run(main()).auth.principal.subject == "ann"


@pytest.mark.parametrize("name", [None, "stranger"])
def test_without_the_certificate_it_is_an_outage(
    endpoint: Server, identities: dict[str, Identity], name: str | None
) -> None:
    """A connection without the right certificate is a 503, and reaches no page."""
    with httpx.Client(verify=client_context(identities, name)) as client:
        decision: Any = run(guard_at(endpoint, client).decide(bearer("opaque"), NOW))
    assert decision.refusal.status == 503
    assert endpoint.seen == []


@pytest.mark.parametrize("http", [None, HTTPOptions()], ids=["no options", "no client"])
def test_a_client_without_a_certificate_is_found_when_built(http: HTTPOptions | None) -> None:
    """Options without a client with a certificate are refused when the verifier is built."""
    with pytest.raises(ConfigurationError, match="load_cert_chain"):
        IntrospectionVerifier("https://issuer.example", auth=ClientAuth.tls("api"), http=http)


def test_plain_http_is_found_when_built() -> None:
    """An endpoint without TLS is refused when the verifier is built."""
    with httpx.Client() as client, pytest.raises(ConfigurationError, match="must be https"):
        IntrospectionVerifier(
            "http://127.0.0.1:8000", auth=ClientAuth.tls("api"), http=HTTPOptions(client=client)
        )
