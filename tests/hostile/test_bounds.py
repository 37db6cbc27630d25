"""Each memory has an upper bound, also after more entries than that."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    Credential,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
)
from authguard._core.jose import claim_paths, compact
from authguard._core.policy.policy import Policy
from authguard._core.remote.keys import Parse, RemoteKeys
from authguard.drivers import run
from authguard.errors import AuthGuardError
from authguard.verifiers.issuer_check import IssuerChecker
from remote.world import World, page
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    FakeRequest,
    claims,
    ec_key,
    judge,
    jwk,
    make_proof,
    make_token,
    thumbprint,
)

SIZE = 10  # of the guard in the first test
INTROSPECTION = f"{ISSUER}/introspect"
FIELDS = (b"authorization", b"x-api-key", b"cookie")


def _jwt() -> JWTVerifier:
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)


def _credentials(number: int) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the fields of a first-seen caller of each kind."""
    token = make_token(claims(jti=str(number)))
    bound = make_token(claims(jti=str(number), cnf={"jkt": thumbprint(jwk(ec_key()))}))
    return [
        ("bearer", [("authorization", f"Bearer {token}")]),
        ("cookie", [("cookie", f"access_token={token}"), ("sec-fetch-site", "same-origin")]),
        ("key", [("x-api-key", f"sk_live_{number:040}")]),
        ("bound", [("authorization", f"DPoP {bound}"), ("dpop", make_proof(bound))]),
    ]


def test_a_guard_remembers_no_more_than_it_was_told() -> None:
    """A guard remembers at most `cache_size` credentials of each kind."""
    keys = APIKeyVerifier(lambda digest: APIKey("robot"))
    cookie = AccessCookie("access_token", secure=False)
    guard = Guard(_jwt(), keys, cookie=cookie, proofs=[DPoP("https://api.example")], cache_size=SIZE)
    for number in range(3 * SIZE):
        for kind, fields in _credentials(number):
            request = FakeRequest("/a", headers=fields, credential_fields=FIELDS)
            assert type(run(guard.decide(request, NOW))).__name__ == "Allow", kind
    callers = guard._straight_path.callers
    ways = [way for way in callers._memories if way[0] != "dpop" and way[1] != "sec-websocket-protocol"]
    memories = {id(memory): memory for memory in (*map(callers._memories.__getitem__, ways), callers._bound)}
    sizes = [len(memory) for memory in memories.values() if len(memory)]
    assert len(sizes) == 4
    assert max(sizes) <= SIZE


def _unknown_keys() -> tuple[Callable[[int], Any], Callable[[], int]]:
    verifier = APIKeyVerifier(lambda digest: None)
    return lambda number: judge(verifier, Credential(f"sk_live_{number:040}", "api_key"), NOW), lambda: len(
        verifier._refused
    )


def _inactive_tokens() -> tuple[Callable[[int], Any], Callable[[], int]]:
    world = World()
    world.pages[INTROSPECTION] = page({"active": False})
    verifier = IntrospectionVerifier(
        INTROSPECTION, client_id="api", client_secret="s3cret", audience=AUDIENCE
    )

    def ask(number: int) -> None:
        world.calls.clear()
        world.run(verifier.flow(Credential(f"opaque{number}", "bearer"), NOW))

    return ask, lambda: len(verifier._inactive.until)


def _proof_headers() -> tuple[Callable[[int], Any], Callable[[], int]]:
    dpop, bound_to = DPoP("https://api.example"), thumbprint(jwk(ec_key()))
    return lambda number: dpop._verify(make_proof("t", header={"x": number}).encode(), bound_to), lambda: len(
        dpop._keys
    )


def _headers() -> tuple[Callable[[int], Any], Callable[[], int]]:
    return lambda number: compact.read_compact(make_token(kid=str(number))), lambda: len(compact._headers)


def _scopes() -> tuple[Callable[[int], Any], Callable[[], int]]:
    return lambda number: claim_paths._words(f"a{number} b"), lambda: claim_paths._words.cache_info().currsize


def _unknown_kids() -> tuple[Callable[[int], Any], Callable[[], int]]:
    keys = RemoteKeys(ISSUER, 300, 86400, random.random)
    keys.succeeded({"keys": [jwk(ec_key(), kid="a", alg="ES256")]}, Parse(frozenset({"ES256"})), 300, NOW)
    return lambda number: keys.plan_after(compact.Header("ES256", str(number), None), None, NOW), lambda: len(
        keys._missing
    )


def _paths() -> tuple[Callable[[int], Any], Callable[[], int]]:
    policy = Policy(["/admin"], None)
    return lambda number: policy.find("GET", f"/a/{number}"), lambda: len(policy.memory)


def _long_paths() -> tuple[Callable[[int], Any], Callable[[], int]]:
    policy = Policy(["/admin"], None)
    return lambda number: policy.find("GET", f"/{number}" + "/a" * 600), lambda: len(policy._long_paths)


def _issuers() -> tuple[Callable[[int], Any], Callable[[], int]]:
    checker = IssuerChecker(lambda issuer: True)
    return lambda number: run(checker.check(str(number), NOW)), lambda: len(checker._answers)


MEMORIES = {
    "unknown API keys": (_unknown_keys, 10_000),
    "inactive tokens": (_inactive_tokens, 10_000),
    "headers of proofs": (_proof_headers, 1024),
    "headers of tokens": (_headers, 1024),
    "scopes": (_scopes, 1024),
    "issuers that a function has judged": (_issuers, 10_000),
    "unknown kids": (_unknown_kids, 2_000),
    "verdicts": (_paths, 10_000),
    "verdicts about long paths": (_long_paths, 16),
}


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORIES)
def test_a_memory_has_a_bound(memory: str) -> None:
    """A memory that is filled beyond its bound has no more entries than that."""
    (make, bound) = MEMORIES[memory]
    use, size = make()
    for number in range(bound + 100):
        try:
            use(number)
        except AuthGuardError:  # some of them remember refusals
            continue
    assert 0 < size() <= bound
