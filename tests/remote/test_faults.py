"""Faults of real connections to a remote, with and without an event loop."""

import asyncio
import ssl
import time

import pytest

from authguard import (
    Credential,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from remote import servers
from remote.heart import beating
from remote.servers import Answer, answer, raw, refused, serving
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, jwk, make_token

QUICK = HTTPOptions(timeout=0.4, connect_timeout=0.4)
TOKEN = make_token(claims(exp=NOW + 86400), algorithm="ES256", key=ec_key(), kid="a")
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}


def keys_at(url, http=QUICK):
    return JWTVerifier(
        RemoteKeySet(f"{url}/page", http=http), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE
    )


def discovery_at(url, http=QUICK):
    return JWTVerifier.from_issuer(url, audience=AUDIENCE, http=http)


def introspection_at(url, http=QUICK):
    return IntrospectionVerifier(
        f"{url}/page", client_id="api", client_secret="s", audience=AUDIENCE, http=http
    )


def blocking(verifier, now=NOW):
    """Verify a token without an event loop."""
    try:
        return run(verifier.flow(Credential(TOKEN, "bearer"), now)).principal.subject
    finally:
        Guard(verifier).close()


def in_loop(verifier, now=NOW):
    """Verify a token in an event loop that must not be blocked."""

    async def main():
        async with beating():
            return (await run_async(verifier.flow(Credential(TOKEN, "bearer"), now))).principal.subject

    return asyncio.run(main())


both = pytest.mark.parametrize("verify", [blocking, in_loop], ids=["sync", "async"])
each = pytest.mark.parametrize(
    "at", [keys_at, discovery_at, introspection_at], ids=["keys", "discovery", "introspection"]
)

RAW = ("hang", "drip_body", "drip_head", "half", "garbage", "hang_up", "endless")


@both
@each
@pytest.mark.parametrize("behaviour", RAW)
def test_a_server_that_misbehaves_is_left_in_time(at, verify, behaviour):
    """A server that does not answer correctly is an outage within the timeout."""
    with raw(getattr(servers, behaviour)) as url:
        started = time.monotonic()
        with pytest.raises(VerificationUnavailableError):
            verify(at(url))
        assert time.monotonic() - started < 10  # less than the server waits


@both
@each
def test_a_refused_connection_is_an_outage(at, verify):
    """A port without a server is an outage."""
    with pytest.raises(VerificationUnavailableError, match="connect"):
        verify(at(refused()))


PAGES = {
    "500": Answer(b"oops", 500),
    "502 html": Answer(b"<html>bad gateway</html>", 502, {"Content-Type": "text/html"}),
    "garbage": Answer(b"\x00\x01garbage"),
    "10 MB": Answer(b" " * 10_000_000),
    "html": Answer(b"<html></html>", 200, {"Content-Type": "text/html"}),
    "half": Answer(b'{"keys": [{"kty": '),
    "deep": Answer(b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}"),
    "compressed": Answer(b"\x1f\x8b", 200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
}


@both
@each
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_an_answer_of_no_use_is_an_outage(at, verify, page, server):
    """An answer that is an error, no JSON, too large, too deep or compressed is an outage."""
    server.pages = dict.fromkeys(("/page", "/.well-known/openid-configuration"), page)
    with pytest.raises(VerificationUnavailableError):
        verify(at(server.url))


@both
@each
def test_redirects_are_not_followed(at, verify, server):
    """A redirect is not followed, since it would send the token, or the trust in keys, to another server."""
    with serving() as other:
        elsewhere = Answer(b"", 307, {"Location": f"{other.url}/page"})
        server.pages = dict.fromkeys(("/page", "/.well-known/openid-configuration"), elsewhere)
        with pytest.raises(VerificationUnavailableError):
            verify(at(server.url))
        assert other.seen == []


@both
@pytest.mark.parametrize("at", [keys_at, introspection_at], ids=["keys", "introspection"])
def test_a_slow_server_within_the_timeout_is_waited_for(at, verify, server):
    """An answer that comes within the timeout is used, and the event loop is not blocked."""
    document = {**KEYS, **ACTIVE}
    page = answer(document)
    page.before = lambda: time.sleep(0.2)
    server.pages["/page"] = page
    assert verify(at(server.url)) == "ann"


@both
@pytest.mark.parametrize("at", [keys_at, introspection_at], ids=["keys", "introspection"])
def test_a_certificate_that_is_not_trusted_is_an_outage(at, verify, tls):
    """A certificate without a trusted authority is an outage, and is accepted with `ca_bundle`."""
    context, authority = tls
    with serving(context) as server:
        server.pages["/page"] = answer({**KEYS, **ACTIVE})
        with pytest.raises(VerificationUnavailableError, match="tls"):
            verify(at(server.url))
        trusting = HTTPOptions(ca_bundle=authority, timeout=2)
        assert verify(at(server.url, trusting)) == "ann"


@both
def test_a_server_that_speaks_no_tls_is_an_outage(verify, server):
    """A server without TLS at an https URL is an outage."""
    with pytest.raises(VerificationUnavailableError):
        verify(keys_at(server.url.replace("http://", "https://")))


@both
def test_a_proxy_is_used(verify, server):
    """A configured proxy gets the whole URL, and answers instead of the server."""
    server.pages["http://127.0.0.1:9/page"] = answer(KEYS)
    assert verify(keys_at("http://127.0.0.1:9", HTTPOptions(proxy=server.url))) == "ann"


@both
def test_fields_are_sent(verify, server):
    """A request to the remote has the configured fields and the user agent of authguard."""
    server.pages["/page"] = answer(KEYS)
    verify(keys_at(server.url, HTTPOptions(headers={"X-Tenant": "7"})))
    assert server.seen[0].headers["x-tenant"] == "7"
    assert server.seen[0].headers["user-agent"].startswith("authguard/")


@both
def test_clocks_may_differ(verify, server):
    """Times in an introspection answer may differ by the leeway of 30 seconds."""
    server.pages["/page"] = answer({**ACTIVE, "iat": NOW + 29, "nbf": NOW + 29, "exp": NOW - 29})
    assert verify(introspection_at(server.url)) == "ann"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Return a TLS context for `localhost`, and the file of its self-signed certificate."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(ec_key().public_key())
    builder = builder.serial_number(1).not_valid_before(today - dt.timedelta(days=1))
    builder = builder.not_valid_after(today + dt.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    builder = builder.add_extension(usage, critical=True)
    key_id = x509.SubjectKeyIdentifier.from_public_key(ec_key().public_key())
    certificate = builder.add_extension(key_id, critical=False).sign(ec_key(), hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        ec_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"
