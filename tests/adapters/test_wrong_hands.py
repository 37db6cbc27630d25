"""Middleware and decorators that are used in a wrong place are errors with advice."""

from typing import Any

import flask
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.testclient import TestClient

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.faces import ask_wsgi
from authguard import ConfigurationError, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import install
from support import SECRET


def make_guard() -> Guard:
    """Return a guard with public paths only."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(jwt, public_paths=["/**"])


def test_middleware_is_added_as_a_class() -> None:
    """An instance of the middleware instead of its class is an error with advice."""
    app = FastAPI()
    app.add_middleware(AuthGuardMiddleware(app, guard=make_guard()))  # type: ignore[arg-type]
    with pytest.raises(
        ConfigurationError, match=r"write app\.add_middleware\(AuthGuardMiddleware, guard=guard\)"
    ):
        TestClient(app).get("/")


@pytest.mark.parametrize(
    ("dependency", "spelling"),
    [
        (authguard.fastapi.requires("admin"), r"write dependencies=\[Depends\(requires\('admin'\)\)\]"),
        (authguard.fastapi.current_user, r"write dependencies=\[Depends\(current_user\)\]"),
        (authguard.fastapi.current_principal, r"write dependencies=\[Depends\(current_principal\)\]"),
    ],
)
def test_a_dependency_of_a_router_is_a_depends(dependency: Any, spelling: str) -> None:
    """A dependency without `Depends` is an error with advice when FastAPI reads its attribute."""
    router = APIRouter(dependencies=[dependency])
    with pytest.raises(AttributeError, match=spelling):
        router.get("/x")(lambda: 1)


def test_the_caller_of_flask_is_false_outside_of_requests() -> None:
    """Outside of requests, the caller is false, as that of an open path."""
    assert not authguard.flask.current_user
    assert not authguard.flask.current_principal


@pytest.mark.parametrize("module", [authguard.flask, authguard.django], ids=["flask", "django"])
def test_requires_of_another_framework_is_no_dependency(module: Any) -> None:
    """The `requires` of Flask or Django as a dependency of FastAPI is an error when the application starts."""
    app = FastAPI()
    app.get("/x", dependencies=[Depends(module.requires("admin"))])(lambda: 1)
    install(app, make_guard())
    words = f"got that of {module.__name__}: import requires from authguard.fastapi"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


@pytest.mark.parametrize("name", ["current_user", "current_principal"])
def test_a_dependency_of_fastapi_is_not_the_caller(name: str) -> None:
    """An attribute of the caller, read from FastAPI's dependency, is an error that names both spellings."""
    dependency = getattr(authguard.fastapi, name)
    with pytest.raises(AttributeError, match=f"in Flask, import {name} from authguard.flask") as refused:
        _ = dependency.subject
    assert "write a parameter such as `user: Current" in str(refused.value)


def test_functions_of_starlette_and_django_name_their_request() -> None:
    """The caller of a request of another framework is an error that names the correct import."""
    with flask.Flask(__name__).test_request_context():
        for find in (authguard.starlette.current_principal, authguard.starlette.current_user):
            with pytest.raises(RuntimeError, match="import from authguard.flask or authguard.django"):
                find(flask.request)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="import from authguard.fastapi, authguard.starlette or"):
            authguard.django.current_principal(flask.request)  # type: ignore[arg-type]


def test_requires_of_flask_in_fastapi_says_where_to_import_it_from() -> None:
    """Flask's `requires` in FastAPI is an error that names the correct import."""
    app = FastAPI()
    app.get("/x")(authguard.flask.requires("admin")(lambda: 1))
    install(app, make_guard())
    with pytest.raises(RuntimeError, match="import from authguard.fastapi or authguard.starlette"):
        TestClient(app).get("/x")


def test_requires_of_fastapi_in_flask_says_where_to_import_it_from() -> None:
    """FastAPI's `requires` in Flask is an error that names the correct import."""
    app = flask.Flask("site")
    app.add_url_rule("/x", "x", authguard.fastapi.requires("admin")(lambda: "1"))
    authguard.flask.init_app(app, make_guard())
    app.testing = True
    with pytest.raises(TypeError, match="import requires from authguard.flask"):
        ask_wsgi(app, "GET", "/x")


@pytest.mark.parametrize(
    "kind", [AuthGuardMiddleware, authguard.flask.AuthGuardMiddleware], ids=["asgi", "wsgi"]
)
def test_middleware_that_is_thrown_away_is_an_error(kind: Any) -> None:
    """A call as a statement guards nothing, and is an error with advice; a result that is kept is none."""
    app: Any = FastAPI() if kind is AuthGuardMiddleware else flask.Flask("site")

    class Derived(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(app, guard=make_guard())

    with pytest.raises(
        ConfigurationError, match=r"thrown away, .*write app = AuthGuardMiddleware\(app, guard="
    ):
        kind(app, guard=make_guard())
    kept = [kind(app, guard=make_guard()), Derived()]
    assert all(isinstance(each, kind) for each in kept)
