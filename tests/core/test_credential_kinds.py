"""Rules that take some kinds of credential, and rules that send no browser to sign in."""

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    JWTVerifier,
    Principal,
    ResourceMetadata,
    Rule,
)
from authguard._core.policy.rules import Requirement
from authguard.drivers import run
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, make_token

KEY = "sk_live_0123456789"
JWT = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
CF = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, header="X-Token")


class Partners:
    """A verifier of an application that says of each key that it is a token."""

    header = "X-Partner-Key"

    def verify(self, credential):
        return Principal("partner", method="bearer")


def guard(*rules, verifiers=(JWT, APIKeyVerifier({KEY: APIKey("bob")})), **options):
    return Guard(*verifiers, protected_paths=[*rules], cookie=AccessCookie(secure=False), **options)


def key(path="/"):
    return FakeRequest(path, headers={"x-api-key": KEY})


def cookie(path="/", **fields):
    return FakeRequest(path, headers={"cookie": f"access_token={make_token()}", **fields})


def refusal(own_guard, request):
    return run(own_guard.decide(request, NOW)).refusal


def challenge(own_guard, request):
    return dict(refusal(own_guard, request).headers)["www-authenticate"]


CALLERS = {
    "bearer": bearer(make_token()),
    "api_key": key(),
    "cookie": cookie(),
    "api_key as Bearer": bearer(KEY),
}


@pytest.mark.parametrize("kind", ["bearer", "api_key", "cookie"])
@pytest.mark.parametrize("caller", CALLERS)
def test_a_rule_takes_the_kinds_that_it_names(kind, caller):
    """Also the second time, when the credential is remembered."""
    own_guard = guard(Rule("/", credentials=[kind]))
    request = CALLERS[caller]
    for _ in range(2):
        recalled = own_guard.recall(request.presented, ("GET", "/", ""), NOW)
        decision = recalled if recalled.is_decision else run(own_guard.decide(request, NOW, recalled))
        assert decision.reaches_app is caller.startswith(kind)


def test_another_kind_is_a_401_without_an_error_code():
    """RFC 6750 section 3.1: a client that has used an unsupported method must not throw its token away."""
    answer = refusal(guard(Rule("/", credentials={"api_key"})), bearer(make_token()))
    assert (answer.status, answer.error.code) == (401, "unaccepted_credential")
    assert dict(answer.headers)["www-authenticate"] == 'Bearer realm="api"'


def test_a_bad_credential_of_another_kind_is_a_bad_one():
    """What is verified first is told first."""
    own_guard = guard(Rule("/", credentials={"api_key"}))
    assert refusal(own_guard, bearer("a.b.c")).error.code == "invalid_token"


def test_the_kind_comes_before_scopes():
    """Whoever must present another credential has other scopes."""
    own_guard = guard(Rule("/", credentials={"api_key"}, scopes=["x"]))
    assert refusal(own_guard, bearer(make_token())).status == 401


def test_the_kind_is_how_it_came_and_not_what_a_verifier_says():
    """A verifier of an application may leave `method` at its default."""
    own_guard = Guard(Partners(), protected_paths=[Rule("/", credentials={"api_key"})])
    fields = (b"x-partner-key",)
    request = FakeRequest(headers={"x-partner-key": "k"}, credential_fields=fields)
    assert run(own_guard.decide(request, NOW)).user.subject == "partner"


def test_odd_paths_take_what_all_readings_take():
    """A path that may be read in two ways is held to both rules."""
    own_guard = guard(Rule("/a", credentials={"api_key"}), Rule("/b", credentials={"bearer"}))
    for request in (key("/a/../b"), bearer(make_token(), "/a/../b")):
        assert refusal(own_guard, request).status == 401


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["bearer"], "Bearer"),
        (["dpop"], "DPoP"),
        (["dpop", "bearer"], "Bearer DPoP"),
        (["api_key"], "Bearer"),
        (["cookie"], "Bearer"),
    ],
)
def test_the_challenge_names_the_schemes_that_are_taken(kinds, expected):
    """A 401 has at least one challenge (RFC 9110 section 15.5.2)."""
    own_guard = guard(Rule("/", credentials=kinds), proofs=[DPoP("https://site.example")])
    value = challenge(own_guard, FakeRequest())
    assert [each for each in ("Bearer", "DPoP") if f"{each} realm" in value] == expected.split()


def test_where_no_token_is_taken_no_issuer_is_named():
    """A client would get a token there, and be refused with it."""
    resource = ResourceMetadata("https://api.example", authorization_servers=["https://issuer.example"])
    own_guard = guard(Rule("/", credentials=["api_key"], scopes=["x"]), resource=resource)
    assert challenge(own_guard, FakeRequest()) == 'Bearer realm="api"'


def test_nobody_is_sent_to_sign_in_where_the_cookie_is_not_taken():
    """Signing in would lead back to the same answer, for ever."""
    own_guard = guard(Rule("/", credentials=["api_key"]), login_path="/login")
    browser = {"accept": "text/html"}
    assert refusal(own_guard, FakeRequest("/x", headers=browser)).status == 401
    assert refusal(own_guard, cookie("/x", **browser)).status == 401


def test_a_key_of_another_kind_counts_as_forbidden():
    """The verifier of the key is told what became of it."""
    from authguard._core.terms import outcome_of

    error = refusal(guard(Rule("/", credentials=["bearer"])), key()).error
    assert outcome_of(error) == "forbidden"


def test_a_connection_is_held_to_the_kind():
    """What is checked again later is checked by the same rule."""
    own_guard = guard(Rule("/", credentials=["bearer"]))
    allowed = run(own_guard.decide(bearer(make_token()), NOW))
    assert run(own_guard.recheck(bearer(make_token()), allowed.auth, NOW)) is None


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        ([], "at least one kind"),
        ("api_key", r"write credentials=\['api_key'\]"),
        (["apikey"], 'each of credentials must be "bearer", "api_key", "cookie", "dpop" or "header"'),
        ([""], "each of credentials"),
        ([None], "each of credentials"),
        ({"api_key": True}, "must be a list"),
    ],
)
def test_a_kind_that_does_not_exist_is_refused(kinds, says):
    """The error names those that there are."""
    with pytest.raises(ConfigurationError, match=says):
        Rule("/", credentials=kinds)


@pytest.mark.parametrize("kind", ["api_key", "cookie", "dpop", "header"])
def test_a_kind_that_nobody_can_present_is_refused(kind):
    """Such a rule would lock everybody out."""
    with pytest.raises(ConfigurationError, match=f"kinds that the guard reads .* got '{kind}'"):
        Guard(JWT, protected_paths=[Rule("/", credentials={kind})])


def test_tokens_that_no_verifier_takes_are_refused():
    """A guard with API keys alone, or with tokens in a field of their own, has no Bearer tokens."""
    for verifier in (APIKeyVerifier({KEY: APIKey("bob")}), CF):
        with pytest.raises(ConfigurationError, match="got 'bearer': add a JWTVerifier"):
            Guard(verifier, protected_paths=[Rule("/", credentials=["bearer"])])


def test_tokens_in_a_field_of_their_own_are_a_kind():
    """As `Principal.method` names them."""
    own_guard = Guard(CF, protected_paths=[Rule("/", credentials=["header"])])
    fields = (b"x-token",)
    request = FakeRequest(headers={"x-token": make_token()}, credential_fields=fields)
    assert run(own_guard.decide(request, NOW)).user.subject == "ann"


def test_kinds_are_refused_where_the_caller_is_optional():
    """As scopes are."""
    with pytest.raises(ConfigurationError, match="where credential api_key is required"):
        Rule("/", credentials=["api_key"], optional="strict")


def test_kinds_are_refused_in_public_paths():
    """As scopes are."""
    with pytest.raises(ConfigurationError, match="ask for nothing"):
        Guard(JWT, public_paths=[Rule("/", credentials=["bearer"])])


def test_a_rule_shows_its_kinds():
    """As it is written, and in words."""
    rule = Rule("/a", credentials={"cookie", "bearer"}, login_redirect=False)
    assert repr(rule) == "Rule('/a', credentials=['bearer', 'cookie'], login_redirect=False)"
    assert str(rule.requirement) == "one of the credentials bearer, cookie"
    assert rule.requirement != Requirement()


def test_a_rule_switches_the_login_redirect_off():
    """The most specific rule decides."""
    rules = ["/", Rule("/api", login_redirect=False), "/api/docs"]
    own_guard = guard(*rules, login_path="/login")
    paths = ["/page", "/api", "/api/x", "/api/docs"]
    answers = [
        refusal(own_guard, FakeRequest(path, headers={"accept": "text/html"})).status for path in paths
    ]
    assert answers == [303, 401, 401, 303]


def test_a_rule_switches_the_redirect_of_htmx_off():
    """It is a redirect to the login page, too."""
    own_guard = guard(Rule("/", login_redirect=False), login_path="/login")
    answer = refusal(own_guard, FakeRequest("/x", headers={"hx-request": "true"}))
    assert (answer.status, "hx-redirect" in dict(answer.headers)) == (401, False)


def test_a_login_page_without_a_redirect_is_refused():
    """One of them must be meant."""
    with pytest.raises(ConfigurationError, match="login_path must be left out with login_redirect=False"):
        Rule("/", login_path="/x", login_redirect=False)


def test_the_switch_is_refused_in_public_paths():
    """Nobody is sent to sign in from there."""
    with pytest.raises(ConfigurationError, match="ask for nothing"):
        Guard(JWT, public_paths=[Rule("/", login_redirect=False)])


def test_a_malformed_request_is_told_the_schemes_that_are_taken():
    """As everybody else is."""
    own_guard = guard(Rule("/", credentials=["bearer"]), proofs=[DPoP("https://site.example")])
    assert "DPoP" not in challenge(own_guard, FakeRequest(headers={"authorization": "Bearer"}))
