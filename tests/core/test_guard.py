"""From a request to a decision."""

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, MemoryRevocations, Rule
from authguard._core.guard import Allow, Deny
from authguard.drivers import run
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, make_token


def guard(**options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, APIKeyVerifier({"sk_live_0123456789": APIKey("bob")}), **options)


def decide(request, **options):
    return run(guard(**options).decide(request, NOW))


def test_a_good_token_passes():
    """The user is the principal."""
    assert decide(bearer(make_token())).user.subject == "ann"


def test_a_good_key_passes():
    """A key in its own field names its subject."""
    assert decide(FakeRequest(headers={"x-api-key": "sk_live_0123456789"})).user.subject == "bob"


def test_nobody_is_refused():
    """Without a credential a protected path answers 401."""
    assert decide(FakeRequest("/a")).refusal.status == 401


def test_nobody_passes_on_public_paths():
    """A public path needs nobody."""
    assert isinstance(decide(FakeRequest("/p"), public_paths=["/p"]), Allow)


def test_a_missing_scope_is_a_403():
    """Who is known and lacks a scope is told so."""
    assert decide(bearer(make_token()), protected_paths=[Rule("/", scopes=["x"])]).refusal.status == 403


def test_a_callback_that_raises_is_a_500():
    """Nothing that a callback raises lets anybody pass."""
    assert decide(bearer(make_token()), user_loader=lambda _: 1 / 0).refusal.status == 500


def test_a_revoked_subject_is_refused():
    """A logout holds at once, for remembered tokens too."""
    store = MemoryRevocations(clock=lambda: NOW)
    one, request = guard(revocations=store), bearer(make_token())
    run(one.decide(request, NOW))
    store.revoke(subject="ann", until=NOW + 600)
    assert isinstance(run(one.decide(request, NOW)), Deny)
