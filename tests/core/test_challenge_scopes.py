"""A challenge names the scopes that a rule or a decorator asks for (RFC 6750 section 3)."""

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
    """The challenges of the straight path and of the flow."""
    key = (request.method, request.path, request.root_path)
    recalled = own_guard.recall(request.presented, key, NOW)
    refusals = [run(own_guard.decide(request, NOW)).refusal]
    if recalled.is_decision:
        refusals.append(recalled.refusal)
    return {dict(refusal.headers)["www-authenticate"] for refusal in refusals}


@pytest.mark.parametrize("options", [{}, {"login_path": "/login"}], ids=["plain", "with a login page"])
def test_whoever_presents_nothing_learns_the_scopes(options):
    """So that the first token has them: MCP clients ask for these."""
    request = FakeRequest("/admin", headers={"accept": "*/*"})
    assert answers(guard(RULE, **options), request) == {'Bearer realm="api", scope="a b c"'}


def test_whoever_presents_a_bad_token_learns_the_scopes():
    """Beside the error."""
    (value,) = answers(guard(RULE), bearer("a.b.c", "/admin"))
    assert value.startswith('Bearer realm="api", error="invalid_token", ')
    assert value.endswith(', scope="a b c"')


def test_whoever_signed_in_too_long_ago_learns_the_scopes():
    """The next token must have them, too."""
    (value,) = answers(
        guard(Rule("/x", max_age=60, any_of=["read"])), bearer(make_token(claims(scope="read")), "/x")
    )
    assert value.endswith('max_age="60", scope="read"')


def test_where_a_rule_knows_no_scope_there_is_none():
    """An empty parameter would mean that none is enough."""
    assert answers(guard(), FakeRequest("/")) == {'Bearer realm="api"'}
    assert answers(guard(Rule("/r", roles=["x"])), FakeRequest("/r")) == {'Bearer realm="api"'}


def test_a_malformed_request_is_told_no_scopes():
    """It is about the form of the request."""
    request = FakeRequest("/admin", headers=[("authorization", "Bearer a"), ("authorization", "Bearer b")])
    (value,) = answers(guard(RULE), request)
    assert "scope=" not in value


def test_a_missing_scope_names_the_scopes_once():
    """As before: 403 and what is lacking."""
    (value,) = answers(guard(RULE), bearer(make_token(), "/admin"))
    assert value.count("scope=") == 1


def test_each_scheme_names_the_scopes():
    """A client that speaks one of them reads one."""
    own_guard = guard(RULE, proofs=[DPoP("https://site.example")])
    (value,) = answers(own_guard, FakeRequest("/admin"))
    assert value.count('scope="a b c"') == 2


def test_a_decorator_names_the_scopes():
    """On a public path, beside those of nobody else."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    own_guard = Guard(jwt, public_paths=["/p"])
    denied = run(own_guard.authorize(FakeRequest("/p"), ANONYMOUS_AUTH, None, Requirement(["read"]), NOW))
    assert dict(denied.refusal.headers)["www-authenticate"] == 'Bearer realm="api", scope="read"'


def test_a_decorator_names_those_of_the_rule_too():
    """Where the rule lets everybody pass."""
    own_guard = guard(Rule("/maybe", optional="strict"), RULE)
    denied = run(own_guard.authorize(FakeRequest("/admin"), ANONYMOUS_AUTH, None, Requirement(["z"]), NOW))
    assert dict(denied.refusal.headers)["www-authenticate"] == 'Bearer realm="api", scope="a b c z"'


def test_a_caller_by_key_learns_the_scopes():
    """A key may be an OAuth client's, too."""
    own_guard = Guard(APIKeyVerifier({"sk_live_0123456789": APIKey("bob")}), protected_paths=[RULE])
    request = FakeRequest("/admin", headers={"x-api-key": "sk_live_9876543210"})
    assert answers(own_guard, request).pop().endswith(', scope="a b c"')
