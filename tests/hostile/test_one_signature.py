"""A request costs one signature check and one question to a remote, regardless of its token."""

from typing import Any

import pytest

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import AccessCookie, Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from hostile.counting import Work
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, b64, bearer, claims, ec_key, jwk, make_token, pem, rsa_key

FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi)}
SECRETS = [SECRET[number:] + SECRET[:number] for number in range(4)]
OTHER = "https://other.example"
INTROSPECTION, KEY_SET = f"{ISSUER}/introspect", f"{ISSUER}/jwks"


def _jwt(keys: Any, algorithm: str, issuer: str = ISSUER) -> JWTVerifier:
    return JWTVerifier(keys, algorithms=[algorithm], issuer=issuer, audience=AUDIENCE)


def _guard() -> Guard:
    """Return a guard with several keys of each kind, and several issuers."""
    secrets = {"keys": [_oct(secret, f"s{number}") for number, secret in enumerate(SECRETS)]}
    curves = {"keys": [jwk(ec_key(), kid=f"e{number}", alg="ES256") for number in range(4)]}
    cookie = AccessCookie("access_token", secure=False)
    verifiers = [_jwt(secrets, "HS256"), _jwt(curves, "ES256"), _jwt(pem(rsa_key()), "RS256")]
    return Guard(*verifiers, _jwt(SECRETS[1], "HS256", OTHER), cookie=cookie)


def _oct(secret: str, kid: str) -> dict[str, str]:
    return {"kty": "oct", "k": b64(secret.encode()), "kid": kid, "alg": "HS256"}


# by name: the token, the status, and the number of signature checks
TOKENS: dict[str, tuple[str, int, int]] = {
    "HS256": (make_token(key=SECRETS[2], kid="s2"), 200, 1),
    "HS256 by another key": (make_token(key=SECRETS[2], kid="s1"), 401, 1),
    "HS256 by no key of ours": (make_token(key="x" * 40, kid="s0"), 401, 1),
    "HS256 without kid": (make_token(key=SECRETS[0]), 401, 0),
    "HS256 with an unknown kid": (make_token(key=SECRETS[0], kid="s9"), 401, 0),
    "ES256": (make_token(algorithm="ES256", key=ec_key(), kid="e3"), 200, 1),
    "ES256, changed": (make_token(algorithm="ES256", key=ec_key(), kid="e3")[:-8] + "AAAAAAAA", 401, 1),
    "ES256 without kid": (make_token(algorithm="ES256", key=ec_key()), 401, 0),
    "RS256": (make_token(algorithm="RS256", key=rsa_key()), 200, 1),
    "RS256, expired": (make_token(claims(exp=NOW - 99), algorithm="RS256", key=rsa_key()), 401, 1),
    "another issuer": (make_token(claims(iss=OTHER), key=SECRETS[1]), 200, 1),
    "another issuer, by a key of the first": (make_token(claims(iss=OTHER), key=SECRETS[0]), 401, 1),
    "an unknown issuer": (make_token(claims(iss="https://x.example"), key=SECRETS[0]), 401, 0),
}


@pytest.mark.parametrize("field", ["Authorization", "Cookie"])
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", TOKENS)
def test_a_request_costs_one_signature_check(name: str, face: str, field: str) -> None:
    """A request has at most one signature check, by one key and one verifier."""
    token, status, checks = TOKENS[name]
    make, ask = FACES[face]
    app = make(_guard(), lambda: NOW)
    value = f"Bearer {token}" if field == "Authorization" else f"access_token={token}"
    fields = [(field, value.encode()), ("Sec-Fetch-Site", b"same-origin")]
    with Work() as work:
        answer = ask(app, "GET", "/private", fields)
    assert (answer.status, work.signatures) == (status, checks)


@pytest.mark.parametrize("name", TOKENS)
def test_a_known_token_costs_none(name: str) -> None:
    """A known token has no signature check, and a refused one has one for each request."""
    token, status, checks = TOKENS[name]
    app = raw_asgi(_guard(), lambda: NOW)
    fields = [("Authorization", f"Bearer {token}".encode())]
    assert ask_asgi(app, "GET", "/private", fields).status == status
    with Work() as work:
        ask_asgi(app, "GET", "/private", fields)
    assert work.signatures == (0 if status == 200 else checks)


def _remote_guard() -> tuple[Guard, World]:
    world = World()
    world.pages[KEY_SET] = page({"keys": [jwk(ec_key(), kid="a", alg="ES256")]})
    world.pages[INTROSPECTION] = page({"active": True, "sub": "ann", "aud": AUDIENCE})
    jwt = JWTVerifier(RemoteKeySet(KEY_SET), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    asking = IntrospectionVerifier(INTROSPECTION, client_id="api", client_secret="s3cret", audience=AUDIENCE)
    guard = Guard(jwt, asking)
    world.run(guard.decide(bearer(_signed("first")), NOW))  # the keys are known afterwards
    return guard, world


def _signed(name: str, kid: str = "a") -> str:
    return make_token(claims(jti=name), algorithm="ES256", key=ec_key(), kid=kid)


@pytest.mark.parametrize(
    ("token", "questions"),
    [("opaque", 1), (_signed("second"), 0), (_signed("third", kid="b"), 1), ("a.b.c", 1), ("opaque", 1)],
    ids=["opaque", "a JWT of a known key", "a JWT of an unknown key", "no JWT", "opaque again"],
)
def test_a_request_costs_one_question_to_a_remote(token: str, questions: int) -> None:
    """A request causes at most one introspection or one fetch of the key set."""
    guard, world = _remote_guard()
    world.calls.clear()
    world.run(guard.decide(bearer(token), NOW))
    assert len(world.calls) <= questions
    world.calls.clear()
    world.run(guard.decide(bearer(token), NOW))
    assert len(world.calls) <= questions
