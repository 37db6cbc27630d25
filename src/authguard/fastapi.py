"""FastAPI: typed dependencies, `requires`, and the rules in the OpenAPI document."""

import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from authguard._asgi.connection import check_recheck
from authguard._core.answer import Refusal
from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.rules import Requirement
from authguard.asgi import AuthGuardMiddleware, responder
from authguard.errors import ConfigurationError
from authguard.starlette import (
    as_response,
    authorize,
    connection_finder,
    guarded_async,
    guarded_sync,
)

__all__ = [
    "AuthGuardMiddleware",
    "CurrentUser",
    "RefusedHTTPException",
    "current_user",
    "install",
    "requires",
]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class RefusedHTTPException(HTTPException):
    """A route's requirement that the caller does not meet.

    Register an exception handler for it, or for its base, to answer in your own way; else the
    answer is the guard's, with its challenge.
    """

    def __init__(self, refusal: Refusal) -> None:
        error = refusal.error
        super().__init__(refusal.status, error.detail if error else None, dict(refusal.headers))
        self.refusal = refusal


class _CurrentUser(SecurityBase):
    """Who is calling, on HTTP and websocket routes; refuses callers who are nobody.

    Use `CurrentUser` in signatures, or `Security(current_user, scopes=["read"])` to require
    scopes as well. It shows the Authorize button in /docs. With a `user_loader`, write
    `Annotated[YourUser, Depends(current_user)]`.

    It is dependency and security scheme in one: a second dependency for the scheme, which the
    middleware makes needless, would cost FastAPI 20 µs for each request.

    Raises:
        RefusedHTTPException: with the guard's answer.
        RuntimeError: if the middleware is not installed.
    """

    scheme_name = "Bearer"

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT")

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> Any:
        """Who is calling; FastAPI gives both arguments."""
        denied = await authorize(connection, _required(tuple(scopes.scopes)))
        if denied is None:
            return connection.scope["user"]
        if connection.scope["type"] == "websocket":
            await responder(denied.refusal)(connection.scope, connection.receive, connection.send)  # type: ignore[attr-defined]
        raise _refused(connection, denied.refusal)


@lru_cache(maxsize=1024)
def _required(scopes: tuple[str, ...]) -> Requirement:
    return Requirement(scopes)


#: The dependency itself.
current_user = _CurrentUser()

#: The type to write in signatures: `async def me(user: CurrentUser): ...`
CurrentUser = Annotated[Principal, Depends(current_user)]


def _refused(connection: HTTPConnection, refusal: Refusal) -> RefusedHTTPException:
    # So that the answer is the guard's in mounted applications, too, without a handler that the
    # user must remember to add; one that the user has added comes first.
    handlers = connection.scope.get("starlette.exception_handlers")
    if handlers is not None:
        handlers[0].setdefault(RefusedHTTPException, _handle)
    return RefusedHTTPException(refusal)


async def _handle(connection: HTTPConnection, error: Exception) -> Response | None:
    if not isinstance(error, RefusedHTTPException) or connection.scope["type"] == "websocket":
        return None
    return as_response(error.refusal)


def requires(
    *scopes: str,
    any_of: Iterable[str] = (),
    roles: Iterable[str] = (),
    acr: str | Iterable[str] | None = None,
    max_age: float | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Require scopes, roles or a recent sign-in of whoever calls a route; with no arguments, to be somebody.

    As `authguard.starlette.requires`; the path operation need not take a `request`: one is
    added to what FastAPI sees of its signature.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds since the caller signed in, at most, by the claim `auth_time`.
    """
    if scopes and not isinstance(scopes[0], str):
        raise ConfigurationError("write @requires(), with parentheses")
    requirement = Requirement(scopes, any_of, roles, acr, max_age)

    def decorate(endpoint: Endpoint) -> Endpoint:
        parameters = inspect.signature(endpoint).parameters
        named = "request" in parameters or "websocket" in parameters
        find = connection_finder(endpoint) if named else _injected
        inner = endpoint if named else _without_connection(endpoint)
        is_async = inspect.iscoroutinefunction(endpoint)
        guarded: Any = (guarded_async if is_async else guarded_sync)(inner, find, requirement)
        if not named:
            _show_connection(guarded, endpoint)
        return guarded  # type: ignore[no-any-return]

    return decorate


_INJECTED = "authguard_connection"


def _injected(*_: Any, **kwargs: Any) -> HTTPConnection:
    connection: HTTPConnection = kwargs[_INJECTED]
    return connection


def _without_connection(endpoint: Any) -> Any:
    def inner(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop(_INJECTED)
        return endpoint(*args, **kwargs)

    inner.__dict__.update(endpoint.__dict__)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(inner, name, getattr(endpoint, name, None))
    return inner


def _show_connection(guarded: Any, endpoint: Any) -> None:
    signature = inspect.signature(endpoint, eval_str=True)
    connection = inspect.Parameter(_INJECTED, inspect.Parameter.KEYWORD_ONLY, annotation=HTTPConnection)
    parameters = list(signature.parameters.values())
    at = next(
        (i for i, p in enumerate(parameters) if p.kind is inspect.Parameter.VAR_KEYWORD), len(parameters)
    )
    parameters.insert(at, connection)
    guarded.__signature__ = signature.replace(parameters=parameters)


def install(app: FastAPI, guard: Guard, *, recheck: float = 30, websocket_close_codes: bool = False) -> None:
    """Add the middleware, and the path rules to the application's OpenAPI document.

    Operations that the rules protect are marked there, public ones are not; calling it again
    changes nothing.

    Args:
        app: the application.
        guard: the rules.
        recheck: see `authguard.asgi.AuthGuardMiddleware`.
        websocket_close_codes: see `authguard.asgi.AuthGuardMiddleware`.

    Raises:
        ConfigurationError: if `recheck` is no number of seconds above 0.
    """
    if getattr(app.state, "authguard", None) is guard:
        return
    check_recheck(recheck)  # now, and not when the first request builds the middleware
    app.state.authguard = guard
    app.add_middleware(
        AuthGuardMiddleware,
        guard=guard,
        recheck=recheck,
        websocket_close_codes=websocket_close_codes,
    )
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        _mark(document, guard)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _mark(document: dict[str, Any], guard: Guard) -> None:
    schemes = {"Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for field in sorted(guard.credential_fields - {b"authorization", b"cookie"}):
        schemes["APIKey"] = {"type": "apiKey", "in": "header", "name": field.decode("ascii")}
    document.setdefault("components", {}).setdefault("securitySchemes", {}).update(schemes)
    for path, operations in document.get("paths", {}).items():
        # A template such as /items/{id} stands for a path that one segment of it can be.
        sample = "/".join("x" if segment.startswith("{") else segment for segment in path.split("/"))
        for method in _METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            verdict = guard.explain(method.upper(), sample)
            _mark_sign_in(operation, verdict.requirements)
            stated = operation.get("security")
            if stated is None and verdict.protected:
                operation["security"] = [{name: []} for name in schemes]
            elif stated and any("Bearer" in one for one in stated):  # by `current_user`
                known = {name for one in stated for name in one}
                stated += [{name: []} for name in schemes if name not in known]


def _mark_sign_in(operation: dict[str, Any], requirements: Iterable[Requirement]) -> None:
    """Say how and when callers must have signed in, for which security schemes have no words."""
    asked = [Requirement(acr=one.acr or None, max_age=one.max_age) for one in requirements if one.signing_in]
    if asked:
        words = " and ".join(map(str, asked))
        answer = {"description": f"Nobody has signed in, or not as is asked here: {words}."}
        operation.setdefault("responses", {}).setdefault("401", answer)
