"""The fake issuer of `authguard.testing` with each kind of client and verifier."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from authguard import ConfigurationError, Guard, HTTPOptions, JWTVerifier
from authguard.errors import InvalidTokenError, VerificationUnavailableError
from authguard.testing import Clock, FakeIssuer
from support import NOW

URL, AUDIENCE = "https://issuer.test", "https://api.test"


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(name="issuer")
def _issuer(clock: Clock) -> FakeIssuer:
    return FakeIssuer(clock=clock)


def by_client(issuer: FakeIssuer) -> httpx.Client:
    """Return a client of the transport."""
    return httpx.Client(transport=issuer.transport())


def by_wsgi(issuer: FakeIssuer) -> httpx.Client:
    """Return a client of the WSGI application."""
    return httpx.Client(transport=httpx.WSGITransport(issuer.wsgi))


def verify(issuer: FakeIssuer, token: str, client: Any = None) -> str:
    """Return the subject of a token, by discovery and a key set."""
    http = HTTPOptions(client=client or by_client(issuer))
    guard = Guard(JWTVerifier.from_issuer(issuer.url, audience=issuer.audience, http=http))
    return guard.verify(token, now=NOW).subject


@pytest.mark.parametrize("client", [by_client, by_wsgi])
@pytest.mark.parametrize("url", [URL, f"{URL}/tenant", f"{URL}/"])
def test_a_guard_finds_the_keys(url: str, client: Callable[[FakeIssuer], httpx.Client], clock: Clock) -> None:
    """A guard discovers the keys through the transport and the WSGI application, below any path."""
    issuer = FakeIssuer(url, clock=clock)
    assert verify(issuer, issuer.issue("ann"), client(issuer)) == "ann"


@pytest.mark.parametrize(
    "make",
    [lambda issuer: issuer.transport(), lambda issuer: httpx.ASGITransport(issuer.asgi)],
    ids=["transport", "ASGI"],
)
def test_an_event_loop_finds_the_keys(make: Callable[[FakeIssuer], Any], issuer: FakeIssuer) -> None:
    """A guard in an event loop discovers the keys through the transport and the ASGI application."""

    async def main() -> str:
        async with httpx.AsyncClient(transport=make(issuer)) as client:
            guard = Guard(JWTVerifier.from_issuer(URL, audience=AUDIENCE, http=HTTPOptions(client=client)))
            return (await guard.averify(issuer.issue("ann"), now=NOW)).subject

    assert asyncio.run(main()) == "ann"


def test_the_metadata_of_rfc_8414_are_there_too(issuer: FakeIssuer) -> None:
    """The metadata of RFC 8414 are at their own path, with the same issuer."""
    tenant = FakeIssuer(f"{URL}/tenant")
    for each, path in ((issuer, ""), (tenant, "/tenant")):
        answer = by_client(each).get(f"{URL}/.well-known/oauth-authorization-server{path}")
        assert answer.json()["issuer"] == each.url


def test_a_token_has_what_is_asked_for(issuer: FakeIssuer) -> None:
    """A token has the scopes, roles and claims of the arguments."""
    principal = Guard(issuer.verifier()).verify(
        issuer.issue("ann", scopes=["read"], roles=["clerk"], tenant="a", auth_time=NOW - 5), now=NOW
    )
    assert (principal.scopes, principal.roles) == ({"read"}, {"clerk"})
    assert (principal.claims["tenant"], principal.claims["auth_time"]) == ("a", NOW - 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_in": -60},
        {"aud": "https://other.test"},
        {"iss": "https://other.test"},
        {"exp": None},
        {"sub": None},
        {"nbf": NOW + 600},
        {"token_use": "id"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_bad_token_is_refused(changes: dict[str, Any], issuer: FakeIssuer) -> None:
    """A token with a valid signature and one fault is refused."""
    with pytest.raises(InvalidTokenError):
        verify(issuer, issuer.issue(**changes))


def test_a_token_of_another_with_the_same_name_is_forged(issuer: FakeIssuer) -> None:
    """A token of another fake issuer with the same URL is refused, because its key is not published."""
    with pytest.raises(InvalidTokenError):
        verify(issuer, FakeIssuer(URL).issue(exp=NOW + 60, iat=NOW))


def test_keys_rotate(issuer: FakeIssuer, clock: Clock) -> None:
    """Tokens of an old key are valid until it is withdrawn, and a new key is fetched."""
    guard = Guard(issuer.verifier())
    old = issuer.issue("ann")
    assert guard.verify(old, now=NOW).subject == "ann"
    issuer.rotate()
    clock.advance(60)
    assert guard.verify(issuer.issue("bob"), now=clock()).subject == "bob"
    issuer.rotate(withdraw=True)
    with pytest.raises(InvalidTokenError):
        Guard(issuer.verifier()).verify(old, now=clock())
    assert len(by_client(issuer).get(f"{URL}/jwks").json()["keys"]) == 1


def test_introspection_tells_active_tokens(issuer: FakeIssuer, clock: Clock) -> None:
    """Introspection accepts opaque and signed tokens until they are revoked or expired."""
    opaque, signed = issuer.issue_opaque("ann", scopes=["read"]), issuer.issue("bob")
    revoked = issuer.issue_opaque("eve")
    issuer.revoke(revoked)
    guard = Guard(issuer.introspection(cache_ttl=0))
    assert guard.verify(opaque, now=clock()).scopes == {"read"}
    assert guard.verify(signed, now=clock()).subject == "bob"
    for bad in (revoked, "unknown"):
        with pytest.raises(InvalidTokenError):
            guard.verify(bad, now=clock())
    clock.advance(300)
    with pytest.raises(InvalidTokenError):
        guard.verify(opaque, now=clock())


def test_a_token_is_revoked_over_http(issuer: FakeIssuer) -> None:
    """A token is revoked over HTTP (RFC 7009) by a client with its secret alone."""
    token = issuer.issue_opaque()
    client, url = by_client(issuer), f"{URL}/revoke"
    assert client.post(url, data={"token": token}).status_code == 401
    assert client.post(url, data={"token": token}, auth=("api", "x")).status_code == 401
    secret = {"client_id": issuer.client_id, "client_secret": issuer.client_secret}
    form = {"token": token, **secret}
    assert client.post(f"{URL}/introspect", data=form).json()["active"] is True
    assert client.post(url, data=form).status_code == 200
    assert client.post(f"{URL}/introspect", data=form).json() == {"active": False}


def test_a_wrong_secret_is_an_outage_of_ours(clock: Clock) -> None:
    """A wrong client secret is an outage, because the caller is not at fault."""
    issuer = FakeIssuer(clients={"api": "odd: s%cr+t"}, clock=clock)
    assert Guard(issuer.introspection()).verify(issuer.issue_opaque("ann"), now=NOW).subject == "ann"
    with pytest.raises(VerificationUnavailableError):
        Guard(issuer.introspection(client_secret="another")).verify(issuer.issue_opaque(), now=NOW)


@pytest.mark.parametrize("client", [by_client, by_wsgi])
def test_an_outage(issuer: FakeIssuer, client: Callable[[FakeIssuer], httpx.Client]) -> None:
    """In an outage no token can be verified, and afterwards tokens are accepted again."""
    token = issuer.issue("ann")
    with issuer.outage(), pytest.raises(VerificationUnavailableError):
        verify(issuer, token, client(issuer))
    assert verify(issuer, token, client(issuer)) == "ann"


def test_it_counts_what_it_is_asked(issuer: FakeIssuer) -> None:
    """`requests` lists the requests to the issuer, with one for the keys."""
    guard = Guard(issuer.verifier())
    for name in ("ann", "bob"):
        guard.verify(issuer.issue(name), now=NOW)
    assert issuer.requests == ["GET /.well-known/openid-configuration", "GET /jwks"]


def test_the_transport_connects_to_this_issuer_alone(issuer: FakeIssuer) -> None:
    """The transport refuses to connect to another host."""
    for url in ("https://other.test/jwks", "https://issuer.test.evil.example/jwks"):
        with pytest.raises(httpx.ConnectError):
            by_client(issuer).get(url)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/other", 404), ("POST", "/jwks", 405), ("GET", "/introspect", 405), ("HEAD", "/jwks", 200)],
)
def test_other_requests(method: str, path: str, status: int, issuer: FakeIssuer) -> None:
    """An unknown path is a 404, and a wrong method a 405, over WSGI too."""
    for client in (by_client(issuer), by_wsgi(issuer)):
        assert client.request(method, URL + path).status_code == status


def test_lifespan_is_answered(issuer: FakeIssuer) -> None:
    """The lifespan of the ASGI application starts and stops."""
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(issuer.asgi({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://issuer.test"}, "url must be"),
        ({"url": 5}, "url must be"),
        ({"audience": ""}, "audience must"),
        ({"clients": {}}, "clients must"),
        ({"clients": ["api"]}, "clients must"),
        ({"clients": {"api": ""}}, "the secret of 'api' in clients must"),
        ({"clock": 5}, "clock must"),
    ],
)
def test_options_are_checked(options: dict[str, Any], words: str) -> None:
    """Invalid options are refused when the issuer is built."""
    with pytest.raises(ConfigurationError, match=words):
        FakeIssuer(**options)


def test_secrets_are_not_shown(issuer: FakeIssuer) -> None:
    """Neither the repr nor `requests` shows a secret."""
    token = issuer.issue_opaque()
    Guard(issuer.introspection()).verify(token, now=NOW)
    assert token not in repr(issuer) + repr(issuer.requests)
    assert issuer.client_secret not in repr(issuer) + repr(issuer.requests)


def test_a_clock_moves_by_hand() -> None:
    """A clock is moved by seconds or to a moment, and other values are refused."""
    clock = Clock(NOW)
    clock.advance(1.5)
    assert clock() == NOW + 1.5
    clock.set(NOW)
    clock.advance(-1)
    assert clock() == NOW - 1
    for wrong in ("5", float("nan"), None):
        with pytest.raises(ConfigurationError, match="seconds must"):
            clock.advance(wrong)
