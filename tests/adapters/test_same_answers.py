"""One table of requests and answers, with the same answers by each adapter."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters.answering import (
    ADMIN,
    AUDIENCE,
    BEARER,
    EXPIRED,
    FORGED,
    FRESH,
    GOOD,
    HTML,
    HTMX,
    INVALID_REQUEST,
    ISSUER,
    KEY,
    NOW,
    SECRET,
    STALE,
    STEP_UP,
    Case,
    api_key,
    bearer,
    cookie,
    guard,
    token,
)
from adapters.cases import CASES, SECTIONS
from adapters.faces import ASGI, DECORATED, WSGI, Answer, Field, ask_asgi, ask_wsgi
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Principal, Rule

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES], scope="module")
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    app = make(guard(), lambda: NOW)
    return lambda *what: ask(app, *what)


@pytest.mark.parametrize("name", CASES, ids=str)
def test_answer(face: Any, name: str) -> None:
    """Each adapter gives the answer of the table."""
    check_answer(face, CASES[name])


def check_answer(face: Any, case: Case) -> None:
    """Send the request of a case, and compare the answer."""
    answer = face(case.method, case.path, case.fields)
    assert answer.status == case.status, answer
    if case.status == 200:
        assert case.method == "HEAD" or answer.body.decode() == case.subject
    elif case.status == 204:
        assert (answer.body, answer.headers) == (b"", {})
    elif case.status == 303:
        assert answer.headers["location"] == case.location
        assert_never_stored(answer)
    else:
        (assert_page if case.page else assert_problem)(answer, case.method)
        assert answer.headers.get("www-authenticate", "").startswith(case.challenge)
        assert "Accept, Sec-Fetch-Mode" in answer.headers["vary"]


def test_names_of_cases_are_there_once() -> None:
    """No name of a case is in two sections, since one case would replace the other."""
    assert len(CASES) == sum(map(len, SECTIONS))


def assert_never_stored(answer: Answer) -> None:
    """Check that caches do not store the answer."""
    assert answer.headers["cache-control"] == "no-store"


def assert_page(answer: Answer, method: str) -> None:
    """Check that the answer is an English page without scripts and other resources, or empty for HEAD."""
    assert_never_stored(answer)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.body.startswith(b'<!doctype html>\n<html lang="en">')
        assert 0 < int(answer.headers["content-length"]) == len(answer.body) < 4096


def assert_problem(answer: Answer, method: str) -> None:
    """Check that the answer is an RFC 9457 document with the same status, or empty for HEAD."""
    assert_never_stored(answer)
    assert answer.headers["content-type"] == "application/problem+json"
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert json.loads(answer.body)["status"] == answer.status
        assert int(answer.headers["content-length"]) == len(answer.body)


class Partners:
    """A verifier of an application, for keys in a field of their own."""

    header = "X-Partner-Key"

    def verify(self, credential: Any) -> Principal:
        return Principal(f"partner {credential.value}", method="api_key")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([api_key(KEY)], 200),
        ([api_key(KEY), ("X-Partner-Key", b"p")], 400),
        ([("X-Partner-Key", b"p"), api_key(KEY)], 400),
        ([("X-Partner-Key", KEY.encode()), api_key(KEY)], 400),
        ([("X-Partner-Key", b""), api_key(KEY)], 400),
        ([("X-Partner-Key", b"p"), ("X-Partner-Key", b"p")], 400),
        ([("X-Partner-Key", b"p,q")], 400),
        ([("X-Partner-Key", b"p"), bearer(GOOD)], 400),
        ([("X-Partner-Key", b"p"), bearer(KEY)], 400),
    ],
    ids=[
        "one key",
        "a key, then another",
        "another, then a key",
        "the same key twice",
        "an empty field",
        "one field twice",
        "joined",
        "a key and a token",
        "a key and a key as Bearer",
    ],
)
@pytest.mark.parametrize(("ask", "make"), [pytest.param(*face[1:], id=face[0]) for face in FACES])
def test_keys_in_two_fields_are_two_credentials(ask: Any, make: Any, fields: list[Any], status: int) -> None:
    """Keys in two fields are a 400, also if both are equal."""
    two = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier({KEY: APIKey("robot")}),
        Partners(),
    )
    answer = ask(make(two, lambda: NOW), "GET", "/private", fields)
    assert answer.status == status
    if status == 400:
        assert_problem(answer, "GET")
        assert answer.headers["www-authenticate"].startswith(INVALID_REQUEST)


def test_htmx_is_told_where_to_sign_in(face: Any) -> None:
    """A request of HTMX gets `HX-Redirect` to the login page, with its page as `next`."""
    answer = face("GET", "/private", HTMX)
    assert answer.headers["hx-redirect"] == "/login?next=%2Fpage%3Fx%3D1"


def test_all_invalid_tokens_get_the_same_answer(face: Any) -> None:
    """The body of the refusal does not depend on the check that failed."""
    bad = [EXPIRED, FORGED, token(iss="x"), token(aud="x"), "a.b.c", KEY + "x"]
    answers = {face("GET", "/private", [bearer(text)]).body for text in bad}
    assert len(answers) == 1


def test_key_and_cookie_responses_are_kept_apart_by_caches(face: Any) -> None:
    """Answers to API keys and cookies have the fields that shared caches need."""
    assert face("GET", "/private", [api_key(KEY)]).headers["vary"] == "x-api-key"
    assert face("GET", "/private", [cookie(GOOD)]).headers["cache-control"] == "private"


def test_a_login_page_that_sends_straight_back_makes_no_circle(face: Any) -> None:
    """A second redirect to the login page within seconds is a 401, and one of another page is a redirect."""
    first = face("GET", "/recent", [HTML, cookie(STALE)])
    name, _, rest = first.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert name == "session-step-up"
    assert re.fullmatch("[0-9a-f]{32}", value)
    assert set(attributes) == {"Max-Age=10", "Path=/", "HttpOnly", "SameSite=Lax"}
    back = ("Cookie", f"session={STALE}; {name}={value}".encode())
    again = face("GET", "/recent", [HTML, back])
    assert (again.status, "set-cookie" in again.headers) == (401, False)
    assert again.headers["www-authenticate"].startswith(STEP_UP)
    assert face("GET", "/strong", [HTML, back]).status == 303
    twice = ("Cookie", f"session={STALE}; {name}={value}; {name}=x".encode())
    assert face("GET", "/recent", [HTML, twice]).status == 401


def test_htmx_is_told_where_to_sign_in_anew(face: Any) -> None:
    """A request of HTMX for a recent sign-in gets `HX-Redirect` with `max_age`."""
    answer = face("GET", "/recent", [*HTMX, cookie(STALE)])
    assert answer.headers["hx-redirect"] == "/login?next=%2Fpage%3Fx%3D1&max_age=300"
    assert answer.headers["www-authenticate"].startswith(STEP_UP)


def test_the_document_of_a_sign_in_has_its_code(face: Any) -> None:
    """The code of the document distinguishes a missing recent sign-in from other 401s."""
    document = json.loads(face("GET", "/recent", [bearer(STALE)]).body)
    assert document["code"] == "insufficient_user_authentication"


@dataclass(frozen=True, kw_only=True)
class RouteCase:
    """A requirement of a decorator, a request, and the status of its answer."""

    requirement: dict[str, Any] = field(default_factory=dict)
    fields: Sequence[Field] = ()
    status: int = 200
    page: bool = False


ROUTE_CASES: dict[str, RouteCase] = {
    "anybody, nobody": RouteCase(status=401),
    "anybody, somebody": RouteCase(fields=[bearer(GOOD)]),
    "anybody, a forged token": RouteCase(fields=[bearer(FORGED)], status=401),
    "anybody, two tokens": RouteCase(fields=[bearer(GOOD), bearer(GOOD)], status=400),
    "anybody, a browser": RouteCase(fields=[HTML], status=303),
    "anybody, a key": RouteCase(fields=[api_key(KEY)]),
    "a scope, there": RouteCase(requirement={"scopes": ["read"]}, fields=[bearer(GOOD)]),
    "two scopes, one there": RouteCase(
        requirement={"scopes": ["read", "admin"]}, fields=[bearer(GOOD)], status=403
    ),
    "two scopes, both there": RouteCase(requirement={"scopes": ["read", "admin"]}, fields=[bearer(ADMIN)]),
    "any of two, one there": RouteCase(requirement={"any_of": ["read", "write"]}, fields=[bearer(GOOD)]),
    "any of two, none there": RouteCase(
        requirement={"any_of": ["write", "admin"]}, fields=[bearer(GOOD)], status=403
    ),
    "a role, there": RouteCase(requirement={"roles": ["clerk"]}, fields=[bearer(GOOD)]),
    "a role, missing": RouteCase(requirement={"roles": ["boss"]}, fields=[bearer(GOOD)], status=403),
    "a recent sign-in": RouteCase(requirement={"max_age": 300}, fields=[bearer(FRESH)]),
    "a sign-in too long ago": RouteCase(requirement={"max_age": 300}, fields=[bearer(STALE)], status=401),
    "a recent sign-in, a key": RouteCase(requirement={"max_age": 300}, fields=[api_key(KEY)], status=401),
    "a recent sign-in, nobody": RouteCase(requirement={"max_age": 300}, status=401),
    "a recent sign-in, a browser": RouteCase(requirement={"max_age": 300}, fields=[HTML], status=303),
    "an acr, there": RouteCase(requirement={"acr": "phr"}, fields=[bearer(FRESH)]),
    "an acr, missing": RouteCase(requirement={"acr": ["phr"]}, fields=[bearer(STALE)], status=401),
    "a scope before a sign-in": RouteCase(
        requirement={"scopes": ["x"], "max_age": 300}, fields=[bearer(STALE)], status=403
    ),
    "a scope, a browser": RouteCase(
        requirement={"scopes": ["admin"]}, fields=[HTML, bearer(GOOD)], status=403, page=True
    ),
    "a browser with a bad token": RouteCase(fields=[HTML, bearer(FORGED)], status=401, page=True),
    "a scope, a forged token": RouteCase(
        requirement={"scopes": ["admin"]}, fields=[bearer(FORGED)], status=401
    ),
}


@pytest.mark.parametrize("framework", DECORATED)
@pytest.mark.parametrize("name", ROUTE_CASES)
def test_decorated_route(framework: str, name: str) -> None:
    """A decorator on a public path has the same answers as a rule."""
    case = ROUTE_CASES[name]
    make, ask = DECORATED[framework]
    open_guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier({KEY: APIKey("robot", scopes=["read"])}),
        public_paths=["/route"],
        login_path="/login",
    )
    answer = ask(make(open_guard, lambda: NOW, case.requirement), "GET", "/route", case.fields)
    assert answer.status == case.status
    if case.status in (400, 401, 403):
        (assert_page if case.page else assert_problem)(answer, "GET")
        assert answer.headers["www-authenticate"].startswith(BEARER)
    if case.status == 303:
        assert answer.headers["location"] == "/login?next=%2Froute"


@pytest.mark.parametrize("framework", DECORATED)
def test_a_decorated_route_challenges_as_a_rule_does(framework: str) -> None:
    """A decorator checks the age of the sign-in of a known token at each request."""
    make, ask = DECORATED[framework]
    times = [NOW]
    open_guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        protected_paths=["/route"],
        login_path="/login",
        cookie=AccessCookie("session", secure=False),
    )
    app = make(open_guard, lambda: times[0], {"acr": ["phrh", "phr"], "max_age": 300})
    assert ask(app, "GET", "/route", [bearer(FRESH)]).status == 200
    times[0] += 1
    answer = ask(app, "GET", "/route", [bearer(FRESH)])
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == f'{STEP_UP}, acr_values="phrh phr", max_age="300"'
    browser = ask(app, "GET", "/route", [HTML, cookie(FRESH)])
    assert browser.headers["location"] == "/login?next=%2Froute&acr_values=phrh+phr&max_age=300"


@pytest.mark.parametrize("framework", DECORATED)
def test_the_stricter_of_rule_and_decorator_wins(framework: str) -> None:
    """A rule and a decorator are both enforced."""
    make, ask = DECORATED[framework]
    strict = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        protected_paths=[Rule("/route", scopes=["admin"])],
    )
    app = make(strict, lambda: NOW, {"roles": ["clerk"]})
    assert ask(app, "GET", "/route", [bearer(GOOD)]).status == 403
    assert ask(app, "GET", "/route", [bearer(ADMIN)]).status == 403
    both = token(scope="admin", roles=["clerk"])
    assert ask(app, "GET", "/route", [bearer(both)]).status == 200
