"""A guarded function that is thrown away is an error, and not a check."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import flask.views
import pytest
from fastapi import FastAPI
from starlette.requests import Request

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError
from authguard.fastapi import requires

FACES = {
    "starlette": authguard.starlette.requires,
    "fastapi": authguard.fastapi.requires,
    "flask": authguard.flask.requires,
    "django": authguard.django.requires,
}
WORDS = r"^requires\('admin'\) must be followed by a use .*write @requires\('admin'\) above the function$"


def view(request: Any = None) -> str:
    """Return a text."""
    return "secret"


@pytest.mark.parametrize("face", FACES)
def test_a_guarded_function_that_is_thrown_away_is_refused_at_once(face: str) -> None:
    """A statement and a test are refused with each face, also if the decorator has a name of its own."""
    asks = FACES[face]
    check = asks("admin")
    with pytest.raises(ConfigurationError, match=WORDS):
        asks("admin")(view)
    with pytest.raises(ConfigurationError, match=WORDS):
        check(view)
    with pytest.raises(ConfigurationError, match=WORDS):
        if asks("admin")(view):
            pass


def by_statement(function: Callable[..., Any]) -> Any:
    """Throw the guarded function away, and call the other one."""

    @functools.wraps(function)
    def wrapper(request: Request) -> Any:
        requires("admin")(function)
        return function(request)

    return wrapper


def by_condition(function: Callable[..., Any]) -> Any:
    """Test the guarded function, which is always true."""
    check = requires("admin")

    @functools.wraps(function)
    def wrapper(request: Request) -> Any:
        if check(function):
            return function(request)
        return "no"

    return wrapper


@pytest.mark.parametrize("decorator", [by_statement, by_condition])
def test_a_decorator_that_throws_the_guarded_function_away(decorator: Any) -> None:
    """The application does not start, because the wrapper calls the function without the check."""
    app = guarded(FastAPI())

    def secret(request: Request) -> str:
        return "secret"

    app.get("/wrong")(decorator(secret))
    words = r"^the function .*secret of the route /wrong must use the result of .*\(function\), got it thrown"
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


def test_guarded_functions_that_are_used_are_no_fault() -> None:
    """Guarded functions that are called, listed, named or passed on are no fault."""

    def around(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def wrapper(request: Request) -> Any:
            return requires("admin")(function)(request)

        return wrapper

    views: list[Any] = []
    views.append(requires("admin")(view))
    views.extend(map(requires("admin"), [view]))
    named = requires("admin")(view)
    assert named is not None
    app = guarded(FastAPI())

    def page(request: Request) -> str:
        return "in"

    app.get("/right")(around(page))
    answers = [ask_asgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)]
    assert answers == [403, 200]


def test_a_class_that_is_changed_in_place_may_be_thrown_away() -> None:
    """Flask's classes of views keep the decorator themselves."""
    app = flask.Flask("shop")

    class Page(flask.views.MethodView):
        def get(self) -> str:
            """Return a text."""
            return "in"

    authguard.flask.requires("admin")(Page)
    app.add_url_rule("/right", view_func=Page.as_view("page"))
    authguard.flask.init_app(app, open_guard())
    answers = [ask_wsgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)]
    assert answers == [403, 200]
