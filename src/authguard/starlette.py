"""Guard Starlette: `requires` on endpoints, websockets and helpers, and the guard's answers as exceptions."""

import functools
import inspect
from collections.abc import Callable, Generator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from authguard._core.options import named_options, type_of
from authguard._extras import elsewhere, needs_extra

with needs_extra("starlette"):
    from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
    from starlette.requests import HTTPConnection, Request
    from starlette.websockets import WebSocket

from authguard._arguments import INJECTED, Find, connection_finder
from authguard._core.answer.decision import Deny
from authguard._core.flow import Flow
from authguard._core.model import Auth, Principal
from authguard._core.policy.names import LEFT_OUT
from authguard._core.policy.rules import Requirement
from authguard._endpoint import Decorating, decorator_of, requirement_of
from authguard._logs import log_refusal
from authguard._refused import (
    EXCEPTION_HANDLERS,
    RefusedHTTPException,
    refuse,
    refused,
)
from authguard.asgi import AuthGuardMiddleware, Scope, handled_by_guard, responder
from authguard.drivers import asynchronous, run_anywhere
from authguard.errors import ConfigurationError

__all__ = [
    "AuthGuardMiddleware",
    "RefusedHTTPException",
    "current_principal",
    "current_user",
    "optional_user",
    "requires",
]

if not TYPE_CHECKING:
    __getattr__ = elsewhere(__name__)

_INSTEAD = (
    "decorate the endpoints with it; for all paths below one, write Guard(protected_paths=[Rule(…)]), and "
    "AuthGuardMiddleware as the middleware"
)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
UserT = TypeVar("UserT")

RefusedHTTPException.__module__ = __name__  # the module from which users import the name


def current_principal(connection: HTTPConnection) -> Principal:
    """Return the principal of the caller; `ANONYMOUS` on open paths.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled_by_guard(_scope_of(connection))
    auth: Auth = connection.scope["auth"]
    return auth.principal


def _scope_of(connection: HTTPConnection) -> Scope:
    try:
        scope: Scope = connection.scope
    except AttributeError:
        raise RuntimeError(
            f"authguard.starlette needs a request or websocket of Starlette, got {type_of(connection)}: in "
            "Flask and Django, import from authguard.flask or authguard.django"
        ) from None
    return scope


@overload
def current_user(connection: HTTPConnection) -> Principal: ...
@overload
def current_user(connection: HTTPConnection, kind: type[UserT]) -> UserT: ...
def current_user(connection: HTTPConnection, kind: type[Any] = Principal) -> Any:
    """Return the application's own user, as returned by `user_loader`; refuse anonymous callers.

    Args:
        connection: the request or websocket.
        kind: the class of the users that `user_loader` returns; `Principal` without a `user_loader`. A user
            of another class is an error.

    Raises:
        RefusedHTTPException: if the caller is anonymous; see there how it is answered.
        ConfigurationError: if the user is of another class.
        RuntimeError: if the middleware is not installed.
    """
    denied = authorize_now(connection, Requirement())
    if denied is not None:
        raise refused(connection, denied.refusal, RefusedHTTPException)
    return _of_kind(connection.scope["user"], kind)


@overload
def optional_user(connection: HTTPConnection) -> Principal | None: ...
@overload
def optional_user(connection: HTTPConnection, kind: type[UserT]) -> UserT | None: ...
def optional_user(connection: HTTPConnection, kind: type[Any] = Principal) -> Any:
    """Return the application's own user, or None for an anonymous caller.

    On a public path, a caller with an invalid credential is anonymous; `Rule(path, optional="strict")`
    refuses it.

    Args:
        connection: the request or websocket.
        kind: the class of the users, as in `current_user`.

    Raises:
        ConfigurationError: if the user is of another class.
        RuntimeError: if the middleware is not installed.
    """
    principal = current_principal(connection)
    return _of_kind(connection.scope["user"], kind) if principal.is_authenticated else None


def _of_kind(user: Any, kind: type[UserT]) -> UserT:
    if isinstance(user, kind):
        return user
    raise ConfigurationError(
        f"the class of the user must be what user_loader returns, got {kind.__qualname__} for a "
        f"{type(user).__qualname__}: write current_user(request, {type(user).__qualname__})"
    )


async def authorize(connection: HTTPConnection, requirement: Requirement) -> Deny | None:
    """Check the requirement of a route in addition to the path rules: both must be met."""
    flow = _authorization(connection, requirement)
    return None if flow is None else _logged(connection, await asynchronous.run(flow))


def authorize_now(connection: HTTPConnection, requirement: Requirement) -> Deny | None:
    """Check the same for synchronous code, with or without an event loop in its thread."""
    flow = _authorization(connection, requirement)
    return None if flow is None else _logged(connection, run_anywhere(flow))


def _authorization(connection: HTTPConnection, requirement: Requirement) -> Flow[Deny | None] | None:
    handled = handled_by_guard(_scope_of(connection))
    auth: Auth = connection.scope["auth"]
    charge = handled.decision.charge
    if requirement.is_met_by(auth.principal, handled.at) and (charge is None or charge.taken is not None):
        return None  # decided here, without a request view and a flow
    return handled.guard.authorize(
        handled.request,
        auth,
        handled.error,
        requirement,
        handled.at,
        charge=charge,
        terms=handled.decision.terms,
    )


def _logged(connection: HTTPConnection, denied: Deny | None) -> Deny | None:
    if denied is not None:
        log_refusal(handled_by_guard(connection.scope).request, denied)
    return denied


@named_options
def requires(
    *scopes: str,
    any_of: Iterable[str] = LEFT_OUT,
    roles: Iterable[str] = LEFT_OUT,
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    It decorates endpoints, dependencies and helpers that take a request or a websocket: functions, methods
    and generators, `async` or not. It also decorates whole classes of Starlette's `HTTPEndpoint` and
    `WebSocketEndpoint`. The connection is the parameter that is annotated as `Request`, `WebSocket` or
    `HTTPConnection`; without an annotation the one named `request` or `websocket`. Name and signature are
    kept.

    Write it below the decorator of the route. If the caller does not meet the requirement, a
    RefusedHTTPException is raised; see there how it is answered.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: if the function takes no connection, a class cannot be guarded, or a name can
            never match.
    """
    requirement = requirement_of(scopes, any_of, roles, acr, max_age)

    def guard_function(endpoint: Any) -> Any:
        return guarded_function(endpoint, connection_finder(endpoint), requirement, RefusedHTTPException)

    decorate = decorator_for(requirement, RefusedHTTPException, guard_function)
    return cast("Callable[[Endpoint], Endpoint]", Requires(decorate, requirement, RefusedHTTPException))


def decorator_for(
    requirement: Requirement, kind: type[RefusedHTTPException], guard_function: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Return the decorator of `requires` for functions, methods and endpoint classes.

    Args:
        requirement: the requirement.
        kind: the exception class to raise.
        guard_function: returns a function that checks the requirement before a given function.
    """

    def guard_class(endpoint: Any) -> Any:
        return _guarded_class(endpoint, requirement, kind)

    return decorator_of(requirement, guard_function, guard_class, "an endpoint class", instead=_INSTEAD)


class Requires(Decorating):
    """Decorate endpoints, and serve as a dependency of FastAPI: `Depends(requires("admin"))`.

    Args:
        decorate: the decorator.
        requirement: the requirement.
        kind: the exception class to raise.
    """

    parameters: tuple[inspect.Parameter, ...] = (
        inspect.Parameter(INJECTED, inspect.Parameter.KEYWORD_ONLY, annotation=HTTPConnection),
    )

    def __init__(
        self, decorate: Callable[[Any], Any], requirement: Requirement, kind: type[RefusedHTTPException]
    ) -> None:
        super().__init__(decorate, requirement, type(self).__module__)
        self._kind = kind
        self.__signature__ = inspect.Signature(self.parameters)  # FastAPI reads the signature

    def __call__(self, *decorated: Any, **injected: Any) -> Any:
        """Decorate an endpoint; or, if FastAPI calls it, check the request and return the caller."""
        if INJECTED not in injected:
            return super().__call__(*decorated, **injected)
        connection: HTTPConnection = injected[INJECTED]
        for requirement in self.requirements(injected):
            # FastAPI calls it in a worker thread, because a coroutine function could not be a decorator.
            denied = authorize_now(connection, requirement)
            if denied is not None:
                raise refused(connection, denied.refusal, self._kind)
        return connection.scope["user"]

    def requirements(self, injected: dict[str, Any]) -> tuple[Requirement, ...]:
        """Return all requirements of one place.

        Args:
            injected: the arguments that FastAPI passes.
        """
        return (self._requirement,)


def guarded_function(
    endpoint: Any, find: Find, requirement: Requirement, kind: type[RefusedHTTPException]
) -> Any:
    """Return a function that calls the endpoint only if the requirement is met.

    A generator is checked when it is called, before a response begins or a dependency is entered.
    """
    if _is_coroutine(endpoint):

        @functools.wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection = find(args, kwargs)
            denied = await authorize(connection, requirement)
            if denied is not None:
                raise await refuse(connection, denied.refusal, kind)
            return await endpoint(*args, **kwargs)

        return guarded

    @functools.wraps(endpoint)
    def guarded_now(*args: Any, **kwargs: Any) -> Any:
        connection = find(args, kwargs)
        denied = authorize_now(connection, requirement)
        if denied is not None:
            raise refused(connection, denied.refusal, kind)
        return endpoint(*args, **kwargs)

    return guarded_now


def _is_coroutine(endpoint: Any) -> bool:
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    called = endpoint if inspect.isroutine(endpoint) else endpoint.__call__
    return inspect.iscoroutinefunction(called)


def _guarded_class(endpoint: Any, requirement: Requirement, kind: type[RefusedHTTPException]) -> Any:
    """Return an endpoint class that is checked before it dispatches, also in its subclasses."""
    if not issubclass(endpoint, HTTPEndpoint | WebSocketEndpoint):
        raise ConfigurationError(
            "@requires() must decorate a function, an HTTPEndpoint or a WebSocketEndpoint, got the class "
            f"{endpoint.__qualname__}: decorate its methods, such as __call__ or __init__, or its routes"
        )

    class Guarded(endpoint):  # type: ignore[misc]
        def __await__(self) -> Generator[Any, Any, None]:
            if (yield from _may_dispatch(self, requirement, kind).__await__()):
                yield from endpoint.__await__(self)

    return functools.update_wrapper(Guarded, endpoint, updated=())


async def _may_dispatch(instance: Any, requirement: Requirement, kind: type[RefusedHTTPException]) -> bool:
    scope, receive, send = instance.scope, instance.receive, instance.send
    is_http = scope["type"] == "http"
    connection = Request(scope, receive, send) if is_http else WebSocket(scope, receive, send)
    denied = await authorize(connection, requirement)
    if denied is None:
        return True
    if EXCEPTION_HANDLERS in scope:
        raise await refuse(connection, denied.refusal, kind)
    await responder(denied.refusal)(scope, receive, send)
    return False
