"""Requirements on the method and the age of a sign-in (RFC 9470)."""

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier, MemoryRevocations, Principal, Rule
from authguard._core.answer.decision import Allow
from authguard._core.deciding.callers import UNDECIDED
from authguard._core.policy.policy import Policy
from authguard._core.policy.rules import Requirement
from authguard.drivers import run
from authguard.errors import InsufficientScopeError, InsufficientUserAuthenticationError
from authguard.testing import override
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token


def caller(**sign_in):
    return Principal("ann", claims=sign_in)


def lacks(requirement, principal):
    with pytest.raises(InsufficientUserAuthenticationError) as caught:
        requirement.check(principal, NOW)
    assert not requirement.is_met_by(principal, NOW)
    return caught.value


@pytest.mark.parametrize(
    "requirement",
    [Requirement(["read"]), Requirement(roles=["boss"]), Requirement(["read"], max_age=300)],
    ids=repr,
)
def test_a_scope_or_role_that_is_missing(requirement):
    """A missing scope or role is refused first, even if the sign-in is recent."""
    assert not requirement.is_met_by(caller(auth_time=NOW), NOW)
    with pytest.raises(InsufficientScopeError):
        requirement.check(caller(), NOW)


@pytest.mark.parametrize("acr", ["phr", ["phr"], ["x", "phr"], ("phr", "phr")], ids=str)
def test_an_acr_that_is_accepted(acr):
    """One accepted `acr` of a list is enough, and a single one may be given as text."""
    assert Requirement(acr=acr).is_met_by(caller(acr="phr"), NOW)


@pytest.mark.parametrize("acr", ["PHR", "phrh", "ph", "", None, 0, True, ["phr"], {"phr": 1}], ids=repr)
def test_an_acr_that_is_not_accepted(acr):
    """An `acr` is compared exactly, and must be text."""
    lacks(Requirement(acr=["phr", "0"]), caller(acr=acr))


@pytest.mark.parametrize("age", [0, 299, 299.9, 300, -30], ids=str)
def test_a_sign_in_that_is_recent(age):
    """A sign-in within `max_age`, or in the future within the leeway, is recent."""
    assert Requirement(max_age=300).is_met_by(caller(auth_time=NOW - age), NOW)


@pytest.mark.parametrize("age", [300.1, 301, 10**9, -30.1, -31, -(10**9)], ids=str)
def test_a_sign_in_that_is_not_recent(age):
    """A sign-in before `max_age`, or in the future beyond the leeway, is refused."""
    lacks(Requirement(max_age=300), caller(auth_time=NOW - age))


@pytest.mark.parametrize(
    "value",
    [None, True, "1800000000", "", [NOW], {}, float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_no_date_is_no_sign_in(value):
    """An `auth_time` that is no finite number is refused."""
    lacks(Requirement(max_age=2**31 - 1), caller(auth_time=value))


@pytest.mark.parametrize("requirement", [Requirement(acr="phr"), Requirement(max_age=300)], ids=str)
def test_nothing_is_known_of_a_key(requirement):
    """An API key does not meet a requirement on the sign-in."""
    lacks(requirement, Principal("robot", method="api_key"))


@pytest.mark.parametrize(
    "principal",
    [caller(acr="x", auth_time=NOW), caller(acr="b", auth_time=NOW - 61), caller()],
    ids=["acr", "sign-in", "both"],
)
def test_the_error_names_all_that_is_asked(principal):
    """The error names all requirements on the sign-in, each `acr` once and in order of preference."""
    error = lacks(Requirement(acr=["b", "a", "b"], max_age=60.0), principal)
    assert (error.acr_values, error.max_age) == (("b", "a"), 60)


def test_a_scope_or_role_is_said_first():
    """A missing scope or role is refused before an old sign-in."""
    for granted in ({"scopes": ["x"]}, {"any_of": ["x"]}, {"roles": ["x"]}):
        requirement = Requirement(**granted, acr="phr", max_age=60)
        with pytest.raises(InsufficientScopeError):
            requirement.check(caller(), NOW)
        assert not requirement.is_met_by(caller(), NOW)


def test_a_scope_is_said_first_whichever_rule_asks_for_it():
    """A missing scope is refused before an old sign-in, also if two rules require them."""
    verdict = Policy([Rule("/a", max_age=60), Rule("/b", scopes=["x"])], None).find("GET", "/a/../b")
    assert len(verdict.requirements) == 2
    with pytest.raises(InsufficientScopeError):
        verdict.check(caller(), NOW)
    with pytest.raises(InsufficientUserAuthenticationError):
        verdict.check(Principal("ann", frozenset("x")), NOW)


def test_all_rules_have_to_be_met():
    """A sign-in must meet the requirements of all rules of an odd path."""
    verdict = Policy([Rule("/a", max_age=60), Rule("/b", acr="phr")], None).find("GET", "/a/../b")
    admitted = [
        verdict.admits(caller(**sign_in), NOW)
        for sign_in in ({"auth_time": NOW}, {"acr": "phr"}, {"auth_time": NOW, "acr": "phr"})
    ]
    assert admitted == [False, False, True]


@pytest.mark.parametrize("sign_in", [{"auth_time": NOW}, {"acr": "phr"}], ids=["no-acr", "no-time"])
def test_a_guard_asks_for_all_rules_of_an_odd_path(sign_in):
    """The answer for an odd path names the requirement that is not met."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    own_guard = Guard(jwt, protected_paths=[Rule("/a", max_age=60), Rule("/b", acr="phr")])
    error = run(own_guard.decide(bearer(make_token(claims(**sign_in)), "/a/../b"), NOW)).error
    assert isinstance(error, InsufficientUserAuthenticationError)
    assert (error.max_age, error.acr_values) == ((None, ("phr",)) if "auth_time" in sign_in else (60, ()))


def test_requirements_differ_by_how_one_signs_in():
    """Requirements with different `acr` or `max_age` are different and true."""
    requirements = [Requirement(), Requirement(acr="a"), Requirement(acr="b"), Requirement(max_age=1)]
    assert len({*requirements, Requirement(max_age=2), Requirement(max_age=1.0)}) == 5
    assert list(map(bool, requirements)) == [False, True, True, True]


@pytest.mark.parametrize(
    "acr", [[], (), "", "a b", ["a", "b c"], 'a"', "a\\b", "ä", "a\n", b"ab", [7], [None]]
)
def test_an_acr_that_no_challenge_can_name(acr):
    """An `acr` that a quoted challenge cannot name, or an empty list, is refused."""
    with pytest.raises(ConfigurationError, match="acr"):
        Rule("/a", acr=acr)


@pytest.mark.parametrize(
    "seconds",
    [0, -1, True, False, 0.5, 300.5, float("nan"), float("inf"), "300", [300], 2**31],
    ids=repr,
)
def test_a_max_age_that_cannot_be_meant(seconds):
    """A `max_age` that is no positive whole number of seconds is refused."""
    with pytest.raises(ConfigurationError, match="max_age"):
        Rule("/a", max_age=seconds)


def test_a_public_path_asks_for_no_sign_in():
    """A rule with `max_age` is refused in `public_paths`."""
    with pytest.raises(ConfigurationError, match="must ask for nothing"):
        Policy(None, [Rule("/a", max_age=60)])


def guard(**options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, protected_paths=["/", Rule("/bank", max_age=60)], **options)


def recall(own_guard, request, now):
    return own_guard.recall(request.presented, (request.method, request.path, request.root_path), now)


def test_a_known_token_grows_old():
    """The age of the sign-in of a known token is checked for each request."""
    own_guard, request = guard(), bearer(make_token(claims(auth_time=NOW - 50)), "/bank")
    assert recall(own_guard, request, NOW).user.subject == "ann"
    assert recall(own_guard, request, NOW + 10).user.subject == "ann"
    assert recall(own_guard, request, NOW + 10.5) is UNDECIDED
    denied = run(own_guard.decide(request, NOW + 10.5))
    assert isinstance(denied.error, InsufficientUserAuthenticationError)
    assert recall(own_guard, bearer(make_token(claims(auth_time=NOW - 50))), NOW + 10.5) is not UNDECIDED


def test_a_slow_step_changes_nothing():
    """The age of the sign-in is checked in the same way with callbacks."""
    own_guard = guard(
        user_loader=lambda principal: principal, revocations=MemoryRevocations(clock=lambda: NOW)
    )
    request = bearer(make_token(claims(auth_time=NOW - 50)), "/bank")
    assert isinstance(run(own_guard.decide(request, NOW + 10)), Allow)
    assert run(own_guard.decide(request, NOW + 11)).refusal.status == 401


def test_an_override_has_signed_in_only_if_its_claims_say_so():
    """An override must have a recent `auth_time` where a rule requires it."""
    own_guard, request = guard(), FakeRequest("/bank")
    statuses = []
    for principal in (caller(), caller(auth_time=NOW)):
        with override(own_guard, principal):
            decision = run(own_guard.decide(request, NOW))
            statuses.append(200 if isinstance(decision, Allow) else decision.refusal.status)
    assert statuses == [401, 200]


def test_an_override_is_sent_to_sign_in_without_a_cookie_of_the_guards():
    """An override is redirected to sign in without a cookie of the guard."""
    own_guard = guard(login_path="/login")
    with override(own_guard, caller()):
        denied = run(own_guard.decide(FakeRequest("/bank", headers={"accept": "text/html"}), NOW))
    assert denied.refusal.status == 303
    assert "set-cookie" not in dict(denied.refusal.headers)


def test_a_login_page_that_asks_for_a_sign_in_never_leads_to_itself():
    """A login page that requires a recent sign-in is a 401, because a redirect would be a loop."""
    own_guard = guard(login_path="/login")
    auth = run(own_guard.decide(bearer(make_token()), NOW)).auth
    request = FakeRequest("/login", headers={"accept": "text/html"})
    denied = run(own_guard.authorize(request, auth, None, Requirement(max_age=60), NOW))
    assert denied.refusal.status == 401


def test_explain_says_how_one_must_have_signed_in():
    """`explain` has the required age of the sign-in in words and as data."""
    verdict = guard().explain("GET", "/bank/x")
    assert verdict.reason == "protected by Rule('/bank', max_age=60)"
    assert [requirement.max_age for requirement in verdict.requirements] == [60]
