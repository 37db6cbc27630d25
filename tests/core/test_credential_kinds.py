"""Rules that accept certain kinds of credential, and rules without a login redirect."""

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
    """Verify keys of an application, and return principals with the default method."""

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
    """A rule accepts the kinds that it names, for a first-seen and for a remembered credential."""
    own_guard = guard(Rule("/", credentials=[kind]))
    request = CALLERS[caller]
    for _ in range(2):
        recalled = own_guard.recall(request.presented, ("GET", "/", ""), NOW)
        decision = recalled if recalled.is_decision else run(own_guard.decide(request, NOW, recalled))
        assert decision.reaches_app is caller.startswith(kind)


def test_another_kind_is_a_401_without_an_error_code():
    """Another kind gets a 401 without an error code, so that the client keeps its token (RFC 6750)."""
    answer = refusal(guard(Rule("/", credentials={"api_key"})), bearer(make_token()))
    assert (answer.status, answer.error.code) == (401, "unaccepted_credential")
    assert dict(answer.headers)["www-authenticate"] == 'Bearer realm="api"'


def test_a_bad_credential_of_another_kind_is_a_bad_one():
    """An invalid credential of another kind is refused as invalid."""
    own_guard = guard(Rule("/", credentials={"api_key"}))
    assert refusal(own_guard, bearer("a.b.c")).error.code == "invalid_token"


def test_the_kind_comes_before_scopes():
    """A credential of another kind is a 401, even if a scope is missing too."""
    own_guard = guard(Rule("/", credentials={"api_key"}, scopes=["x"]))
    assert refusal(own_guard, bearer(make_token())).status == 401


def test_the_kind_is_how_it_came_and_not_what_a_verifier_says():
    """The kind is the way that the credential was sent, regardless of the verifier's `method`."""
    own_guard = Guard(Partners(), protected_paths=[Rule("/", credentials={"api_key"})])
    fields = (b"x-partner-key",)
    request = FakeRequest(headers={"x-partner-key": "k"}, credential_fields=fields)
    assert run(own_guard.decide(request, NOW)).user.subject == "partner"


def test_odd_paths_take_what_all_readings_take():
    """An odd path accepts only the kinds that the rules of all its readings accept."""
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
    """The challenge has the schemes of the accepted kinds, and at least one (RFC 9110 section 15.5.2)."""
    own_guard = guard(Rule("/", credentials=kinds), proofs=[DPoP("https://site.example")])
    value = challenge(own_guard, FakeRequest())
    assert [each for each in ("Bearer", "DPoP") if f"{each} realm" in value] == expected.split()


def test_where_no_token_is_taken_no_issuer_is_named():
    """The challenge names no metadata where no token is accepted, because a token would be refused."""
    resource = ResourceMetadata("https://api.example", authorization_servers=["https://issuer.example"])
    own_guard = guard(Rule("/", credentials=["api_key"], scopes=["x"]), resource=resource)
    assert challenge(own_guard, FakeRequest()) == 'Bearer realm="api"'


def test_nobody_is_sent_to_sign_in_where_the_cookie_is_not_taken():
    """A browser is not redirected to sign in where the cookie is not accepted, which would be a loop."""
    own_guard = guard(Rule("/", credentials=["api_key"]), login_path="/login")
    browser = {"accept": "text/html"}
    assert refusal(own_guard, FakeRequest("/x", headers=browser)).status == 401
    assert refusal(own_guard, cookie("/x", **browser)).status == 401


def test_a_key_of_another_kind_counts_as_forbidden():
    """The outcome of a key of another kind is "forbidden"."""
    from authguard._core.terms import outcome_of

    error = refusal(guard(Rule("/", credentials=["bearer"])), key()).error
    assert outcome_of(error) == "forbidden"


def test_a_connection_is_held_to_the_kind():
    """A recheck applies the rule of the connection."""
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
    """An unknown kind is refused, and the error lists the kinds."""
    with pytest.raises(ConfigurationError, match=says):
        Rule("/", credentials=kinds)


@pytest.mark.parametrize("kind", ["api_key", "cookie", "dpop", "header"])
def test_a_kind_that_nobody_can_present_is_refused(kind):
    """A kind that the guard cannot read is refused, because no request could pass the rule."""
    with pytest.raises(ConfigurationError, match=f"kinds that the guard reads .* got '{kind}'"):
        Guard(JWT, protected_paths=[Rule("/", credentials={kind})])


def test_tokens_that_no_verifier_takes_are_refused():
    """The kind "bearer" is refused if no verifier reads Bearer tokens."""
    for verifier in (APIKeyVerifier({KEY: APIKey("bob")}), CF):
        with pytest.raises(ConfigurationError, match="got 'bearer': add a JWTVerifier"):
            Guard(verifier, protected_paths=[Rule("/", credentials=["bearer"])])


def test_tokens_in_a_field_of_their_own_are_a_kind():
    """A token in a field of its own has the kind "header"."""
    own_guard = Guard(CF, protected_paths=[Rule("/", credentials=["header"])])
    fields = (b"x-token",)
    request = FakeRequest(headers={"x-token": make_token()}, credential_fields=fields)
    assert run(own_guard.decide(request, NOW)).user.subject == "ann"


def test_kinds_are_refused_where_the_caller_is_optional():
    """A rule with kinds and with an optional caller is refused."""
    with pytest.raises(ConfigurationError, match="where credential api_key is required"):
        Rule("/", credentials=["api_key"], optional="strict")


def test_kinds_are_refused_in_public_paths():
    """A rule with kinds is refused in `public_paths`."""
    with pytest.raises(ConfigurationError, match="ask for nothing"):
        Guard(JWT, public_paths=[Rule("/", credentials=["bearer"])])


def test_a_rule_shows_its_kinds():
    """The repr of a rule shows its kinds, and its requirement names them in words."""
    rule = Rule("/a", credentials={"cookie", "bearer"}, login_redirect=False)
    assert repr(rule) == "Rule('/a', credentials=['bearer', 'cookie'], login_redirect=False)"
    assert str(rule.requirement) == "one of the credentials bearer, cookie"
    assert rule.requirement != Requirement()


def test_a_rule_switches_the_login_redirect_off():
    """The most specific rule decides whether a browser is redirected to sign in."""
    rules = ["/", Rule("/api", login_redirect=False), "/api/docs"]
    own_guard = guard(*rules, login_path="/login")
    paths = ["/page", "/api", "/api/x", "/api/docs"]
    answers = [
        refusal(own_guard, FakeRequest(path, headers={"accept": "text/html"})).status for path in paths
    ]
    assert answers == [303, 401, 401, 303]


def test_a_rule_switches_the_redirect_of_htmx_off():
    """`login_redirect=False` switches off the redirect of htmx too."""
    own_guard = guard(Rule("/", login_redirect=False), login_path="/login")
    answer = refusal(own_guard, FakeRequest("/x", headers={"hx-request": "true"}))
    assert (answer.status, "hx-redirect" in dict(answer.headers)) == (401, False)


def test_a_login_page_without_a_redirect_is_refused():
    """`login_path` with `login_redirect=False` is refused."""
    with pytest.raises(ConfigurationError, match="login_path must be left out with login_redirect=False"):
        Rule("/", login_path="/x", login_redirect=False)


def test_the_switch_is_refused_in_public_paths():
    """`login_redirect` is refused in `public_paths`."""
    with pytest.raises(ConfigurationError, match="ask for nothing"):
        Guard(JWT, public_paths=[Rule("/", login_redirect=False)])


def test_a_malformed_request_is_told_the_schemes_that_are_taken():
    """The challenge of a malformed request has the schemes of the accepted kinds alone."""
    own_guard = guard(Rule("/", credentials=["bearer"]), proofs=[DPoP("https://site.example")])
    assert "DPoP" not in challenge(own_guard, FakeRequest(headers={"authorization": "Bearer"}))
