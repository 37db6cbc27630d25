"""Tokens of an authorization server by Authlib, over real sockets."""

import asyncio
import time
from urllib.parse import quote

import httpx
import pytest

from authguard import ClientAuth, Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from remote.authorization import AUDIENCE, SECRET, authorization_server
from support import bearer


@pytest.fixture
def issuer():
    with authorization_server() as issuer:
        yield issuer


def issue(issuer, scope="read", user="ann", client="app"):
    """Return a token for a user by password, or for the client itself."""
    form = (
        {"grant_type": "password", "username": user, "password": user}
        if user
        else {"grant_type": "client_credentials"}
    )
    answer = httpx.post(f"{issuer.url}/token", data={**form, "scope": scope}, auth=_basic(client))
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def revoke(issuer, token, client="app"):
    answer = httpx.post(f"{issuer.url}/revocation", data={"token": token}, auth=_basic(client))
    assert answer.status_code == 200, answer.text


def _basic(client):
    return (client, quote(SECRET, safe=""))


def introspection(issuer, **options):
    client = {} if "auth" in options else {"client_id": "api", "client_secret": SECRET}
    return IntrospectionVerifier(
        f"{issuer.url}/introspection", issuer=issuer.url, audience=AUDIENCE, **client, **options
    )


def blocking(guard, tokens):
    try:
        return [_result(run(guard.decide(bearer(token), time.time()))) for token in tokens]
    finally:
        guard.close()


def in_loop(guard, tokens):
    async def main():
        return [_result(await run_async(guard.decide(bearer(token), time.time()))) for token in tokens]

    return asyncio.run(main())


def _result(decision):
    return decision.refusal.status if hasattr(decision, "refusal") else decision.auth.principal


both = pytest.mark.parametrize("ask", [blocking, in_loop], ids=["sync", "async"])


@both
def test_opaque_tokens_are_introspected(issuer, ask):
    """An opaque token of a user or of a client is introspected, and an unknown one is a 401."""
    tokens = [issue(issuer, "read write"), issue(issuer, user=None, client="robot"), "nonsense"]
    user, client, nobody = ask(Guard(introspection(issuer)), tokens)
    assert (user.subject, user.client_id, user.scopes) == ("ann", "app", {"read", "write"})
    assert (client.subject, client.client_id) == ("client:robot", "robot")
    assert nobody == 401


@both
@pytest.mark.parametrize("method", ["basic", "post"])
def test_we_authenticate_there(issuer, ask, method):
    """The guard authenticates at the endpoint with a secret that has special characters."""
    auth = getattr(ClientAuth, method)("api", SECRET)
    (user,) = ask(Guard(introspection(issuer, auth=auth)), [issue(issuer)])
    assert user.subject == "ann"


@both
def test_a_wrong_secret_of_ours_is_our_fault(issuer, ask):
    """A wrong secret of the guard is a 503, so that the caller keeps its token."""
    guard = Guard(introspection(issuer, auth=ClientAuth.post("api", "wrong-secret")))
    assert ask(guard, [issue(issuer)]) == [503]


@both
def test_a_revoked_token_is_refused_after_the_cache_ttl(issuer, ask):
    """A revoked token is refused after the cache time, and at once without a cache."""
    token = issue(issuer)
    cached, uncached = Guard(introspection(issuer)), Guard(introspection(issuer, cache_ttl=0))
    assert [ask(guard, [token])[0].subject for guard in (cached, uncached)] == ["ann", "ann"]
    revoke(issuer, token)
    assert ask(uncached, [token]) == [401]
    assert ask(cached, [token])[0].subject == "ann"
    later = run(cached.decide(bearer(token), time.time() + 31))
    assert later.refusal.status == 401
    cached.close()


@both
def test_jwts_are_verified_with_keys_that_are_discovered(issuer, ask):
    """The keys of the metadata (RFC 8414) verify three tokens, with one request for each document."""
    tokens = [issue(issuer, "jwt read", user) for user in ("ann", "bob", "cleo")]
    guard = Guard(JWTVerifier.from_issuer(issuer.url, audience=AUDIENCE))
    assert [principal.subject for principal in ask(guard, tokens)] == ["ann", "bob", "cleo"]
    assert issuer.counts["/jwks"] == issuer.counts["/.well-known/oauth-authorization-server"] == 1


@pytest.mark.slow
@both
def test_200_tokens_of_a_key_rotated_in_are_accepted(issuer, ask):
    """Tokens by a new key are accepted with one more request for the keys."""
    guard = Guard(
        JWTVerifier(
            RemoteKeySet(f"{issuer.url}/jwks"), algorithms=["ES256"], issuer=issuer.url, audience=AUDIENCE
        )
    )
    before = issue(issuer, "jwt")
    issuer.tokens.clear()
    tokens = [before]
    issuer.rotate(publish=False)
    with httpx.Client(base_url=issuer.url, auth=_basic("app")) as client:
        for number in range(200):
            name = f"user{number}"
            form = {"grant_type": "password", "username": name, "password": name, "scope": "jwt"}
            tokens.append(client.post("/token", data=form).json()["access_token"])
    assert ask(guard, [before])[0].subject == "ann"
    issuer.published = issuer.keys[-1:]
    assert [principal.subject for principal in ask(guard, tokens[1:])] == [f"user{n}" for n in range(200)]
    assert issuer.counts["/jwks"] == 2


@both
def test_a_jwt_that_was_revoked_is_refused_by_both_together(issuer, ask):
    """A revoked JWT that is verified locally and introspected is a 401."""
    token = issue(issuer, "jwt")
    local = JWTVerifier.from_issuer(issuer.url, audience=AUDIENCE)
    guard = Guard(introspection(issuer, jwt=local, cache_ttl=0))
    assert ask(guard, [token])[0].subject == "ann"
    revoke(issuer, token)
    assert ask(guard, [token]) == [401]


@both
def test_the_server_is_gone(ask):
    """Without the server known keys are used, introspection is a 503, and the health has both states."""
    with authorization_server() as issuer:
        token, opaque = issue(issuer, "jwt"), issue(issuer)
        local = JWTVerifier.from_issuer(issuer.url, audience=AUDIENCE, leeway=300)
        guard = Guard(local, introspection(issuer))
        assert ask(guard, [token])[0].subject == "ann"
    later = run(guard.decide(bearer(token), time.time() + 310))
    assert later.auth.principal.subject == "ann"
    assert ask(guard, [opaque]) == [503]
    assert [each.state for each in guard.health(time.time() + 310)] == ["stale", "failing"]
    guard.close()
