"""A result of `requires` has no truth value, because a test of it would pass each caller."""

import copy
import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import flask
import jinja2
import pytest
from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from fastapi import Depends, FastAPI

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from authguard import ConfigurationError

FACES = {
    "starlette": authguard.starlette.requires,
    "fastapi": authguard.fastapi.requires,
    "flask": authguard.flask.requires,
    "django": authguard.django.requires,
}
MESSAGE = (
    r"^requires\('admin'\) must decorate a function, got a test for truth, which each caller would pass: "
    r"write @requires\('admin'\) above a function, or compare it with None by `is`$"
)


def in_template(check: Any) -> str:
    """Test a check in a template."""
    return jinja2.Template("{% if can('admin') %}secret{% endif %}").render(can=lambda _: check)


TESTS: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "not": lambda check: not check,
    "if": lambda check: "secret" if check else "",
    "and": lambda check: check and "secret",
    "or": lambda check: check or "secret",
    "all": lambda check: all([check]),
    "any": lambda check: any([check]),
    "filter": lambda check: list(filter(None, [check])),
    "template": in_template,
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("test", TESTS)
def test_a_test_for_truth_is_an_error(test: str, face: str) -> None:
    """Each test for truth is an error that names the spelling that works."""
    check: Any = FACES[face]("admin")
    with pytest.raises(ConfigurationError, match=MESSAGE):
        TESTS[test](check)


def can(scope: str, requires: Any) -> Any:
    """Return a check, as a helper that should return whether a caller may do something."""
    return requires(scope)


def test_a_helper_of_flask_refuses_the_request() -> None:
    """A view that tests the result of a helper passes no caller."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard(), error_handlers=False)
    app.testing = True

    @app.get("/page")
    def _page() -> str:
        if not can("admin", authguard.flask.requires):
            flask.abort(403)
        return "secret"

    with pytest.raises(ConfigurationError, match=MESSAGE):
        ask_wsgi(app, "GET", "/page", [field(READER)])


def test_a_test_function_of_django_refuses_the_request() -> None:
    """A function of `user_passes_test` that returns the check passes no caller."""

    @user_passes_test(lambda _: can("admin", authguard.django.requires))
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("secret")

    request = SimpleNamespace(user="ann", build_absolute_uri=str, get_full_path=str)
    with pytest.raises(ConfigurationError, match=MESSAGE):
        view(request)  # type: ignore[arg-type]


def is_allowed() -> Any:
    """Return the check of a module."""
    return authguard.flask.requires("admin")


def test_a_tested_helper_is_an_error_before_the_first_view() -> None:
    """The check at the start looks into the functions that a view calls."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, open_guard(), error_handlers=False)
    app.testing = True

    @app.get("/page")
    def _page() -> str:
        if not is_allowed():
            flask.abort(403)
        return "secret"

    words = r"_page of the route /page must use the result of is_allowed\(\)"
    with pytest.raises(ConfigurationError, match=words):
        ask_wsgi(app, "GET", "/page", [field(READER)])


@pytest.mark.parametrize("face", FACES)
def test_other_uses_of_a_check_work(face: str) -> None:
    """A check is compared, hashed, copied, shown, wrapped and inspected as any other object."""
    check: Any = FACES[face]("admin")
    assert check is not None
    assert check in {check: 1}
    assert [check].index(check) == 0
    assert copy.copy(check) is not None
    assert copy.deepcopy(check) is not None
    assert repr(check)
    assert inspect.signature(check).parameters

    @functools.wraps(check)
    def around(*args: Any, **kwargs: Any) -> Any:
        return check(*args, **kwargs)

    def view(request: Any) -> str:
        return "secret"

    assert around(view).__name__ == "view"
    assert callable(check)
    checks = [check]
    assert checks


def test_a_check_is_overridden_in_tests_of_an_application() -> None:
    """A check is a key of `dependency_overrides`, and a parameter of FastAPI may have it."""
    app, check = guarded(FastAPI()), authguard.fastapi.requires("admin")

    @app.get("/page")
    async def _page(caller: Any = Depends(check)) -> str:
        return str(caller)

    assert [ask_asgi(app, "GET", "/page", [field(token)]).status for token in (READER, ADMIN)] == [403, 200]
    app.dependency_overrides[check] = lambda: "replaced"
    assert ask_asgi(app, "GET", "/page", [field(READER)]).body == b'"replaced"'


def test_a_check_decorates_methods_of_django() -> None:
    """Django's `method_decorator` takes the check, alone and in a list."""

    class View:
        @method_decorator(authguard.django.requires("admin"))
        def one_check(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("secret")

        @method_decorator([authguard.django.requires("admin"), authguard.django.requires("read")])
        def two_checks(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("secret")

    for method in (View().one_check, View().two_checks):
        with pytest.raises(RuntimeError, match="no request among the arguments"):
            method(None)  # type: ignore[arg-type]
