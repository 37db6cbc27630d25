"""The cause of a refusal, for programs, and the claim that it is about."""

import json

import pytest

from authguard import (
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    Credential,
    IntrospectionVerifier,
    InvalidTokenError,
    JWTVerifier,
    RemoteKeySet,
)
from authguard._core.answer.refusal import Challenges, refuse
from authguard.errors import Cause, RevokedTokenError, UnprovenTokenError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, b64, claims, judge, make_token

OTHER = "another-Secret-2xL7mZ4pR8tW1yB6nC5sD0fGh"
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(range(32)))}
KEYS = {
    "sk_live_disabled0123456789": APIKey("bob", disabled=True),
    "sk_live_expired0123456789": APIKey("bob", expires_at=NOW - 1),
}


def verifier(**options):
    """Return a verifier of HS256 tokens."""
    good = {"keys": SECRET, "algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE}
    return JWTVerifier(**{**good, **options})


@pytest.mark.parametrize(
    ("token", "cause", "claim"),
    [
        ("a.b.c", Cause.MALFORMED, None),
        (make_token(claims(exp=NOW - 60)), Cause.EXPIRED, "exp"),
        (make_token(claims(nbf=NOW + 60)), Cause.NOT_YET_VALID, "nbf"),
        (make_token(claims(iat=NOW + 60)), Cause.ISSUED_IN_FUTURE, "iat"),
        (make_token(claims(iss="https://other.example")), Cause.ISSUER, None),
        (make_token(claims(aud="other")), Cause.AUDIENCE, None),
        (make_token(claims(exp=...)), Cause.MISSING_CLAIM, "exp"),
        (make_token(claims(jti=5)), Cause.MALFORMED, "jti"),
        (make_token(claims(token_use="id")), Cause.KIND, "token_use"),
        (make_token(claims(token_type="refresh")), Cause.KIND, "token_type"),
        (make_token(claims(typ="ID")), Cause.KIND, "typ"),
        (make_token(claims(type="password_reset")), Cause.KIND, "type"),
        (make_token(claims(at_hash="x")), Cause.KIND, "at_hash"),
        (make_token(claims(sub="client:billing")), Cause.INVALID, "sub"),
        (make_token(claims(sub="")), Cause.MALFORMED, "sub"),
        (make_token(key=OTHER), Cause.SIGNATURE, None),
    ],
    ids=lambda value: value if isinstance(value, Cause) else None,
)
def test_a_token_is_refused_with_its_cause(token, cause, claim):
    """A refused token has a cause, and the name of the claim, if one claim is the reason."""
    with pytest.raises(InvalidTokenError) as raised:
        judge(verifier(), Credential(token, "bearer"), NOW)
    assert (raised.value.cause, raised.value.claim) == (cause, claim)


@pytest.mark.parametrize("changes", [{}, {"client_id": "web", "username": "ann"}], ids=str)
def test_a_token_of_nobody_lacks_its_subject(changes):
    """A token without a `sub`, and without a client that replaces it, has a missing claim as its cause."""
    with pytest.raises(InvalidTokenError) as raised:
        judge(
            verifier(required_claims=["exp"]),
            Credential(make_token(claims(sub=..., **changes)), "bearer"),
            NOW,
        )
    assert (raised.value.cause, raised.value.claim) == (Cause.MISSING_CLAIM, "sub")


def test_a_token_without_a_key_for_it_has_a_cause_of_its_own():
    """A token without a matching key has another cause than one with a wrong signature."""
    with pytest.raises(InvalidTokenError) as raised:
        judge(verifier(keys=ED25519, algorithms=["EdDSA"]), Credential(make_token(), "bearer"), NOW)
    assert raised.value.cause is Cause.UNKNOWN_KEY


def test_an_algorithm_that_is_not_listed_has_a_cause_of_its_own():
    """No keys are fetched for an algorithm that is not listed."""
    by = verifier(keys=RemoteKeySet(f"{ISSUER}/jwks"), algorithms=["ES256"])
    with pytest.raises(InvalidTokenError) as raised:
        judge(by, Credential(make_token(algorithm="HS512"), "bearer"), NOW)
    assert raised.value.cause is Cause.ALGORITHM


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ("sk_live_disabled0123456789", Cause.DISABLED),
        ("sk_live_expired0123456789", Cause.EXPIRED),
        ("sk_live_unknown0123456789", Cause.UNKNOWN_API_KEY),
    ],
)
def test_an_api_key_is_refused_with_its_cause(key, cause):
    """A refused API key has a cause."""
    with pytest.raises(InvalidTokenError) as raised:
        judge(APIKeyVerifier(KEYS), Credential(key, "api_key", "x-api-key"), NOW)
    assert raised.value.cause is cause


def test_a_token_that_is_not_active_has_a_cause_of_its_own():
    """A token that the introspection endpoint calls inactive has a cause."""
    world = World()
    world.pages[f"{ISSUER}/introspect"] = page({"active": False})
    verifier = IntrospectionVerifier(
        f"{ISSUER}/introspect", audience=AUDIENCE, auth=ClientAuth.bearer("t0ken")
    )
    with pytest.raises(InvalidTokenError) as raised:
        world.run(verifier.flow(Credential("opaque", "bearer"), NOW))
    assert raised.value.cause is Cause.INACTIVE


@pytest.mark.parametrize(
    ("error", "cause"), [(RevokedTokenError(), Cause.REVOKED), (UnprovenTokenError(), Cause.UNPROVEN)]
)
def test_an_error_has_the_cause_of_its_class(error, cause):
    """An error class with a fixed cause has it by default."""
    assert error.cause is cause


def test_no_answer_holds_a_cause():
    """The answer is the same for each cause (RFC 6750 section 3.1)."""
    challenges = Challenges("api")
    answers = {
        json.dumps([list(refusal.headers), refusal.body.decode()])
        for refusal in (refuse(InvalidTokenError(cause=cause, claim="exp"), challenges) for cause in Cause)
    }
    assert len(answers) == 1
