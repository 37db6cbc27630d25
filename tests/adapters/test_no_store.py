"""The option `no_store` of a cookie: answers to a request with the cookie are not stored by browsers."""

from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import authguard.asgi
from adapters.answering import AUDIENCE, GOOD, ISSUER, KEY, NOW, SAME, SECRET, api_key, bearer, cookie
from adapters.faces import ASGI, DECORATED, WSGI, Answer, ask_asgi, ask_wsgi
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Quota, Rule
from authguard.flask import init_app

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


def guard(*, no_store: bool = True, **options: Any) -> Guard:
    """Return a guard with a cookie with or without `no_store`."""
    return Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE),
        APIKeyVerifier({KEY: APIKey("robot", scopes=["read"])}),
        cookie=AccessCookie("session", secure=False, no_store=no_store),
        **{
            "protected_paths": ["/", Rule("/maybe", optional="strict")],
            "public_paths": ["/public"],
            **options,
        },
    )


def kept(answer: Answer) -> tuple[str | None, str | None]:
    """Return the fields of an answer that caches read."""
    return answer.headers.get("cache-control"), answer.headers.get("vary")


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    return lambda guard, *what: kept(ask(make(guard, lambda: NOW), *what))


@pytest.mark.parametrize("path", ["/private", "/public", "/maybe"])
def test_what_a_cookie_has_opened_is_not_stored(face: Any, path: str) -> None:
    """The answer is not stored on protected, optional and public paths."""
    for _ in range(2):
        assert face(guard(), "GET", path, [cookie(GOOD)]) == ("no-store", "Cookie")
        assert face(guard(), "POST", path, [cookie(GOOD), SAME]) == ("no-store", "Cookie")


def test_without_the_option_a_browser_may_keep_it(face: Any) -> None:
    """Without the option the answer may be stored by the browser, and not by shared caches."""
    assert face(guard(no_store=False), "GET", "/private", [cookie(GOOD)]) == ("private", "Cookie")


def test_what_something_else_has_opened_is_as_before(face: Any) -> None:
    """The option does not change the answer to a token, a key, or a request without a credential."""
    assert face(guard(), "GET", "/private", [bearer(GOOD)]) == (None, None)
    assert face(guard(), "GET", "/private", [api_key(KEY)]) == ("private", "x-api-key")
    assert face(guard(), "GET", "/public", []) == (None, None)


def test_a_guard_with_quotas_says_so_too(face: Any) -> None:
    """A guard with quotas adds the same fields."""
    counted = guard(quotas=[Quota(10, 60)])
    assert face(counted, "GET", "/private", [cookie(GOOD)]) == ("no-store", "Cookie")


@pytest.mark.parametrize("framework", DECORATED)
def test_a_page_behind_a_decorator_is_not_stored(framework: str) -> None:
    """The answer of a decorated route to the cookie is not stored."""
    make, ask = DECORATED[framework]
    app = make(guard(protected_paths=None, public_paths=["/**"]), lambda: NOW, {})
    assert kept(ask(app, "GET", "/route", [cookie(GOOD)])) == ("no-store", "Cookie")


def test_an_own_cache_control_of_the_application_stays() -> None:
    """A `Cache-Control` of the application, as for a picture, is not replaced."""
    own = {"Cache-Control": "max-age=60"}
    flask_app = flask.Flask("app")
    flask_app.add_url_rule("/picture", view_func=lambda: ("", own))
    init_app(flask_app, guard())
    middleware: Any = flask_app.wsgi_app
    middleware._clock = lambda: NOW
    assert kept(ask_wsgi(flask_app, "GET", "/picture", [cookie(GOOD)])) == ("max-age=60", "Cookie")
    starlette_app = Starlette(routes=[Route("/picture", lambda request: PlainTextResponse(headers=own))])
    starlette_app.add_middleware(authguard.asgi.AuthGuardMiddleware, guard=guard(), clock=lambda: NOW)
    assert kept(ask_asgi(starlette_app, "GET", "/picture", [cookie(GOOD)])) == ("max-age=60", "Cookie")
