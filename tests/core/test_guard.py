"""The decision of a guard about a request."""

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Rule,
)
from authguard._core.answer.decision import Allow, Deny
from authguard._core.deciding.asking import AskAbout
from authguard._core.deciding.callers import UNDECIDED, Refused
from authguard._core.deciding.overridden import Override
from authguard._core.model import ANONYMOUS_AUTH
from authguard._core.policy.rules import Requirement
from authguard.drivers import run
from authguard.errors import (
    ExpiredTokenError,
    InvalidSignatureError,
    MissingCredentialsError,
)
from authguard.testing import override
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token


def guard(**options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, APIKeyVerifier({"sk_live_0123456789": APIKey("bob")}), **options)


def decide(request, **options):
    return run(guard(**options).decide(request, NOW))


def test_a_good_token_passes():
    """A valid token passes, and the user is the principal."""
    assert decide(bearer(make_token())).user.subject == "ann"


def test_a_good_key_passes():
    """A valid API key passes, and the user has its subject."""
    assert decide(FakeRequest(headers={"x-api-key": "sk_live_0123456789"})).user.subject == "bob"


def test_nobody_is_refused():
    """A request without a credential on a protected path is a 401."""
    assert decide(FakeRequest("/a")).refusal.status == 401


def test_nobody_passes_on_public_paths():
    """A request without a credential passes on a public path."""
    assert isinstance(decide(FakeRequest("/p"), public_paths=["/p"]), Allow)


def test_a_missing_scope_is_a_403():
    """A caller without a required scope gets a 403."""
    assert decide(bearer(make_token()), protected_paths=[Rule("/", scopes=["x"])]).refusal.status == 403


def test_a_callback_that_raises_is_a_500():
    """A callback that raises makes the answer a 500."""
    assert decide(bearer(make_token()), user_loader=lambda _: 1 / 0).refusal.status == 500


def test_a_revoked_subject_is_refused():
    """A remembered token is refused at once after its subject is revoked."""
    store = MemoryRevocations(clock=lambda: NOW)
    own_guard, request = guard(revocations=store), bearer(make_token())
    run(own_guard.decide(request, NOW))
    store.revoke(subject="ann", until=NOW + 600)
    assert isinstance(run(own_guard.decide(request, NOW)), Deny)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (Guard, "verifiers must be at least one"),
        (lambda: Guard("secret"), "a verifier must be"),
        (lambda: guard(cache_size=0), "cache_size"),
        (lambda: guard(realm='a"b'), "realm"),
        (lambda: guard(login_path="//evil"), "plain path"),
        (lambda: guard(login_path="/lo gin"), "plain path"),
        (lambda: guard(public_paths=[]), "empty"),
    ],
    ids=["none", "no verifier", "cache", "realm", "login path", "login path with a space", "empty list"],
)
def test_a_mistake_is_named_when_it_is_built(build, says):
    """Options that contradict each other or are out of range are refused, with the correction."""
    with pytest.raises(ConfigurationError, match=says):
        build()


def recall(own_guard, request, now=NOW):
    return own_guard.recall(request.presented, (request.method, request.path, request.root_path), now)


def test_the_straight_path_knows_who_was_verified():
    """The straight path remembers a verified token until it expires."""
    own_guard, request = guard(), bearer(make_token())
    run(own_guard.decide(request, NOW))
    assert recall(own_guard, request).user.subject == "ann"
    assert recall(own_guard, request, NOW + 629).user.subject == "ann"
    assert isinstance(recall(own_guard, request, NOW + 630).error, ExpiredTokenError)


def test_the_straight_path_verifies_a_first_seen_token():
    """The straight path verifies a first-seen token with keys at hand, and remembers the result."""
    own_guard, request = guard(), bearer(make_token())
    first = recall(own_guard, request)
    assert first.user.subject == "ann"
    assert recall(own_guard, request) is first


FORGED = make_token(key="another secret, of 32 bytes or more")


@pytest.mark.parametrize(
    "request_, kind",
    [
        (bearer(FORGED), InvalidSignatureError),
        (bearer(make_token(claims(exp=int(NOW) - 100))), ExpiredTokenError),
        (FakeRequest("/a"), MissingCredentialsError),
    ],
)
def test_the_straight_path_refuses_as_the_flow_does(request_, kind):
    """The straight path and the flow refuse with the same answer."""
    refused = recall(guard(), request_)
    assert type(refused.error) is kind
    refusal, flowing = (
        guard().present(request_, refused, NOW).refusal,
        run(guard().decide(request_, NOW)).refusal,
    )
    assert (refusal.status, refusal.headers, refusal.body) == (flowing.status, flowing.headers, flowing.body)


REPLACING = {"on_error": lambda request, refusal: refusal.with_body("sorry", "text/plain")}


@pytest.mark.parametrize(
    "options, request_",
    [
        ({"public_paths": ["/a"]}, bearer(FORGED, "/a")),
        ({"protected_paths": [Rule("/a", optional="lenient")]}, bearer(FORGED, "/a")),
        ({"protected_paths": [Rule("/a", optional="strict")]}, FakeRequest("/a")),
        ({}, bearer(FORGED, method="OPTIONS")),
        ({}, FakeRequest("/a", method="OPTIONS")),
        (REPLACING, bearer(FORGED)),
        (REPLACING, FakeRequest("/a")),
        ({"proofs": [DPoP(origin="https://api.example")]}, bearer(FORGED)),
        ({"login_path": "/login"}, FakeRequest("/a")),
    ],
)
def test_the_straight_path_says_why_it_found_nobody(options, request_):
    """The flow uses the refusal of the straight path, and does not verify the token again."""
    own_guard = guard(**options)
    refused = recall(own_guard, request_)
    assert isinstance(refused, Refused)
    decided, alone = run(own_guard.decide(request_, NOW, refused)), run(own_guard.decide(request_, NOW))
    assert type(decided) is type(alone)
    assert decided.error is refused.error
    assert type(alone.error) is type(refused.error)


def test_a_forged_token_is_refused_at_once_where_browsers_are_sent_to_sign_in():
    """A forged token in a header field is refused at once, and not redirected to the login page."""
    assert recall(guard(login_path="/login"), bearer(FORGED)).refusal.status == 401


@pytest.mark.parametrize(
    "field",
    [
        "bearer {}",
        "Bearer  {}",
        " Bearer {}",
        "Bearer {} ",
        "Bearer {}, x",
        "Bearer",
        "Bearer ",
        "Bearer sk_live_{}",
    ],
)
def test_the_straight_path_leaves_unusual_spellings_to_the_flow(field):
    """The straight path leaves unusual spellings of a field to the flow."""
    request = FakeRequest("/", headers=[("authorization", field.format(make_token()))])
    assert recall(guard(), request) is UNDECIDED


def test_a_verifier_that_fails_on_the_straight_path_fails_in_the_flow():
    """A verifier that raises on the straight path makes a 500 in the flow."""

    class Broken(JWTVerifier):
        def flow(self, credential, now):
            raise RuntimeError("broken")

    own_guard = Guard(Broken(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE))
    request = bearer(make_token())
    assert recall(own_guard, request) is UNDECIDED
    assert run(own_guard.decide(request, NOW)).refusal.status == 500


def test_the_straight_path_lets_nobody_pass_a_rule():
    """The straight path applies the rule of the path."""
    own_guard = guard(protected_paths=[Rule("/a", scopes=["x"]), "/b"])
    run(own_guard.decide(bearer(make_token(), "/b"), NOW))
    assert recall(own_guard, bearer(make_token(), "/b")) is not UNDECIDED
    assert recall(own_guard, bearer(make_token(), "/a")) is UNDECIDED


def test_the_straight_path_decides_nothing_where_each_request_has_a_slow_step():
    """The straight path returns a question if a user must be loaded for each request."""
    own_guard, request = guard(user_loader=lambda principal: principal), bearer(make_token())
    run(own_guard.decide(request, NOW))
    assert isinstance(recall(own_guard, request), AskAbout)


def test_a_login_page_never_leads_to_itself():
    """A login page that requires a user is a 401, because a redirect would be a loop."""
    own_guard = guard(login_path="/login")
    request = FakeRequest("/login", headers={"accept": "text/html"})
    denied = run(own_guard.authorize(request, ANONYMOUS_AUTH, None, Requirement(), NOW))
    assert denied.refusal.status == 401


def test_next_is_made_safe_by_the_guard():
    """`safe_next` returns the root for the login page and for another site."""
    own_guard = guard(login_path="/enter")
    assert [own_guard.safe_next(text) for text in ("/enter", "//evil", "/page?x=1")] == [
        "/",
        "/",
        "/page?x=1",
    ]


def test_an_override_with_a_user_of_ones_own():
    """An override with a user of the application has a principal that the rules see."""
    own_guard = guard(user_loader=lambda principal: None)
    with own_guard.override("ada"):
        allowed = run(own_guard.decide(FakeRequest("/a"), NOW))
    assert (allowed.user, allowed.auth.principal.subject) == ("ada", "override")
    assert isinstance(run(own_guard.decide(bearer(make_token()), NOW)), Deny)


def subject_of(own_guard):
    decision = run(own_guard.decide(FakeRequest("/a"), NOW))
    return decision.user.subject if isinstance(decision, Allow) else None


@pytest.mark.parametrize("first_to_end", ["ann", "bob"])
def test_overrides_that_overlap_end_in_any_order(first_to_end):
    """The override that was entered last applies; after both have ended the guard is as before."""
    own_guard = guard()
    overrides = {name: override(own_guard, Principal(name)) for name in ("ann", "bob")}
    seen = []
    for entered in overrides.values():
        entered.__enter__()
        seen.append(subject_of(own_guard))
    (remaining,) = set(overrides) - {first_to_end}
    for name in (first_to_end, remaining):
        overrides[name].__exit__(None, None, None)
        seen.append(subject_of(own_guard))
    assert seen == ["ann", "bob", remaining, None]
    assert recall(own_guard, bearer(make_token())).user.subject == "ann"


class Interrupted:
    """Simulate a guard that another thread interrupts just before an attribute is set."""

    def __init__(self):
        self.own = object()
        self.all_callers = [self.own]
        self.meanwhile = lambda: None
        self._callers = self.own

    @property
    def callers(self):
        return self._callers

    @callers.setter
    def callers(self, callers):
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        self._callers = callers


def test_overrides_of_two_threads_that_end_at_once():
    """Two overrides that end at the same time in two threads leave none behind."""
    own_guard = Interrupted()
    ann, bob, cyd = (Override(own_guard, name, None) for name in ("ann", "bob", "cyd"))
    for entered in (ann, bob, cyd):
        entered.__enter__()
    own_guard.meanwhile = lambda: bob.__exit__(None, None, None)
    cyd.__exit__(None, None, None)
    assert own_guard.callers is own_guard.all_callers[-1]
    ann.__exit__(None, None, None)
    assert own_guard.callers is own_guard.own


def test_explain_names_the_rule():
    """`explain` names the rule of a path."""
    assert "Rule('/p')" in guard(protected_paths=["/p"]).explain("GET", "/p/x").reason


def test_a_remembered_token_expires_in_the_flow_too():
    """A remembered token is refused in the flow after it has expired."""
    own_guard, request = guard(), bearer(make_token())
    assert isinstance(run(own_guard.decide(request, NOW)), Allow)
    assert isinstance(run(own_guard.decide(request, NOW + 629)), Allow)
    assert isinstance(run(own_guard.decide(request, NOW + 630)), Deny)


def test_the_straight_path_knows_pages_that_are_open_to_all():
    """The straight path lets an anonymous caller pass on a public path, and refuses it on a protected one."""
    own_guard = guard(public_paths=["/open"])
    assert recall(own_guard, FakeRequest("/open")).auth is ANONYMOUS_AUTH
    assert isinstance(recall(own_guard, FakeRequest("/other")).error, MissingCredentialsError)


def test_a_login_page_with_a_cookie_is_looked_at_by_the_flow():
    """A POST to a login page with a cookie is decided by the flow, which checks its origin."""
    own_guard = guard(public_paths=["/open"], login_path="/login", cookie=AccessCookie())
    assert recall(own_guard, FakeRequest("/open")).auth is ANONYMOUS_AUTH
    assert recall(own_guard, FakeRequest("/login", method="POST")) is UNDECIDED


def test_a_login_page_of_one_rule_is_not_that_of_another():
    """A browser is redirected to the login page of the rule, and gets a 401 without one."""
    own_guard = guard(protected_paths=[Rule("/shop", login_path="/shop/enter"), "/staff"])
    html = {"accept": "text/html"}
    assert run(own_guard.decide(FakeRequest("/shop/cart", headers=html), NOW)).refusal.status == 303
    assert run(own_guard.decide(FakeRequest("/staff", headers=html), NOW)).refusal.status == 401


def test_a_guard_with_keys_at_hand_has_nothing_to_tell_of_remotes():
    """A guard without remotes has an empty health, and nothing to close."""
    own_guard = guard()
    assert own_guard.health() == []
    own_guard.close()


class OwnVerifier(JWTVerifier):
    """Be a verifier of the application."""


def test_a_guard_of_built_in_parts_calls_nothing_of_the_application():
    """`calls_at_once` is set only for a guard with functions or classes of the application."""
    options = {"algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE}
    assert not guard().calls_at_once
    assert not guard(revocations=MemoryRevocations()).calls_at_once
    assert Guard(OwnVerifier(SECRET, **options)).calls_at_once
    assert guard(on_decision=lambda event: None).calls_at_once


@pytest.mark.parametrize("path", ["admin", "https://api.example.com/admin"])
def test_a_path_without_a_slash_cannot_be_explained(path):
    """`explain` refuses a path without a slash, which would have the rule of an odd path."""
    with pytest.raises(ConfigurationError, match=f"^path must start with a slash, got '{path}'.*: write '/"):
        guard().explain("GET", path)


@pytest.mark.parametrize("path", ["", "/", "*"])
def test_each_path_of_a_request_can_be_explained(path):
    """`explain` accepts the empty path, the root and `*`."""
    assert guard().explain("OPTIONS", path).protected
