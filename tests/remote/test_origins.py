"""The fields of requests to remotes: configured ones by origin, and never cookies or those of a .netrc."""

import asyncio
import time

import httpx
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
from remote.servers import answer, serving
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, jwk, make_token

KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}
COOKIES = {"Set_Cookie": "session=of-somebody; Path=/"}
SECRET = {"X-Tenant-Secret": "s3cret"}


def token(issuer=ISSUER, kid="a"):
    return make_token(claims(iss=issuer, exp=NOW + 86400), algorithm="ES256", key=ec_key(), kid=kid)


def blocking(verifier, *moments, text=None):
    """Verify at each of these times without an event loop."""
    try:
        for number, now in enumerate(moments):
            run(verifier.flow(Credential(text or f"opaque-{number}", "bearer"), now))
    finally:
        Guard(verifier).close()


def in_loop(verifier, *moments, text=None):
    """Verify at each of these times in one event loop."""

    async def main():
        for number, now in enumerate(moments):
            await run_async(verifier.flow(Credential(text or f"opaque-{number}", "bearer"), now))

    asyncio.run(main())


both = pytest.mark.parametrize("verify", [blocking, in_loop], ids=["sync", "async"])


def introspection_at(server, **options):
    return IntrospectionVerifier(
        f"{server.url}/introspect",
        client_id="api",
        client_secret="s",
        audience=AUDIENCE,
        cache_ttl=0,
        http=HTTPOptions(**options),
    )


def issuer_at(server, **options):
    return JWTVerifier.from_issuer(server.url, audience=AUDIENCE, http=HTTPOptions(**options))


@pytest.fixture
def other():
    """Run a server of another origin: the same host, and another port."""
    with serving() as server:
        server.pages["/jwks"] = answer(KEYS)
        yield server


def names_keys(server, url, **fields):
    server.pages["/.well-known/openid-configuration"] = answer(
        {"issuer": server.url, "jwks_uri": url}, **fields
    )


@both
def test_cookies_of_an_introspection_endpoint_are_not_kept(verify, server):
    """A cookie that the endpoint sets is not sent with the next token."""
    server.pages["/introspect"] = answer(ACTIVE, **COOKIES)
    verify(introspection_at(server), NOW, NOW, NOW)
    assert len(server.seen) == 3
    assert not [seen for seen in server.seen if "cookie" in seen.headers]


@both
def test_cookies_of_an_issuer_are_not_kept(verify, server):
    """Cookies of the metadata and of the keys are not sent to the issuer."""
    names_keys(server, f"{server.url}/jwks", **COOKIES)
    server.pages["/jwks"] = answer(KEYS, **COOKIES)
    verify(issuer_at(server), NOW, NOW + 4000, text=token(server.url))
    assert [seen.path for seen in server.seen].count("/jwks") >= 2
    assert not [seen for seen in server.seen if "cookie" in seen.headers]


def test_a_client_of_the_users_is_used_with_its_cookies(server):
    """A given client sends its own cookies."""
    server.pages["/introspect"] = answer(ACTIVE)
    with httpx.Client(cookies={"mine": "1"}) as client:
        blocking(introspection_at(server, client=client), NOW)
    assert server.seen[0].headers["cookie"] == "mine=1"


@both
def test_fields_go_to_the_origin_of_the_issuer_alone(verify, server, other):
    """Configured fields are sent to the origin of the issuer, and not to another one of its metadata."""
    names_keys(server, f"{other.url}/jwks")
    verify(issuer_at(server, headers=SECRET | {"User-Agent": "mine"}), NOW, text=token(server.url))
    (asked_for_metadata,), (asked_for_keys,) = server.seen, other.seen
    assert (asked_for_metadata.headers["x-tenant-secret"], asked_for_metadata.headers["user-agent"]) == (
        "s3cret",
        "mine",
    )
    assert "x-tenant-secret" not in asked_for_keys.headers
    assert asked_for_keys.headers["user-agent"].startswith("authguard/")


@both
def test_fields_go_to_each_origin_that_is_listed(verify, server, other):
    """Configured fields are sent to another origin that is listed in `origins`."""
    names_keys(server, f"{other.url}/jwks")
    verify(
        issuer_at(server, headers=SECRET, origins=["https://x.example", other.url]),
        NOW,
        text=token(server.url),
    )
    assert other.seen[0].headers["x-tenant-secret"] == "s3cret"


@both
def test_fields_go_to_the_endpoint_that_is_configured(verify, server):
    """Configured fields are sent to an introspection endpoint, and to the URL of a key set."""
    server.pages |= {"/introspect": answer(ACTIVE), "/jwks": answer(KEYS)}
    verify(introspection_at(server, headers=SECRET), NOW)
    keys = RemoteKeySet(f"{server.url}/jwks", http=HTTPOptions(headers=SECRET))
    verify(JWTVerifier(keys, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE), NOW, text=token())
    assert [seen.headers["x-tenant-secret"] for seen in server.seen] == ["s3cret", "s3cret"]


@both
def test_no_credentials_come_from_a_netrc(verify, server, tmp_path, monkeypatch):
    """A request to a remote has no credentials of a .netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password s3cret\n")
    netrc.chmod(0o600)
    (tmp_path / ".netrc").write_text(netrc.read_text())
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    names_keys(server, f"{server.url}/jwks")
    server.pages["/jwks"] = answer(KEYS)
    verify(issuer_at(server), NOW, text=token(server.url))
    assert len(server.seen) == 2
    assert not [seen for seen in server.seen if "authorization" in seen.headers]


@both
def test_metadata_that_leads_to_another_private_host_leads_nowhere(verify, server, other, caplog):
    """Metadata with another private host are a 503 and a warning, unless `allow_private` is set."""
    url = other.url.replace("127.0.0.1", "127.1")
    names_keys(server, f"{url}/jwks")
    verifier = issuer_at(server)
    with pytest.raises(VerificationUnavailableError, match="allow_private=True"):
        verify(verifier, NOW, text=token(server.url))
    assert other.seen == []
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "HTTPOptions(allow_private=True)" in warning.getMessage()
    assert "allow_private" in verifier.health(NOW)[0].reason
    names_keys(server, f"{other.url.replace('127.0.0.1', 'localhost')}/jwks")
    verify(issuer_at(server, allow_private=True), NOW, text=token(server.url))
    assert other.count("/jwks") == 1


@both
@pytest.mark.parametrize("host", ["xn--a", "x" * 63 + ".invalid"])
def test_a_host_that_cannot_be_encoded_is_an_outage(verify, server, host):
    """Metadata with a host name that cannot be encoded are an outage."""
    names_keys(server, f"https://{host}/jwks")
    started = time.monotonic()
    with pytest.raises(VerificationUnavailableError):
        verify(issuer_at(server), NOW, text=token(server.url))
    assert time.monotonic() - started < 5
