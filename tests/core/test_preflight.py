"""CORS preflights: which requests are some, and how the guard and its rules treat them."""

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
    """Nothing is passed on to a handler unless that is asked for."""
    assert treated(guard()) == "answer"


@pytest.mark.parametrize("fields", [[ORIGIN], [METHOD], []], ids=["no method", "no origin", "neither"])
def test_other_options_requests_are_refused(fields: list[tuple[str, str]]) -> None:
    """Both fields make a preflight."""
    assert isinstance(decide(guard(), *fields), Deny)


def test_another_method_is_no_preflight() -> None:
    """The fields alone open nothing."""
    assert isinstance(decide(guard(), ORIGIN, METHOD, method="POST"), Deny)
    assert isinstance(decide(guard(), ORIGIN, METHOD, method="options"), Deny)


def test_options_with_a_good_credential_is_an_ordinary_request() -> None:
    """The caller is known then, and the application gets the request as it is."""
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
    """Browsers send preflights without credentials, so this is none."""
    assert isinstance(
        decide(guard(cookie=AccessCookie("session", secure=False)), ORIGIN, METHOD, field), Deny
    )


def test_cookies_of_others_do_not_matter() -> None:
    """Something on the way may add a cookie of its own."""
    decision = decide(
        guard(cookie=AccessCookie("session", secure=False)), ORIGIN, METHOD, ("Cookie", "theme=dark")
    )
    assert decision.preflight == "answer"


def test_on_open_paths_it_is_an_ordinary_request() -> None:
    """Where anybody may pass, nothing is held back."""
    rules = [Rule("/maybe", optional="strict"), Rule("/lenient", optional="lenient"), "/private"]
    some = guard(protected_paths=rules, public_paths=["/public"])
    assert [treated(some, path) for path in ("/maybe", "/lenient", "/public")] == [None, None, None]
    assert treated(some) == "answer"


def test_the_guard_may_pass_preflights_on() -> None:
    """For frameworks whose CORS layer is not found."""
    assert treated(guard(preflight="pass")) == "pass"


def test_a_rule_wins_over_the_guard() -> None:
    """In both directions, for its own paths."""
    inner = Rule("/api/admin", preflight="answer")
    some = guard(protected_paths=["/", Rule("/api", preflight="pass"), inner])
    assert [treated(some, path) for path in ("/x", "/api/x", "/api/admin")] == ["answer", "pass", "answer"]
    some = guard(preflight="pass", protected_paths=["/", Rule("/admin", preflight="answer")])
    assert [treated(some, path) for path in ("/x", "/admin/x")] == ["pass", "answer"]


@pytest.mark.parametrize("path", ["/API/x", "/a/../api/x", "//api//x", "/api/%2e%2e/x"])
def test_an_odd_path_is_not_passed_on_by_a_rule(path: str) -> None:
    """Only the path as it is written can be relieved of something."""
    assert treated(guard(protected_paths=["/", Rule("/api", preflight="pass")]), path) == "answer"
    assert treated(guard(protected_paths=[Rule("/api", preflight="pass")]), path) == "answer"


def test_an_odd_path_is_held_back_by_a_rule() -> None:
    """A rule that plainly covers another reading holds, too."""
    some = guard(preflight="pass", protected_paths=["/", Rule("/admin", preflight="answer")])
    assert [treated(some, path) for path in ("/ADMIN", "/x/../admin")] == ["answer", "answer"]
    assert treated(some, "/x//y") == "pass"


def test_of_rules_that_tie_the_stricter_holds() -> None:
    """A mount point can make two rules plain."""
    some = guard(protected_paths=[Rule("/a/x", preflight="pass"), Rule("/x", preflight="answer")])
    request = FakeRequest("/x", method="OPTIONS", headers=[ORIGIN, METHOD], root_path="/a")
    assert run(some.decide(request, NOW)).preflight == "answer"


@pytest.mark.parametrize("value", ["Pass", "deny", "", True, None, 1, b"pass", ["pass"]])
def test_other_values_are_refused_when_the_guard_is_built(value: Any) -> None:
    """The error gives the two that there are."""
    with pytest.raises(ConfigurationError, match='preflight must be "answer" or "pass", got'):
        guard(preflight=value)


@pytest.mark.parametrize("value", ["Pass", "", False, 0])
def test_other_values_are_refused_when_a_rule_is_built(value: Any) -> None:
    """The same check."""
    with pytest.raises(ConfigurationError, match='preflight must be "answer" or "pass", got'):
        Rule("/x", preflight=value)


def test_a_rule_that_has_no_effect_is_refused() -> None:
    """It is for OPTIONS requests of protected paths."""
    with pytest.raises(ConfigurationError, match="methods must name OPTIONS"):
        Rule("/x", methods=["GET"], preflight="pass")
    with pytest.raises(ConfigurationError, match="left out with optional"):
        Rule("/x", optional="strict", preflight="pass")
    with pytest.raises(ConfigurationError, match="public_paths must ask for nothing"):
        guard(public_paths=[Rule("/x", preflight="pass")])
    assert Rule("/x", methods=["GET", "OPTIONS"], preflight="pass").preflight == "pass"
