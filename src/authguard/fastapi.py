"""Guard FastAPI: typed dependencies, `requires`, and the rules in the OpenAPI document."""

import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, TypeVar, cast

from authguard._extras import needs_extra

with needs_extra("fastapi"):
    from fastapi import Depends, FastAPI
    from fastapi import HTTPException as FastAPIHTTPException
    from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
    from fastapi.params import Depends as DependsParameter
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
    from starlette.requests import HTTPConnection

from authguard import _refused
from authguard._arguments import INJECTED, among, by_annotation, name_of, signature_of
from authguard._asgi.connection import check_recheck
from authguard._core.answer.decision import Decision, Deny
from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.options import check_flag, check_object
from authguard._core.policy.rules import Requirement
from authguard._endpoint import mark, requirement_of
from authguard._fastapi.openapi import document_rules
from authguard._refused import refuse
from authguard.asgi import ASGIApp, ASGIRequest, AuthGuardMiddleware, Receive, Send
from authguard.errors import ConfigurationError, MissingCredentialsError
from authguard.starlette import Requires, authorize, decorator_for, guarded_function

__all__ = [
    "AuthGuardMiddleware",
    "CurrentUser",
    "RefusedHTTPException",
    "current_user",
    "install",
    "requires",
]

_INSTALL = (
    "install(app, Guard(…)) for FastAPI, init_app(app, Guard(…)) of authguard.flask for Flask, "
    "app.add_middleware(AuthGuardMiddleware, guard=Guard(…)) for Starlette"
)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class RefusedHTTPException(_refused.RefusedHTTPException, FastAPIHTTPException):
    """Refuse a caller who does not meet a requirement of a route or a dependency.

    Register an exception handler for it, for HTTPException (FastAPI's or Starlette's) or for its
    status to answer in your own way; `headers` has the challenge. Without one the answer is the
    guard's. As for any HTTPException, a handler for Exception is not asked. A redirect to the login
    page is for a handler of this class alone, and a websocket is refused by the guard, whatever the
    handlers.

    Args:
        refusal: the guard's answer.
    """


class _CurrentUser(SecurityBase):
    """Return the caller, on HTTP and websocket routes; refuses anonymous callers.

    Use `CurrentUser` in signatures, or `Security(current_user, scopes=["read"])` to require
    scopes as well. It shows the Authorize button in /docs. With a `user_loader`, write
    `Annotated[YourUser, Depends(current_user)]`.

    An override in `app.dependency_overrides` takes its place, and opens no path that the rules
    protect. In tests, `authguard.testing.override` works for both.

    It is dependency and security scheme in one: a second dependency for the scheme, which the
    middleware makes needless, would cost FastAPI 20 µs for each request.

    Raises:
        RefusedHTTPException: with the guard's answer.
        RuntimeError: if the middleware is not installed.
    """

    scheme_name = "Bearer"

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT")
        mark(self, Requirement())

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> Any:
        """Return the caller; FastAPI gives both arguments."""
        denied = await authorize(connection, _required(tuple(scopes.scopes)))
        if denied is None:
            return connection.scope["user"]
        raise await refuse(connection, denied.refusal, RefusedHTTPException)


@lru_cache(maxsize=1024)
def _required(scopes: tuple[str, ...]) -> Requirement:
    return Requirement(scopes)


#: The dependency itself.
current_user = _CurrentUser()

#: The type to write in signatures: `async def me(user: CurrentUser): ...`
CurrentUser = Annotated[Principal, Depends(current_user)]


def requires(
    *scopes: str,
    any_of: Iterable[str] = (),
    roles: Iterable[str] = (),
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    As `authguard.starlette.requires`, for path operations and dependencies; generators are refused
    before the response begins. The function need not take a request: if it has no parameter that is
    annotated as one, a parameter is added to what FastAPI sees of its signature. `Depends(requires("read"))`
    works as well, and gives the caller.

    Write it below the decorator of the route.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: for a class that cannot be guarded, or a name that cannot be matched.
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
        return (*super().requirements(injected), _required(tuple(scopes.scopes)))


def _guarded(endpoint: Any, requirement: Requirement) -> Any:
    """Return the guarded function; FastAPI gives it the connection, by its own parameter or by ours."""
    signature = signature_of(endpoint)
    parameters = list(signature.parameters.values())
    if list(signature.parameters) == ["scope", "receive", "send"]:
        raise ConfigurationError(
            "@requires() must decorate a path operation or a dependency, got the ASGI application "
            f"{name_of(endpoint)}: write a Rule for its path"
        )
    own = [parameter for parameter in by_annotation(signature) if not _is_dependency(parameter)]
    find = among(endpoint, own, parameters)
    if own:
        return guarded_function(endpoint, find, requirement, RefusedHTTPException)

    def find_injected(args: Any, kwargs: dict[str, Any]) -> HTTPConnection:
        # A helper that the application calls by itself has been given the connection, too.
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
    """Tell a parameter that is annotated as a connection and that FastAPI fills with something else."""
    markers = (parameter.default, *getattr(parameter.annotation, "__metadata__", ()))
    return any(isinstance(marker, DependsParameter) for marker in markers)


class _Installed(AuthGuardMiddleware):
    """Guard an application for `install`, which it knows; it is made when that is complete."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        site: FastAPI,
        guard: Guard,
        recheck: float | timedelta,
        websocket_close_codes: bool,
    ) -> None:
        super().__init__(app, guard=guard, recheck=recheck, websocket_close_codes=websocket_close_codes)
        self._site = site
        document_rules(site, guard)

    async def _answer(
        self, decision: Decision, request: ASGIRequest, receive: Receive, send: Send, now: float
    ) -> None:
        if isinstance(decision, Deny) and isinstance(decision.error, MissingCredentialsError):
            _refuse_constant_override(self._site.dependency_overrides.get(current_user))
        await super()._answer(decision, request, receive, send, now)


def _refuse_constant_override(override: Any) -> None:
    """Say how to be somebody in a test, where an override cannot be meant for anything else.

    One with parameters may stand for a caller that the guard has let pass, as an application may want.
    """
    if override is not None and not signature_of(override).parameters:
        raise ConfigurationError(
            "app.dependency_overrides[current_user] must be left out, got a function without parameters, "
            "which opens no path that is protected: write `with authguard.testing.override(guard, user):`"
        )


def install(
    app: FastAPI, guard: Guard, *, recheck: float | timedelta = 30, websocket_close_codes: bool = False
) -> None:
    """Add the middleware, and the path rules to the application's OpenAPI document.

    Operations that the rules, `requires` or `current_user` protect are marked there, with their
    scopes and answers; so are those of FastAPI applications that are mounted in this one. Calling
    it again changes nothing.

    Args:
        app: the application.
        guard: the rules.
        recheck: see `authguard.asgi.AuthGuardMiddleware`.
        websocket_close_codes: see `authguard.asgi.AuthGuardMiddleware`.

    Raises:
        ConfigurationError: if `app` is no FastAPI application, `guard` is no Guard, or `recheck` is no
            number of seconds above 0.
    """
    check_object(app, "app", FastAPI, _INSTALL, or_none=False)
    check_object(guard, "guard", Guard, _INSTALL, or_none=False)
    check_flag(websocket_close_codes, "websocket_close_codes")
    if getattr(app.state, "authguard", None) is guard:
        return
    check_recheck(recheck)  # now, and not when the first request builds the middleware
    app.state.authguard = guard
    app.add_middleware(
        _Installed,
        site=app,
        guard=guard,
        recheck=recheck,
        websocket_close_codes=websocket_close_codes,
    )
    document_rules(app, guard)
