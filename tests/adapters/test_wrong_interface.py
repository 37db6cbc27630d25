"""ASGI middleware around a WSGI application, and WSGI middleware around an ASGI one, are errors."""

import functools
from collections.abc import Callable
from typing import Any

import flask
import pytest
from asgiref.wsgi import WsgiToAsgi
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Router

from authguard import ConfigurationError, Guard, JWTVerifier, asgi, wsgi
from support import SECRET


def guard() -> Guard:
    """Return a guard that protects all paths."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))


async def _asgi(scope: Any, receive: Any, send: Any) -> None: ...


def _plain_asgi(scope: Any, receive: Any, send: Any) -> Any:
    return _asgi(scope, receive, send)


def _plain_asgi_with_default(scope: Any, receive: Any, send: Any = None) -> Any:
    return _asgi(scope, receive, send)


def _wsgi(environ: Any, start_response: Any) -> Any:
    return []


def _wsgi_with_default(environ: Any, start_response: Any, exc_info: Any = None) -> Any:
    return []


def _any_arguments(*args: Any) -> Any: ...


async def _async_of_any_arguments(*args: Any) -> Any: ...


class _ASGIObject:
    async def __call__(self, *args: Any) -> None: ...


class _WSGIObject:
    def __call__(self, environ: Any, start_response: Any) -> Any:
        return []


class _UnknownObject:
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class _WSGIClass:
    """An application that is a class, as PEP 3333 allows."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...


def _decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


FLASK = flask.Flask(__name__)
OF_ASGI: dict[str, Callable[..., Any]] = {
    "coroutine function": _asgi,
    "coroutine function of any arguments": _async_of_any_arguments,
    "plain function": _plain_asgi,
    "plain function with a default": _plain_asgi_with_default,
    "object": _ASGIObject(),
    "Starlette": Starlette(),
    "Router": Router(),
    "FastAPI": FastAPI(),
    "asgiref": WsgiToAsgi(_wsgi),
    "guarded": asgi.AuthGuardMiddleware(_asgi, guard=guard()),
}
OF_WSGI: dict[str, Callable[..., Any]] = {
    "function": _wsgi,
    "function with a default": _wsgi_with_default,
    "object": _WSGIObject(),
    "class": _WSGIClass,
    "Flask": FLASK,
    "wsgi_app": FLASK.wsgi_app,
    "guarded": wsgi.AuthGuardMiddleware(_wsgi, guard=guard()),
}
#: Applications whose interface cannot be read from their signature.
OF_EITHER: dict[str, Callable[..., Any]] = {
    "any arguments": _any_arguments,
    "object": _UnknownObject(),
    "partial of ASGI": functools.partial(_asgi),
    "partial of WSGI": functools.partial(_wsgi),
    "decorated ASGI": _decorated(_asgi),
    "decorated WSGI": _decorated(_wsgi),
}


@pytest.mark.parametrize("name", OF_ASGI)
def test_the_middleware_of_wsgi_refuses_an_asgi_application(name: str) -> None:
    """The error names the import for ASGI."""
    app: Any = OF_ASGI[name]
    with pytest.raises(ConfigurationError, match="app must be a WSGI application, got .*: write from auth"):
        assert wsgi.AuthGuardMiddleware(app, guard=guard())


@pytest.mark.parametrize("name", OF_WSGI)
def test_the_middleware_of_asgi_refuses_a_wsgi_application(name: str) -> None:
    """The error names the import for WSGI."""
    app: Any = OF_WSGI[name]
    with pytest.raises(ConfigurationError, match="app must be an ASGI application, got .*: write from auth"):
        assert asgi.AuthGuardMiddleware(app, guard=guard())


@pytest.mark.parametrize("name", {**OF_ASGI, **OF_EITHER})
def test_the_middleware_of_asgi_takes_other_applications(name: str) -> None:
    """ASGI middleware accepts a bridge, a partial and a decorated function, which may be applications."""
    app: Any = {**OF_ASGI, **OF_EITHER}[name]
    assert asgi.AuthGuardMiddleware(app, guard=guard())


@pytest.mark.parametrize("name", {**OF_WSGI, **OF_EITHER})
def test_the_middleware_of_wsgi_takes_other_applications(name: str) -> None:
    """WSGI middleware accepts a bridge, a partial and a decorated function, which may be applications."""
    app: Any = {**OF_WSGI, **OF_EITHER}[name]
    assert wsgi.AuthGuardMiddleware(app, guard=guard())


def test_the_error_names_the_application_s_class_and_the_right_import() -> None:
    """The error for middleware of the wrong module has the class of the application and the right import."""
    app: Any = FastAPI()
    with pytest.raises(ConfigurationError) as raised:
        assert wsgi.AuthGuardMiddleware(app, guard=guard())
    assert str(raised.value) == (
        "app must be a WSGI application, got an ASGI application (FastAPI): write from authguard.asgi import "
        "AuthGuardMiddleware"
    )
