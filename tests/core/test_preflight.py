"""CORS preflights: the requests that are preflights, and their treatment by the guard and its rules."""

from typing import Any

import pytest

from authguard import AccessCookie, APIKey, APIKeyVerifier, ConfigurationError, Guard, JWTVerifier, Rule
from authguard._core.answer.decision import Allow, Deny
from authguard.drivers import run
from support import NOW, SECRET, FakeRequest, make_token

ORIGIN = ("Origin", "https://spa.example")
METHOD = ("Access-Control-Request-Method", "POST")
ISSUED = make_token()


def guard(**options: Any) -> Guard:
    jwt = JWTVerifier(
        SECRET, algorithms=["HS256"], issuer="https://issuer.example", audience="https://api.example"
    )
    return Guard(jwt, APIKeyVerifier({"sk_live_" + "x" * 40: APIKey("robot")}), **options)


def decide(guard: Guard, *fields: tuple[str, str], method: str = "OPTIONS", path: str = "/private") -> Any:
    return run(guard.decide(FakeRequest(path, method=method, headers=list(fields), scheme="http"), NOW))


def treated(guard: Guard, path: str = "/private") -> str | None:
    decision = decide(guard, ORIGIN, METHOD, path=path)
    assert isinstance(decision, Allow)
    assert not decision.auth.principal.is_authenticated
    return decision.preflight


def test_a_preflight_of_a_protected_path_is_answered() -> None:
    """The guard answers a preflight of a protected path."""
    assert treated(guard()) == "answer"


@pytest.mark.parametrize("fields", [[ORIGIN], [METHOD], []], ids=["no method", "no origin", "neither"])
def test_other_options_requests_are_refused(fields: list[tuple[str, str]]) -> None:
    """An OPTIONS request without both fields is refused."""
    assert isinstance(decide(guard(), *fields), Deny)


def test_another_method_is_no_preflight() -> None:
    """A request with another method is refused, although it has the fields of a preflight."""
    assert isinstance(decide(guard(), ORIGIN, METHOD, method="POST"), Deny)
    assert isinstance(decide(guard(), ORIGIN, METHOD, method="options"), Deny)


def test_options_with_a_good_credential_is_an_ordinary_request() -> None:
    """An OPTIONS request with a valid credential is passed on, and its caller is known."""
    decision = decide(guard(), ORIGIN, METHOD, ("Authorization", f"Bearer {ISSUED}"))
    assert (decision.auth.principal.subject, decision.preflight) == ("ann", None)


@pytest.mark.parametrize(
    "field",
    [
        ("Authorization", "Bearer bad"),
        ("Authorization", "Basic eDp5"),
        ("X-API-Key", "sk_live_bad"),
        ("Cookie", "session=bad"),
        ("Cookie", f"session={ISSUED}; session={ISSUED}"),
    ],
    ids=["bearer", "basic", "key", "cookie", "cookie twice"],
)
def test_options_with_a_bad_credential_is_refused(field: tuple[str, str]) -> None:
    """An OPTIONS request with an invalid credential is refused, because preflights have no credential."""
    assert isinstance(
        decide(guard(cookie=AccessCookie("session", secure=False)), ORIGIN, METHOD, field), Deny
    )


def test_cookies_of_others_do_not_matter() -> None:
    """A preflight may have another cookie, which a proxy may have added."""
    decision = decide(
        guard(cookie=AccessCookie("session", secure=False)), ORIGIN, METHOD, ("Cookie", "theme=dark")
    )
    assert decision.preflight == "answer"


def test_on_open_paths_it_is_an_ordinary_request() -> None:
    """A preflight of an optional or public path is an ordinary request."""
    rules = [Rule("/maybe", optional="strict"), Rule("/lenient", optional="lenient"), "/private"]
    some = guard(protected_paths=rules, public_paths=["/public"])
    assert [treated(some, path) for path in ("/maybe", "/lenient", "/public")] == [None, None, None]
    assert treated(some) == "answer"


def test_the_guard_may_pass_preflights_on() -> None:
    """A guard with `preflight="pass"` passes preflights on."""
    assert treated(guard(preflight="pass")) == "pass"


def test_a_rule_wins_over_the_guard() -> None:
    """`preflight` of a rule overrides that of the guard, in both directions."""
    inner = Rule("/api/admin", preflight="answer")
    some = guard(protected_paths=["/", Rule("/api", preflight="pass"), inner])
    assert [treated(some, path) for path in ("/x", "/api/x", "/api/admin")] == ["answer", "pass", "answer"]
    some = guard(preflight="pass", protected_paths=["/", Rule("/admin", preflight="answer")])
    assert [treated(some, path) for path in ("/x", "/admin/x")] == ["pass", "answer"]


@pytest.mark.parametrize("path", ["/API/x", "/a/../api/x", "//api//x", "/api/%2e%2e/x"])
def test_an_odd_path_is_not_passed_on_by_a_rule(path: str) -> None:
    """A preflight of an odd path is not passed on by a rule."""
    assert treated(guard(protected_paths=["/", Rule("/api", preflight="pass")]), path) == "answer"
    assert treated(guard(protected_paths=[Rule("/api", preflight="pass")]), path) == "answer"


def test_an_odd_path_is_held_back_by_a_rule() -> None:
    """A preflight of an odd path is answered if a rule with "answer" covers one of its readings."""
    some = guard(preflight="pass", protected_paths=["/", Rule("/admin", preflight="answer")])
    assert [treated(some, path) for path in ("/ADMIN", "/x/../admin")] == ["answer", "answer"]
    assert treated(some, "/x//y") == "pass"


def test_of_rules_that_tie_the_stricter_holds() -> None:
    """Of two equal rules, one of which includes the mount point, "answer" applies."""
    some = guard(protected_paths=[Rule("/a/x", preflight="pass"), Rule("/x", preflight="answer")])
    request = FakeRequest("/x", method="OPTIONS", headers=[ORIGIN, METHOD], root_path="/a")
    assert run(some.decide(request, NOW)).preflight == "answer"


@pytest.mark.parametrize("value", ["Pass", "deny", "", True, None, 1, b"pass", ["pass"]])
def test_other_values_are_refused_when_the_guard_is_built(value: Any) -> None:
    """Another value of `preflight` is refused, and the error lists both values."""
    with pytest.raises(ConfigurationError, match='preflight must be "answer" or "pass", got'):
        guard(preflight=value)


@pytest.mark.parametrize("value", ["Pass", "", False, 0])
def test_other_values_are_refused_when_a_rule_is_built(value: Any) -> None:
    """Another value of `preflight` in a rule is refused in the same way."""
    with pytest.raises(ConfigurationError, match='preflight must be "answer" or "pass", got'):
        Rule("/x", preflight=value)


def test_a_rule_that_has_no_effect_is_refused() -> None:
    """`preflight` is refused in a rule that applies to no preflight of a protected path."""
    with pytest.raises(ConfigurationError, match="methods must name OPTIONS"):
        Rule("/x", methods=["GET"], preflight="pass")
    with pytest.raises(ConfigurationError, match="left out with optional"):
        Rule("/x", optional="strict", preflight="pass")
    with pytest.raises(ConfigurationError, match="public_paths must ask for nothing"):
        guard(public_paths=[Rule("/x", preflight="pass")])
    assert Rule("/x", methods=["GET", "OPTIONS"], preflight="pass").preflight == "pass"
