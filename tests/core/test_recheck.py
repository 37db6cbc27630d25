"""The recheck of an open connection."""

from urllib.parse import quote

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    MutualTLS,
    Principal,
    Rule,
    VerificationUnavailableError,
)
from authguard._core.answer.decision import Allow
from authguard._core.model import ANONYMOUS
from authguard.drivers import run
from core.test_mtls import bound_to, certificate
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    FakeRequest,
    bearer,
    claims,
    ec_key,
    jwk,
    make_proof,
    make_token,
    thumbprint,
)

HANDSHAKE = bearer(make_token(), "/ws", method="WEBSOCKET")


def guard(*verifiers, **options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(*(verifiers or (jwt,)), **options)


def opened(own_guard, request=HANDSHAKE):
    decision = run(own_guard.decide(request, NOW))
    assert isinstance(decision, Allow), decision
    return decision.auth


def status(own_guard, auth, request=HANDSHAKE, now=NOW + 60):
    denied = run(own_guard.recheck(request, auth, now))
    return None if denied is None else denied.refusal.status


def test_a_good_token_goes_on():
    """A connection stays open until its token expires, with the leeway of requests."""
    own_guard = guard()
    auth = opened(own_guard)
    assert [status(own_guard, auth, now=NOW + after) for after in (60, 629, 630)] == [None, None, 401]


def test_a_token_that_was_forgotten_is_verified_again():
    """A token that the guard has forgotten is verified again."""
    assert status(guard(), opened(guard())) is None


def test_a_sign_in_that_has_grown_old_ends_it():
    """A connection ends when the sign-in is older than `max_age` of its rule."""
    own_guard = guard(protected_paths=[Rule("/", max_age=120)])
    handshake = bearer(make_token(claims(auth_time=NOW)), "/ws", method="WEBSOCKET")
    auth = opened(own_guard, handshake)
    assert [status(own_guard, auth, handshake, NOW + after) for after in (120, 121)] == [None, 401]


def test_a_logout_ends_it():
    """A logout ends the connection at the next check."""
    store = MemoryRevocations(clock=lambda: NOW)
    own_guard = guard(revocations=store)
    auth = opened(own_guard)
    assert status(own_guard, auth) is None
    store.revoke(subject="ann", until=NOW + 600)
    assert status(own_guard, auth) == 401


def test_a_logout_store_that_raises_ends_it():
    """A store of logouts that raises ends the connection with a 500."""

    class Broken:
        broken = False

        def is_revoked(self, principal):
            return 1 / 0 if self.broken else False

    own_guard = guard(revocations=Broken())
    auth = opened(own_guard)
    Broken.broken = True
    assert status(own_guard, auth) == 500


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (InvalidTokenError("inactive"), 401),
        (VerificationUnavailableError("down"), 503),
        (ValueError("bug"), 500),
    ],
    ids=["inactive", "outage", "bug"],
)
def test_a_verifier_is_asked_again(answer, expected):
    """The verifier is called again, and an error of it ends the connection."""

    class Mine:
        answer = None

        def verify(self, credential):
            if self.answer is not None:
                raise self.answer
            return Principal("ann")

    verifier = Mine()
    own_guard = guard(verifier)
    auth = opened(own_guard)
    assert status(own_guard, auth) is None
    verifier.answer = answer
    assert status(own_guard, auth) == expected


def test_a_key_that_was_withdrawn_ends_it():
    """A revoked API key ends the connection as soon as its cached answer expires."""
    keys = {}
    own_guard = guard(APIKeyVerifier(lambda digest: keys.get("it"), cache_ttl=30))
    keys["it"] = APIKey("robot")
    request = FakeRequest("/ws", method="WEBSOCKET", headers={"x-api-key": "sk_live_0123456789"})
    auth = opened(own_guard, request)
    keys.clear()
    assert [status(own_guard, auth, request, NOW + after) for after in (29, 31)] == [None, 401]


@pytest.mark.parametrize(
    "before, after", [({"scopes": ["a", "b"]}, {"scopes": ["a"]}), ({"roles": ["a"]}, {})]
)
def test_what_was_granted_and_is_withdrawn_ends_it(before, after):
    """A scope or role that was withdrawn ends the connection, because a decorator may have required it."""
    keys = {"it": APIKey("robot", **before)}
    own_guard = guard(APIKeyVerifier(lambda digest: keys["it"], cache_ttl=0))
    request = FakeRequest("/ws", method="WEBSOCKET", headers={"x-api-key": "sk_live_0123456789"})
    auth = opened(own_guard, request)
    assert status(own_guard, auth, request) is None
    keys["it"] = APIKey("robot", **after)
    assert status(own_guard, auth, request) == 403


def test_a_credential_that_was_given_to_somebody_else_ends_it():
    """A credential that belongs to another subject now ends the connection."""
    keys = {"it": APIKey("robot")}
    own_guard = guard(APIKeyVerifier(lambda digest: keys["it"], cache_ttl=0))
    request = FakeRequest("/ws", method="WEBSOCKET", headers={"x-api-key": "sk_live_0123456789"})
    auth = opened(own_guard, request)
    keys["it"] = APIKey("another robot")
    assert status(own_guard, auth, request) == 401


def test_more_than_was_granted_does_not_end_it():
    """Further scopes or roles do not end the connection."""
    keys = {"it": APIKey("robot", scopes=["a"])}
    own_guard = guard(APIKeyVerifier(lambda digest: keys["it"], cache_ttl=0))
    request = FakeRequest("/ws", method="WEBSOCKET", headers={"x-api-key": "sk_live_0123456789"})
    auth = opened(own_guard, request)
    keys["it"] = APIKey("robot", scopes=["a", "b"], roles=["c"])
    assert status(own_guard, auth, request) is None


def test_the_rules_of_the_path_hold():
    """The rules of the path apply at a recheck."""
    auth = opened(guard())
    assert status(guard(protected_paths=[Rule("/ws", scopes=["x"])]), auth) == 403


def test_a_public_path_asks_for_no_scope_but_for_the_credential():
    """On a public path an expired credential ends the connection of an identified caller."""
    own_guard = guard(public_paths=["/ws"])
    auth = opened(own_guard)
    assert [status(own_guard, auth, now=NOW + after) for after in (60, 700)] == [None, 401]


@pytest.mark.parametrize(("user", "expected"), [("ada", None), (None, 401)], ids=["still there", "gone"])
def test_the_user_is_loaded_again(user, expected):
    """The user is loaded again, and None ends the connection."""
    users = ["ada"]
    own_guard = guard(user_loader=lambda principal: users[0])
    auth = opened(own_guard)
    users[0] = user
    assert status(own_guard, auth) == expected


def test_a_user_loader_that_cannot_tell():
    """A user loader that reports an outage ends the connection with a 503."""
    down = []

    def load(principal):
        if down:
            raise VerificationUnavailableError("the database is down")
        return principal

    own_guard = guard(user_loader=load)
    auth = opened(own_guard)
    down.append(True)
    assert status(own_guard, auth) == 503


BY_KEY = make_token(claims(cnf={"jkt": thumbprint(jwk(ec_key()))}))
BY_CERTIFICATE = make_token(claims(cnf={"x5t#S256": bound_to(certificate())}))


def test_no_new_dpop_proof_is_asked_for():
    """A recheck requires no new DPoP proof, and does not use the first one again."""
    own_guard = guard(proofs=[DPoP("https://api.example")])
    fields = {"authorization": f"DPoP {BY_KEY}", "dpop": make_proof(BY_KEY)}
    request = FakeRequest("/a", method="WEBSOCKET", headers=fields)
    auth = opened(own_guard, request)
    assert [status(own_guard, auth, request, NOW + after) for after in (60, 61, 629, 630)] == [
        None,
        None,
        None,
        401,
    ]


def test_no_certificate_is_asked_for():
    """A recheck requires no certificate of a proxy."""
    own_guard = guard(proofs=[MutualTLS(header="X-Cert", proxies=["127.0.0.1"])])

    class Request(FakeRequest):
        peer = "127.0.0.1"

    fields = {"authorization": f"Bearer {BY_CERTIFICATE}", "x-cert": quote(certificate())}
    request = Request("/a", method="WEBSOCKET", headers=fields)
    auth = opened(own_guard, request)
    bare = bearer(BY_CERTIFICATE, "/a", method="WEBSOCKET")
    assert [status(own_guard, auth, bare, NOW + after) for after in (60, 630)] == [None, 401]


def test_a_bound_token_still_needs_its_proof_for_a_handshake():
    """A new handshake with a bound token requires a proof."""
    own_guard = guard(proofs=[DPoP("https://api.example")])
    fields = {"authorization": f"DPoP {BY_KEY}", "dpop": make_proof(BY_KEY)}
    opened(own_guard, FakeRequest("/a", method="WEBSOCKET", headers=fields))
    del fields["dpop"]
    again = FakeRequest("/a", method="WEBSOCKET", headers=fields)
    assert run(own_guard.decide(again, NOW)).refusal.status == 401


def test_a_cookie_is_found_again():
    """A token in a cookie is rechecked with the fields of the handshake."""
    own_guard = guard(cookie=AccessCookie("session", secure=False))
    fields = {"cookie": f"session={make_token()}", "sec-fetch-site": "same-origin"}
    request = FakeRequest("/ws", method="WEBSOCKET", headers=fields)
    auth = opened(own_guard, request)
    assert [status(own_guard, auth, request, NOW + after) for after in (60, 630)] == [None, 401]


def test_whom_a_test_says_the_caller_is_may_go_on():
    """An override decides about the recheck, although the request has no credential."""
    own_guard, nobody = guard(), FakeRequest("/ws", method="WEBSOCKET")
    with own_guard.override(Principal("ada", expires_at=NOW - 1)):
        auth = opened(own_guard, nobody)
        assert status(own_guard, auth, nobody) is None
        with own_guard.override(ANONYMOUS):
            assert status(own_guard, auth, nobody) == 401


def test_a_subprotocol_that_cannot_be_meant():
    """An invalid subprotocol is refused when the guard is built."""
    with pytest.raises(ConfigurationError, match="subprotocol"):
        guard(subprotocol="a b")


def test_a_substitute_may_go_on():
    """A substitute's connection stays open; a connection with a token ends when the token expires."""
    own_guard, nobody = guard().substituting(Principal("fake")), FakeRequest("/ws", method="WEBSOCKET")
    assert status(own_guard, opened(own_guard, nobody), nobody, NOW + 10_000) is None
    auth = opened(own_guard)
    assert auth.principal.subject != "fake"
    assert [status(own_guard, auth, now=NOW + after) for after in (60, 630)] == [None, 401]


def test_a_proof_is_not_asked_for_again_beside_a_substitute():
    """A recheck beside a substitute requires no new proof."""
    own_guard = guard(proofs=[DPoP("https://api.example")]).substituting(Principal("fake"))
    fields = {"authorization": f"DPoP {BY_KEY}", "dpop": make_proof(BY_KEY)}
    request = FakeRequest("/a", method="WEBSOCKET", headers=fields)
    assert status(own_guard, opened(own_guard, request), request) is None
