"""The subject of a client's own token, by each kind of verification: `client:` and the client id."""

import pytest

from authguard import (
    ClientAuth,
    Credential,
    Guard,
    IntrospectionVerifier,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
)
from authguard._core.answer.decision import Allow, Deny
from authguard._core.flow import Response
from authguard.drivers import run
from authguard.errors import MalformedTokenError, MissingRequiredClaimError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, bearer, claims, judge, jwk, make_token, rsa_key

URL = "https://issuer.example/introspect"


def by_jwt(**options):
    options = {"required_claims": ["exp"]} | options
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, **options)


def endpoint(**options):
    return IntrospectionVerifier(
        URL, auth=ClientAuth.post("api", "s3cret"), issuer=ISSUER, audience=AUDIENCE, **options
    )


def locally(body):
    return judge(by_jwt(), Credential(make_token(body), "bearer"), NOW)


def asking(body, verifier=None, answer=None, token="opaque"):
    world = World()
    world.pages[URL] = answer or page({"active": True, **body})
    return world.run((verifier or endpoint()).flow(Credential(token, "bearer"), NOW))


def signed(body):
    outer = {"iss": ISSUER, "aud": "api", "iat": NOW, "token_introspection": {"active": True, **body}}
    token = make_token(outer, algorithm="RS256", key=rsa_key(), typ="token-introspection+jwt")
    kind = {"content-type": "application/token-introspection+jwt"}
    return asking(body, endpoint(answer_keys=jwk(rsa_key())), Response(200, kind, token.encode()))


def both(body):
    return asking(body, endpoint(jwt=by_jwt()), token=make_token(body))


WAYS = {"JWTVerifier": locally, "introspection": asking, "signed introspection": signed, "jwt=": both}

SUBJECTS = [
    ({"sub": ..., "client_id": "web"}, "client:web"),
    ({"sub": ..., "azp": "web"}, "client:web"),
    ({"sub": ..., "azp": "web", "preferred_username": "service-account-web"}, "client:web"),
    ({"sub": ..., "client_id": "svc", "azp": "web"}, "client:svc"),
    ({"sub": ..., "client_id": "client:svc"}, "client:client:svc"),
    ({"sub": "ann", "azp": "web"}, "ann"),
    ({"sub": "web", "client_id": "web"}, "web"),
    ({"sub": "client:web", "client_id": "web"}, "client:web"),
    ({"sub": "clientele", "client_id": "web"}, "clientele"),
    ({"sub": "ann", "username": "Ann"}, "ann"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("changes", "subject"), SUBJECTS, ids=str)
def test_the_subject_is_the_same_however_it_is_verified(way, changes, subject):
    """A client that replaces a missing `sub` is marked, and differs from a user of the same name."""
    assert WAYS[way](claims(**changes)).principal.subject == subject


REFUSED = [
    ({"sub": "client:web"}, InvalidTokenError),
    ({"sub": "client:web", "client_id": "svc"}, InvalidTokenError),
    ({"sub": "client:web", "azp": "svc"}, InvalidTokenError),
    ({"sub": "client:", "azp": "svc"}, InvalidTokenError),
    ({"sub": ""}, MalformedTokenError),
    ({"sub": "", "client_id": "web"}, MalformedTokenError),
    ({"sub": 7, "client_id": "web"}, MalformedTokenError),
    ({"sub": ..., "client_id": 7}, MalformedTokenError),
    ({"sub": ..., "client_id": ""}, MissingRequiredClaimError),
    ({"sub": ...}, MissingRequiredClaimError),
    ({"sub": ..., "client_id": "web", "username": "ann"}, MissingRequiredClaimError),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("changes", "error"), REFUSED, ids=str)
def test_a_token_of_nobody_or_of_another_client_is_refused(way, changes, error):
    """A `sub` with the mark of another client, and a token without a subject, are refused."""
    with pytest.raises(error):
        WAYS[way](claims(**changes))


def test_the_answer_may_name_the_client_as_the_subject():
    """The answer may have the client as its `sub` if the token has none (RFC 9068 section 2.2)."""
    token = make_token(claims(sub=..., client_id="svc"))
    answer = claims(sub="svc", client_id="svc")
    assert asking(answer, endpoint(jwt=by_jwt()), token=token).principal.subject == "client:svc"
    for changes in ({"sub": "ann", "client_id": "svc"}, {"sub": "svc"}, {"sub": "web", "client_id": "web"}):
        with pytest.raises(InvalidTokenError, match="another subject"):
            asking(claims(**changes), endpoint(jwt=by_jwt()), token=token)


def test_a_client_is_revoked_by_its_marked_subject():
    """A revoked client is refused, and a user of the same name is not."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    guard = Guard(by_jwt(), revocations=revocations)
    revocations.revoke(subject="client:web", until=NOW + 900)
    client = make_token(claims(sub=..., client_id="web"))
    assert isinstance(run(guard.decide(bearer(client), NOW)), Deny)
    assert isinstance(run(guard.decide(bearer(make_token(claims(sub="web"))), NOW)), Allow)
