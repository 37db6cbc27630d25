"""Guard FastAPI: typed dependencies, `requires`, and the rules in the OpenAPI document."""

import inspect
import time
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from authguard._extras import elsewhere, needs_extra

with needs_extra("fastapi"):
    from fastapi import FastAPI
    from fastapi.params import Depends as DependsParameter
    from fastapi.security import SecurityScopes
    from starlette.requests import HTTPConnection

from authguard._arguments import INJECTED, among, by_annotation, signature_of
from authguard._asgi.connection import check_recheck
from authguard._core.guard import Guard
from authguard._core.options import check_clock, check_flag, check_object, named_options
from authguard._core.policy.names import LEFT_OUT
from authguard._core.policy.rules import Requirement
from authguard._endpoint import requirement_of
from authguard._fastapi.dependencies import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    RefusedHTTPException,
    current_principal,
    current_user,
    optional_user,
    required,
)
from authguard._fastapi.openapi import document_rules, empty_pages
from authguard._fastapi.overrides import substitute_of
from authguard._logs import logger
from authguard.asgi import ASGIApp, AuthGuardMiddleware, Receive, Scope, Send
from authguard.starlette import Requires, decorator_for, guarded_function

__all__ = [
    "AuthGuardMiddleware",
    "CurrentPrincipal",
    "CurrentUser",
    "OptionalUser",
    "RefusedHTTPException",
    "current_principal",
    "current_user",
    "install",
    "optional_user",
    "requires",
]

if not TYPE_CHECKING:
    __getattr__ = elsewhere(__name__)

_INSTALL = (
    "install(app, Guard(…)) for FastAPI, init_app(app, Guard(…)) of authguard.flask for Flask, "
    "app.add_middleware(AuthGuardMiddleware, guard=Guard(…)) for Starlette"
)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@named_options
def requires(
    *scopes: str,
    any_of: Iterable[str] = LEFT_OUT,
    roles: Iterable[str] = LEFT_OUT,
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    It works like `authguard.starlette.requires`, for path operations and dependencies; generators are refused
    before the response begins. The function need not take a request: if no parameter is annotated as one, a
    parameter is added to the signature that FastAPI sees. `Depends(requires("read"))` works as well, and
    returns the caller.

    Write it below the decorator of the route.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: if a class cannot be guarded, or a name can never match.
    """
    requirement = requirement_of(scopes, any_of, roles, acr, max_age)

    def guard_function(endpoint: Any) -> Any:
        return _guarded(endpoint, requirement)

    decorate = decorator_for(requirement, RefusedHTTPException, guard_function)
    return cast("Callable[[Endpoint], Endpoint]", _Requires(decorate, requirement, RefusedHTTPException))


class _Requires(Requires):
    parameters = (
        *Requires.parameters,
        inspect.Parameter("security_scopes", inspect.Parameter.KEYWORD_ONLY, annotation=SecurityScopes),
    )

    def requirements(self, injected: dict[str, Any]) -> tuple[Requirement, ...]:
        scopes: SecurityScopes = injected["security_scopes"]
        return (*super().requirements(injected), required(tuple(scopes.scopes)))


def _guarded(endpoint: Any, requirement: Requirement) -> Any:
    """Return the guarded function.

    FastAPI passes the connection, by its own parameter or by the added one.
    """
    signature = signature_of(endpoint)
    parameters = list(signature.parameters.values())
    own = [parameter for parameter in by_annotation(signature) if not _is_dependency(parameter)]
    find = among(endpoint, own, parameters)
    if own:
        return guarded_function(endpoint, find, requirement, RefusedHTTPException)

    def find_injected(args: Any, kwargs: dict[str, Any]) -> HTTPConnection:
        # A helper that the application calls itself receives the connection, too.
        connection: HTTPConnection | None = kwargs.pop(INJECTED, None)
        return find(args, kwargs) if connection is None else connection

    guarded = guarded_function(endpoint, find_injected, requirement, RefusedHTTPException)
    added = inspect.Parameter(INJECTED, inspect.Parameter.KEYWORD_ONLY, annotation=HTTPConnection)
    kinds = [parameter.kind for parameter in parameters]
    has_keywords = inspect.Parameter.VAR_KEYWORD in kinds
    at = kinds.index(inspect.Parameter.VAR_KEYWORD) if has_keywords else len(parameters)
    guarded.__signature__ = signature.replace(parameters=[*parameters[:at], added, *parameters[at:]])
    return guarded


def _is_dependency(parameter: inspect.Parameter) -> bool:
    """Return whether a parameter is annotated as a connection, but FastAPI fills it with another value."""
    markers = (parameter.default, *getattr(parameter.annotation, "__metadata__", ()))
    return any(isinstance(marker, DependsParameter) for marker in markers)


class _Installed(AuthGuardMiddleware):
    """Guard an application for `install`; the middleware is created when the application is complete."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        site: FastAPI,
        guard: Guard,
        clock: Callable[[], float],
        recheck: float | timedelta,
        websocket_close_codes: bool,
    ) -> None:
        super().__init__(
            app, guard=guard, clock=clock, recheck=recheck, websocket_close_codes=websocket_close_codes
        )
        self._site = site
        self._has_warned = False
        self._call = super().__call__  # stored here, to look it up only once
        document_rules(site, guard)

    # Avoids a coroutine for each connection.
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        """Handle one connection."""
        if self._site.dependency_overrides and scope["type"] != "lifespan":
            return self._with_overrides(scope, receive, send)
        return self._call(scope, receive, send)

    async def _with_overrides(self, scope: Scope, receive: Receive, send: Send) -> None:
        substitute = await substitute_of(self._site.dependency_overrides)
        guarded: AuthGuardMiddleware = self
        if substitute is not None:
            self._warn_once()
            guarded = self.with_guard(
                self.guard.substituting(substitute.user, principal=substitute.principal)
            )
        await AuthGuardMiddleware.__call__(guarded, scope, receive, send)

    def _warn_once(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "app.dependency_overrides of current_user or current_principal stands for each caller "
                "without a credential, on protected paths, too: this is for tests"
            )


@named_options
def install(
    app: FastAPI,
    guard: Guard,
    *,
    clock: Callable[[], float] = time.time,
    recheck: float | timedelta = 30,
    websocket_close_codes: bool = False,
) -> None:
    """Add the middleware, and the path rules to the application's OpenAPI document.

    Operations protected by the rules, `requires` or `current_user` are marked in the document with their
    scopes and answers, including those of FastAPI applications that are mounted in this one. Calling it again
    changes nothing.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch; for tests.
        recheck: see `authguard.asgi.AuthGuardMiddleware`.
        websocket_close_codes: see `authguard.asgi.AuthGuardMiddleware`.

    Raises:
        ConfigurationError: if `app` is not a FastAPI application, `guard` is not a Guard, `clock` is not a
            function, or `recheck` is not a number of seconds above 0.
    """
    check_object(app, "app", FastAPI, _INSTALL, or_none=False)
    check_object(guard, "guard", Guard, _INSTALL, or_none=False)
    check_clock(clock)
    check_flag(websocket_close_codes, "websocket_close_codes")
    if getattr(app.state, "authguard", None) is guard:
        return
    check_recheck(recheck)  # the check happens now, and not when the first request builds the middleware
    app.state.authguard = guard
    app.add_middleware(
        _Installed,
        site=app,
        guard=guard,
        clock=clock,
        recheck=recheck,
        websocket_close_codes=websocket_close_codes,
    )
    document_rules(app, guard)
    for sentence in empty_pages(app, guard):
        logger.warning("%s", sentence)
