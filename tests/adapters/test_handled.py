"""The return value of `handled_by_guard` in the code behind the middleware, on ASGI and WSGI."""

import asyncio
import dataclasses
from typing import Any

import pytest

import authguard.asgi
import authguard.wsgi
from authguard import Guard, JWTVerifier
from authguard.errors import InvalidTokenError
from support import NOW, SECRET

GUARD = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), public_paths=["/open"])


def handled_on_asgi(field: str) -> Any:
    """Return `handled_by_guard` of an ASGI application behind a mount, for a request for `/v1/open`."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inner = {**scope, "root_path": "/v1/open"}  # as the mount of an application does
        seen.append(authguard.asgi.handled_by_guard(inner))

    headers = [(b"authorization", field.encode())]
    scope = {"type": "http", "method": "GET", "path": "/v1/open", "root_path": "/v1", "headers": headers}
    asyncio.run(authguard.asgi.AuthGuardMiddleware(app, guard=GUARD, clock=lambda: NOW)(scope, None, None))
    return seen[0]


def handled_on_wsgi(field: str) -> Any:
    """Return `handled_by_guard` of a WSGI application behind a mount, for a request for `/v1/open`."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        inner = {**environ, "SCRIPT_NAME": "/v1/open", "PATH_INFO": ""}  # as the mount of an application does
        seen.append(authguard.wsgi.handled_by_guard(inner))
        return []

    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/v1",
        "PATH_INFO": "/open",
        "HTTP_AUTHORIZATION": field,
    }
    authguard.wsgi.AuthGuardMiddleware(app, guard=GUARD, clock=lambda: NOW)(environ, None)  # type: ignore[arg-type]
    return seen[0]


both = pytest.mark.parametrize("handled_on", [handled_on_asgi, handled_on_wsgi])


@both
def test_request_is_the_one_that_the_guard_saw(handled_on: Any) -> None:
    """The request has the path and the mount point of the middleware, not those of an inner mount."""
    request = handled_on("Basic eA==").request
    assert (request.method, request.path, request.root_path) == ("GET", "/open", "/v1")


@both
def test_guard_and_time_are_those_of_the_decision(handled_on: Any) -> None:
    """The guard and the time are those by which the request was decided."""
    handled = handled_on("Basic eA==")
    assert (handled.guard, handled.at) == (GUARD, NOW)


@both
def test_error_tells_why_a_credential_was_not_taken(handled_on: Any) -> None:
    """The error of an invalid token is available on a public path."""
    assert isinstance(handled_on("Bearer a.b.c").error, InvalidTokenError)


@both
def test_nothing_can_be_changed(handled_on: Any) -> None:
    """An application cannot change the returned object."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        handled_on("Basic eA==").at = 0


@pytest.mark.parametrize("module", [authguard.asgi, authguard.wsgi], ids=["asgi", "wsgi"])
def test_without_the_middleware_the_error_says_how_to_install_it(module: Any) -> None:
    """The call without the middleware is an error with advice."""
    with pytest.raises(RuntimeError, match="no AuthGuardMiddleware around this application: write "):
        module.handled_by_guard({})
