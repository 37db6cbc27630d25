"""A missing scope or role that a token has elsewhere is named to the operator, with the option to change."""

import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier, Principal, Rule, _logs
from authguard._core.answer.decision import Deny
from authguard._core.answer.refusal import Refusal
from authguard._core.model import Claims
from authguard._core.policy.rules import Requirement
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import InsufficientScopeError
from authguard.starlette import requires
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, make_token


def page(request: Request) -> Response:
    """Answer with an empty page."""
    return PlainTextResponse("")


def hint(requirement: Requirement, *, scopes: Any = (), roles: Any = (), claims: Any = None) -> str | None:
    """Return the hint of the refusal of a caller with these claims."""
    with pytest.raises(InsufficientScopeError) as refused:
        requirement.check(Principal("ann", scopes=scopes, roles=roles, claims=claims or {}), 0)
    return refused.value.hint


READ, ADMIN = Requirement(["read"]), Requirement(roles=["admin"])


@pytest.mark.parametrize(
    ("claims", "written"),
    [
        ({"scp": "open read"}, "scope_claims=['scope', 'scp']"),
        ({"scp": ["open", "read"]}, "scope_claims=['scope', 'scp']"),
        ({"scopes": ["read"]}, "scope_claims=['scope', 'scopes']"),
        ({"permissions": ["read"]}, "scope_claims=['scope', 'permissions']"),
        ({"https://a.example/scopes": "read"}, "scope_claims=['scope', 'https://a.example/scopes']"),
        ({"access": {"scopes": ["read"]}}, "scope_claims=['scope', 'access.scopes']"),
    ],
    ids=str,
)
def test_a_scope_under_another_name(claims: dict[str, Any], written: str) -> None:
    """A claim of another name that has the scope is named, as it is written in the option."""
    assert written in (hint(READ, claims=claims) or "")


@pytest.mark.parametrize(
    ("claims", "written"),
    [
        ({"role": "admin"}, "role_claims=['roles', 'role']"),
        ({"groups": ["user", "admin"]}, "role_claims=['roles', 'groups']"),
        ({"cognito:groups": ["admin"]}, "role_claims=['roles', 'cognito:groups']"),
        ({"realm_access": {"roles": ["admin"]}}, "role_claims=['roles', 'realm_access.roles']"),
        (
            {"resource_access": {"my.api": {"roles": ["admin"]}}},
            "role_claims=['roles', ('resource_access', 'my.api', 'roles')]",
        ),
        ({"https://a.example/roles": ["admin"]}, "role_claims=['roles', 'https://a.example/roles']"),
        ({"urn:project:roles": {"admin": {"17": "a"}}}, "role_claims=['roles', 'urn:project:roles']"),
        ({"userRoles": ["admin"]}, "role_claims=['roles', 'userRoles']"),
    ],
    ids=str,
)
def test_a_role_under_another_name(claims: dict[str, Any], written: str) -> None:
    """A claim of another name that has the role is named, and the option with it gives the role."""
    assert written in (hint(ADMIN, claims=claims) or "")
    names = eval(written.partition("=")[2])  # noqa: S307 (the text of our own hint)
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, role_claims=names)
    token = make_token({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 60, **claims})
    assert "admin" in Guard(verifier).verify(token, now=NOW).roles


SPELLINGS: dict[str, tuple[Requirement, dict[str, Any], dict[str, Any], str]] = {
    "scopes with a comma": (
        READ,
        {"scopes": ["open,read"]},
        {"scope": "open,read"},
        "has 'open,read' in",
    ),
    "case of a scope": (READ, {"scopes": ["Read"]}, {"scope": "Read"}, "scopes are compared exactly"),
    "roles with a comma": (ADMIN, {"roles": ["admin,user"]}, {"roles": "admin,user"}, "a list of texts"),
    "roles with spaces": (ADMIN, {"roles": ["admin user"]}, {"role": "admin user"}, "in its claim 'role'"),
    "case of a role": (ADMIN, {"roles": ["Admin"]}, {"roles": ["Admin"]}, "roles are compared exactly"),
    "long": (ADMIN, {}, {"roles": f"admin,{'a' * 999}"}, "aaa'… in its claim"),
}


@pytest.mark.parametrize(("requirement", "granted", "claims", "words"), SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling(
    requirement: Requirement, granted: dict[str, Any], claims: dict[str, Any], words: str
) -> None:
    """A name that differs in its case, or is joined to another one, is shown."""
    assert words in (hint(requirement, **granted, claims=claims) or "")


def test_a_scope_that_is_a_role() -> None:
    """A caller who has the missing scope as a role, or the reverse, is named."""
    assert "write roles=['admin'] in the requirement" in (hint(Requirement(["admin"]), roles=["admin"]) or "")
    assert "write scopes=['admin'] in the requirement" in (hint(ADMIN, scopes=["admin"]) or "")


def test_one_of_several_scopes() -> None:
    """The scopes of `any_of` are looked for, if the caller has all others and none of these."""
    requirement = Requirement(["open"], any_of=["read", "write"])
    assert "'scp'" in (hint(requirement, scopes=["open"], claims={"scp": "write"}) or "")
    requirement = Requirement(any_of=["read"], roles=["admin"])
    assert hint(requirement, scopes=["read"], claims={"scp": "admin", "name": "admin"}) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"name": "admin", "preferred_username": "admin", "sub": "admin"},
        {"nickname_of_roles_": "admin"},
        {"roles": 5, "groups": [5, None], "permissions": None},
        {"a": {"b": {"c": {"roles": ["admin"]}}}},
        {f"{'a' * 300}/roles": ["admin"]},
        {f"roles{number}": ["admin"] for number in range(200)},
        {5: ["admin"]},
        {"roles": {"admin": False, "user": True}},
        {},
    ],
    ids=["names", "other words", "types", "depth", "length", "numbers", "no text", "false", "nothing"],
)
def test_claims_that_are_not_suggested(claims: Any) -> None:
    """A claim that a user may choose, such as a name, is never suggested, and others are ignored."""
    assert hint(ADMIN, claims=claims) is None


def test_the_number_of_claims_is_bounded() -> None:
    """Only the first hundred claims of such names are examined."""
    claims = {f"{number}/roles": ["user"] for number in range(100)}
    assert hint(ADMIN, claims={**claims, "groups": ["admin"]}) is None


def test_the_claims_of_a_token_are_parsed_once() -> None:
    """The items of the claims of a verified token are those of its JSON text."""
    assert dict(Claims('{"a": 5, "b": ["c"]}').items()) == {"a": 5, "b": ["c"]}


def test_the_operator_sees_the_hint_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is a WARNING with the path, once for each text, and never more than the bound."""
    monkeypatch.setattr(_logs, "_hinted", set())
    monkeypatch.setattr(_logs, "_MAX_HINTS", 2)
    request = FakeRequest("/admin")
    with caplog.at_level(logging.WARNING, "authguard"):
        for name in ("role", "role", "group", "groups", "authorities"):
            error = InsufficientScopeError()
            error.hint = f"add {name}"
            _logs.log_refusal(request, Deny(error, Refusal(403, (), b"")))
    assert [record.getMessage() for record in caplog.records] == [
        "GET '/admin': add role",
        "GET '/admin': add group",
    ]


@pytest.mark.parametrize("at", ["rule", "decorator"])
def test_a_request_without_the_role_is_explained(
    at: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 403 of a rule and of a decorator leaves the line in the log, and the answer does not have it."""
    monkeypatch.setattr(_logs, "_hinted", set())
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(verifier, protected_paths=[Rule("/", roles=["admin"]) if at == "rule" else "/"])
    view = page if at == "rule" else requires(roles=["admin"])(page)
    app = AuthGuardMiddleware(Starlette(routes=[Route("/", view)]), guard=guard, clock=lambda: NOW)
    token = make_token({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": NOW + 60, "groups": ["admin"]})
    response = TestClient(app).get("/", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403 and "groups" not in response.text
    assert "GET '/': a token lacks the role 'admin', and has it in a claim" in caplog.text
    assert "write role_claims=['roles', 'groups']" in caplog.text
