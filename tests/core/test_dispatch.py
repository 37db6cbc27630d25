"""The choice among several verifiers, and the combinations that are refused as ambiguous."""

import pytest

from authguard import (
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    ConfigurationError,
    Credential,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MutualTLS,
    Principal,
)
from authguard._core.answer.decision import Allow
from authguard._core.dispatch import arrange
from authguard._core.flow import Shared
from authguard._core.verifier import Verified, Verifier, as_verifier
from core.test_mtls import TLSRequest, bound_to, certificate
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token, pem, rsa_key

OTHER = "https://other.example"
OTHER_SECRET = "Zr7Pq1Wm4Xc9Tn2Yv6Lk8Jh3Gf5DsBa0eUoIiE"
KEY = "sk_live_0123456789abcdef"
PARTNER = "pk_live_0123456789abcdef"
BARE = "0123456789abcdef"


def jwt(secret=SECRET, issuer=ISSUER, algorithms=("HS256",), kind=JWTVerifier):
    return kind(secret, algorithms=algorithms, issuer=issuer, audience=AUDIENCE)


def introspection(name="a", **options):
    url = f"https://{name}.example/introspect"
    return IntrospectionVerifier(url, auth=ClientAuth.post("api", "s3cret"), audience=AUDIENCE, **options)


def keys(key=KEY, **options):
    return APIKeyVerifier({key: APIKey("robot")}, **options)


class SubclassedJWTVerifier(JWTVerifier):
    """Be a subclass of a built-in verifier."""


class Own:
    """Verify tokens of any form, as a verifier of the application."""

    def __init__(self, **members):
        vars(self).update(members)

    def verify(self, credential):
        return Principal(f"own {credential.value}", method=credential.method)


def chosen_verifier(verifiers, *credential):
    """Return the first verifier that accepts the credential."""
    verifiers = [as_verifier(verifier) for verifier in verifiers]
    return next((each for each in arrange(verifiers) if each.accepts(Credential(*credential))), None)


TOLD_APART = {
    "keys by field": [keys(), keys(PARTNER, header="X-Partner-Key", prefixes=["pk_live_"])],
    "keys by prefix in one field": [keys(), keys(PARTNER, prefixes=["pk_live_"])],
    "keys by field, one without prefixes": [keys(), keys(PARTNER, header="X-B", prefixes=[])],
    "keys by field alone": [keys(prefixes=[]), keys(header="X-Partner-Key", prefixes=[])],
    "keys and introspected keys": [keys(), introspection(header="X-Opaque")],
    "introspected keys by field": [introspection(header="X-A"), introspection("b", header="X-B")],
    "introspected keys by prefix": [introspection(prefixes=["aa_"]), introspection("b", prefixes=["bb_"])],
    "introspected keys and tokens": [introspection(header="X-A"), introspection("b")],
    "introspection by the issuer of JWTs": [
        introspection(jwt=jwt()), introspection("b", jwt=jwt(OTHER_SECRET, OTHER))],
    "JWTs and introspection": [jwt(issuer=None), introspection()],
    "introspection and JWTs": [introspection(), jwt()],
    "introspected keys and JWTs of one issuer": [
        introspection(prefixes=["aa_"], jwt=jwt()), introspection("b", jwt=jwt())],
    "JWTs and introspection of another issuer": [jwt(), introspection(jwt=jwt(OTHER_SECRET, OTHER))],
    "JWTs of a subclass": [jwt(), jwt(OTHER_SECRET, OTHER, kind=SubclassedJWTVerifier)],
    "JWTs of one issuer by algorithm": [jwt(), introspection(jwt=jwt(pem(rsa_key()), algorithms=["RS256"]))],
    "introspected keys with a verifier of JWTs": [introspection(header="X-A", jwt=jwt()), jwt()],
    "JWTs and an own one": [Own(), jwt()],
    "own ones that choose": [Own(accepts=lambda _: False), Own(accepts=lambda _: True)],
    "an own one that chooses, and another": [Own(accepts=lambda _: False), Own()],
    "own keys": [Own(header="X-A"), Own(header="X-B")],
    "own keys by prefix in one field": [
        Own(header="X-A", prefixes=["aa_"]), Own(header="X-A", prefixes=["bb_"])],
    "own keys by prefix": [Own(prefixes=["aa_"]), Own(prefixes=["bb_"])],
    "an own one that chooses among keys": [Own(header="X-API-Key", accepts=lambda _: False), keys()],
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD_APART)
def test_verifiers_that_can_be_told_apart(case):
    """A guard takes verifiers that can be distinguished, in either order unless one chooses by itself."""
    assert Guard(*TOLD_APART[case])
    if "chooses" not in case:
        assert Guard(*reversed(TOLD_APART[case]))


NOT_TOLD_APART = {
    "keys twice": ([keys(), keys(PARTNER)], "begin with 'sk_live_'"),
    "keys twice, by field, with one prefix": ([keys(), keys(PARTNER, header="X-B")], "prefixes= of its own"),
    "a prefix that begins with another": (
        [keys(prefixes=["sk_"]), keys(PARTNER, header="X-B", prefixes=["sk_live_"])], "'sk_live_'"),
    "a field twice, without prefixes": ([keys(prefixes=[]), keys(PARTNER, prefixes=["pk_"])], "X-API-Key"),
    "a field twice, in another case": (
        [keys(prefixes=[]), keys(PARTNER, header="x-api-key", prefixes=["pk_"])], "header= of its own"),
    "a field twice, with a key without the prefix": (
        [keys(), keys(BARE, prefixes=["pk_"])], "all its keys have"),
    "introspected keys in the field of others": ([keys(), introspection(header="X-API-Key")], "X-API-Key"),
    "introspected tokens twice": ([introspection(), introspection("b")], "got two that take any token"),
    "introspected tokens, one of an issuer": (
        [introspection(jwt=jwt()), introspection("b")], "got two that take any token"),
    "introspected tokens of any issuer": (
        [introspection(jwt=jwt()), introspection("b", jwt=jwt(issuer=None))], "got two that take any token"),
    "introspected tokens of one issuer": (
        [introspection(jwt=jwt()), introspection("b", jwt=jwt())], "HS256 of 'https://issuer.example'"),
    "JWTs of one issuer, introspected, too": ([jwt(), introspection(jwt=jwt())], "keep one of them"),
    "JWTs of two issuers, one introspected, too": (
        [jwt(OTHER_SECRET, OTHER), jwt(), introspection(jwt=jwt())], "keep one of them"),
    "JWTs of any issuer, introspected, too": (
        [jwt(issuer=None), introspection(jwt=jwt())], "must both name their issuer"),
    "JWTs twice": ([jwt(), jwt()], "got two for"),
    "JWTs twice, by a subclass": ([jwt(), jwt(kind=SubclassedJWTVerifier)], "got two for"),
    "own ones twice": ([Own(), Own()], "Own and Own must be for different tokens"),
    "an own one and introspection": ([Own(), introspection()], "accepts"),
    "own keys twice": ([Own(header="X-A"), Own(header="X-A")], "X-A"),
    "own keys in the field of others": ([keys(), Own(header="X-API-Key")], "X-API-Key"),
    "an own one that chooses too late": (
        [keys(), Own(header="X-API-Key", accepts=lambda _: True)], "X-API-Key"),
    "own keys with a prefix of others": ([keys(), Own(prefixes=["sk_"])], "'sk_live_'"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_TOLD_APART)
def test_verifiers_that_cannot_be_told_apart_are_refused(case):
    """A guard refuses ambiguous verifiers in either order, and the error names the option to change."""
    verifiers, says = NOT_TOLD_APART[case]
    with pytest.raises(ConfigurationError, match=says):
        Guard(*verifiers)
    if "chooses" not in case:
        with pytest.raises(ConfigurationError):
            Guard(*reversed(verifiers))


@pytest.mark.parametrize("header", ["Authorization", "COOKIE", "Host", "X_Key", "X Key", "", 5])
def test_a_field_that_means_something_else_is_refused(header):
    """A field with another meaning or an invalid name is refused by each verifier that reads a field."""
    with pytest.raises(ConfigurationError, match="must be a field"):
        introspection(header=header)
    with pytest.raises(ConfigurationError, match="must be a field"):
        Guard(Own(header=header, prefixes=["own_"]))


def test_a_key_in_a_shared_field_goes_by_its_prefix():
    """Verifiers that share a field get the keys with their prefixes; a key with neither prefix is a 401."""
    first, second = keys(), keys(PARTNER, prefixes=["pk_live_"])
    guard = Guard(first, second)
    for key, status in ((KEY, 200), (PARTNER, 200), ("sk_live_unknown-0123", 401), (BARE, 401)):
        for field, text in (("x-api-key", key), ("authorization", f"Bearer {key}")):
            decided = World().run(guard.decide(FakeRequest("/", headers=[(field, text)]), NOW))
            assert (200 if isinstance(decided, Allow) else decided.refusal.status) == status, (field, key)


def test_what_takes_any_token_is_asked_last():
    """A JWT goes to the JWT verifier, and other tokens to the one that takes any token, in either order."""
    for verifiers in ([introspection(), jwt()], [jwt(), introspection()], [Own(), jwt()], [jwt(), Own()]):
        assert "JWTVerifier" in repr(chosen_verifier(verifiers, "a.b.c", "bearer", "authorization"))
        assert "JWTVerifier" not in repr(chosen_verifier(verifiers, "opaque", "bearer", "authorization"))


def test_own_verifiers_are_asked_in_the_order_in_which_they_stand():
    """Two verifiers of the application with `accepts` are asked in their order."""
    first, second = (
        Own(accepts=lambda credential: credential.value == "a"),
        Own(accepts=lambda credential: True),
    )
    guard = Guard(first, jwt(), second)
    subjects = []
    for text in ("a", "b"):
        world = World()
        flow = guard.decide(bearer(text), NOW)
        subjects.append(type(next(flow)).__name__)
        flow.close()
        assert world.calls == []
    assert subjects == ["Call", "Call"]


class BoundKeys(Verifier):
    """Verify all keys in a field, which are bound to the certificate of the tests."""

    def __init__(self, header):
        self.header = header

    def accepts(self, credential):
        return self.carries(credential)

    def flow(self, credential, now):
        claims = {"cnf": {"x5t#S256": bound_to(certificate())}}
        return Verified(Principal(self.header, claims=claims, method="api_key"), now + 60)


def test_a_bound_key_known_in_one_field_is_not_known_in_another():
    """A bound key that is remembered for one field is not known in another field."""
    guard = Guard(BoundKeys("X-A"), BoundKeys("X-B"), proofs=[MutualTLS()])
    for header in ("X-A", "X-B", "X-A", "X-B"):
        request = TLSRequest("/", headers=[(header, BARE)], credential_fields=guard.credential_fields)
        request.shown = certificate()
        assert World().run(guard.decide(request, NOW)).auth.principal.subject == header


def test_own_keys_with_a_prefix_alone_reach_their_verifier():
    """A verifier with prefixes and without a field gets keys from the Authorization field."""
    own = Own(prefixes=["own_"])
    assert chosen_verifier([own, jwt()], "own_key", "api_key", "authorization") is not None
    assert chosen_verifier([own, jwt()], "own_key", "api_key", "x-api-key") is None
    assert chosen_verifier([own], "a.b.c", "bearer", "authorization") is None


def test_an_own_verifier_that_chooses_is_asked_about_its_own_field_only():
    """A verifier with `accepts` does not get a credential from the field of another verifier."""
    own = Own(header="X-Own", accepts=lambda _: True)
    assert chosen_verifier([own], "key", "api_key", "x-own") is not None
    assert chosen_verifier([own, keys(prefixes=[])], "key", "api_key", "x-api-key") is not None
    assert chosen_verifier([own], "key", "api_key", "x-api-key") is None


def several_endpoints(first=None):
    """Return a guard with the endpoints of two issuers, and a world with both."""
    world = World()
    for name, subject in (("a", "ann"), ("b", "bob")):
        answer = {"active": True, "sub": subject, "aud": AUDIENCE}
        world.pages[f"https://{name}.example/introspect"] = page(answer)
    a = first or introspection(jwt=jwt(), cache_ttl=0)
    return Guard(a, introspection("b", jwt=jwt(OTHER_SECRET, OTHER), cache_ttl=0)), world


TOKEN = make_token(claims(sub="ann"))
OTHER_TOKEN = make_token(claims(iss=OTHER, sub="bob"), key=OTHER_SECRET)


def test_the_issuer_chooses_the_endpoint():
    """A JWT is introspected at the endpoint of its issuer, and concurrent requests share the answer."""
    guard, world = several_endpoints()
    for token, name in ((TOKEN, "a"), (OTHER_TOKEN, "b")):
        assert isinstance(next(guard.decide(bearer(token), NOW)), Shared)
        assert isinstance(world.run(guard.decide(bearer(token), NOW)), Allow)
        assert world.calls[-1].url == f"https://{name}.example/introspect"


@pytest.mark.parametrize(
    "token",
    ["opaque", "a.b.c", make_token(claims(iss="https://third.example")), make_token(claims(iss=...)),
     make_token(claims(iss=7)), make_token(claims(iss=OTHER))],
    ids=["opaque", "garbage", "third", "none", "number", "forged"],
)  # fmt: skip
def test_no_endpoint_is_asked_about_a_token_that_is_for_none(token):
    """With several endpoints, an opaque token or one of another issuer is refused without introspection."""
    guard, world = several_endpoints()
    assert world.run(guard.decide(bearer(token), NOW)).refusal.status == 401
    assert world.calls == []


def test_a_jwt_verifier_beside_an_endpoint_of_another_issuer():
    """A JWT goes to the verifier of its issuer, and an opaque token to the endpoint."""
    guard, world = several_endpoints(jwt())
    for token, count in ((TOKEN, 0), (OTHER_TOKEN, 1), ("opaque", 2)):
        assert isinstance(world.run(guard.decide(bearer(token), NOW)), Allow)
        assert len(world.calls) == count


def test_a_guard_knows_its_remotes_however_they_are_chosen():
    """`health` names each endpoint once, and `close` closes it."""
    guard, _ = several_endpoints(jwt())
    assert [remote.name for remote in guard.health(NOW)] == ["https://b.example/introspect"]
    assert "IntrospectionVerifier" in repr(guard)
    guard.close()
