"""A challenge names the scopes that a rule or a decorator requires (RFC 6750 section 3)."""

import pytest

from authguard import APIKey, APIKeyVerifier, DPoP, Guard, JWTVerifier, Rule
from authguard._core.model import ANONYMOUS_AUTH
from authguard._core.policy.rules import Requirement
from authguard.drivers import run
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, claims, make_token

RULE = Rule("/admin", scopes=["b", "a"], any_of=["c"])


def guard(*rules, **options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, protected_paths=["/", *rules], **options)


def answers(own_guard, request):
    """Return the challenges of the straight path and of the flow."""
    key = (request.method, request.path, request.root_path)
    recalled = own_guard.recall(request.presented, key, NOW)
    refusals = [run(own_guard.decide(request, NOW)).refusal]
    if recalled.is_decision:
        refusals.append(recalled.refusal)
    return {dict(refusal.headers)["www-authenticate"] for refusal in refusals}


@pytest.mark.parametrize("options", [{}, {"login_path": "/login"}], ids=["plain", "with a login page"])
def test_whoever_presents_nothing_learns_the_scopes(options):
    """A request without a credential gets a challenge with the scopes of the rule, as MCP clients need."""
    request = FakeRequest("/admin", headers={"accept": "*/*"})
    assert answers(guard(RULE, **options), request) == {'Bearer realm="api", scope="a b c"'}


def test_whoever_presents_a_bad_token_learns_the_scopes():
    """The challenge for an invalid token has the scopes beside the error."""
    (value,) = answers(guard(RULE), bearer("a.b.c", "/admin"))
    assert value.startswith('Bearer realm="api", error="invalid_token", ')
    assert value.endswith(', scope="a b c"')


def test_whoever_signed_in_too_long_ago_learns_the_scopes():
    """The challenge to sign in again has the scopes, which the next token needs too."""
    (value,) = answers(
        guard(Rule("/x", max_age=60, any_of=["read"])), bearer(make_token(claims(scope="read")), "/x")
    )
    assert value.endswith('max_age="60", scope="read"')


def test_where_a_rule_knows_no_scope_there_is_none():
    """A challenge has no scope parameter if the rule names no scopes."""
    assert answers(guard(), FakeRequest("/")) == {'Bearer realm="api"'}
    assert answers(guard(Rule("/r", roles=["x"])), FakeRequest("/r")) == {'Bearer realm="api"'}


def test_a_malformed_request_is_told_no_scopes():
    """The challenge of a malformed request has no scopes."""
    request = FakeRequest("/admin", headers=[("authorization", "Bearer a"), ("authorization", "Bearer b")])
    (value,) = answers(guard(RULE), request)
    assert "scope=" not in value


def test_a_missing_scope_names_the_scopes_once():
    """The 403 for a missing scope has the scope parameter once."""
    (value,) = answers(guard(RULE), bearer(make_token(), "/admin"))
    assert value.count("scope=") == 1


def test_each_scheme_names_the_scopes():
    """The Bearer challenge and the DPoP challenge each have the scopes."""
    own_guard = guard(RULE, proofs=[DPoP("https://site.example")])
    (value,) = answers(own_guard, FakeRequest("/admin"))
    assert value.count('scope="a b c"') == 2


def test_a_decorator_names_the_scopes():
    """The challenge for a decorator on a public path has the scopes of the decorator."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    own_guard = Guard(jwt, public_paths=["/p"])
    denied = run(own_guard.authorize(FakeRequest("/p"), ANONYMOUS_AUTH, None, Requirement(["read"]), NOW))
    assert dict(denied.refusal.headers)["www-authenticate"] == 'Bearer realm="api", scope="read"'


def test_a_decorator_names_those_of_the_rule_too():
    """The challenge for a decorator has the scopes of the decorator and of the rule."""
    own_guard = guard(Rule("/maybe", optional="strict"), RULE)
    denied = run(own_guard.authorize(FakeRequest("/admin"), ANONYMOUS_AUTH, None, Requirement(["z"]), NOW))
    assert dict(denied.refusal.headers)["www-authenticate"] == 'Bearer realm="api", scope="a b c z"'


def test_a_caller_by_key_learns_the_scopes():
    """A refused API key gets a challenge with the scopes."""
    own_guard = Guard(APIKeyVerifier({"sk_live_0123456789": APIKey("bob")}), protected_paths=[RULE])
    request = FakeRequest("/admin", headers={"x-api-key": "sk_live_9876543210"})
    assert answers(own_guard, request).pop().endswith(', scope="a b c"')
