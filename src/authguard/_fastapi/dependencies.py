"""Give path operations their caller: the dependencies, and the types for signatures."""

from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from authguard._extras import needs_extra

with needs_extra("fastapi"):
    from typing_extensions import TypeVar  # `default` is new in Python 3.13

from authguard import _refused
from authguard._asgi.request import HANDLED, HandledFields, handled_by_guard
from authguard._core.model import Auth, Principal
from authguard._core.policy.rules import Requirement
from authguard._endpoint import mark
from authguard._refused import refuse
from authguard._signatures.dependencies import name_dependency, name_of, spelling_of
from authguard._signatures.misused import NoDepends
from authguard.starlette import authorize

FACE = "authguard.fastapi"  # the module from which users import these names

UserT = TypeVar("UserT", default=Principal)


class RefusedHTTPException(_refused.RefusedHTTPException, FastAPIHTTPException):
    """Refuse a caller who does not meet a requirement of a route or a dependency.

    Register an exception handler for it, for HTTPException (FastAPI's or Starlette's) or for its status, to
    answer in your own way; `headers` has the challenge. Without a handler, the guard's answer is sent. As
    with any HTTPException, a handler for Exception is not called. Only a handler of this class receives a
    redirect to the login page. The guard itself refuses a websocket, without handlers.

    Args:
        refusal: the answer of the guard.
    """


RefusedHTTPException.__module__ = FACE


class _Caller(NoDepends, SecurityBase):
    """Refuse anonymous callers, and show the Authorize button in /docs.

    It is both dependency and security scheme: a second dependency for the scheme would cost FastAPI time for
    each request, and the middleware makes it superfluous.
    """

    scheme_name = "Bearer"

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT")
        mark(self, Requirement())

    def spelled(self) -> str:
        """Return the name of the dependency, for errors."""
        return name_of(self)

    def __getattr__(self, name: str) -> Any:
        """Raise the error for an attribute of the caller, such as `subject`.

        Raises:
            AttributeError: always.
        """
        if name == "dependency":  # Python calls this method after the AttributeError of the property
            return NoDepends.dependency.__get__(self)
        if name.startswith("_"):
            raise AttributeError(name)
        own, kind = name_of(self), spelling_of(self)
        raise AttributeError(
            f"{own} of {FACE} has no {name}, because it is a dependency and not the caller: write a "
            f"parameter such as `user: {kind}`; in Flask, import {own} from authguard.flask"
        )


class _CurrentUser(_Caller):
    """Return the caller, on HTTP and websocket routes; refuse anonymous callers.

    Use `CurrentUser` in signatures, or `Security(current_user, scopes=["read"])` to require
    scopes as well. With a `user_loader`, write `CurrentUser[YourUser]`.

    An override in `app.dependency_overrides` without parameters replaces callers without a credential
    everywhere, if the guard was added by `install`: also for path rules, `requires` and `OptionalUser`, like
    `authguard.testing.override`. An override with parameters replaces only this dependency, and opens no
    protected path.

    Raises:
        RefusedHTTPException: if the caller is anonymous; it has the guard's answer.
        RuntimeError: if the middleware is not installed.
    """

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> Any:
        """Return the caller. FastAPI passes both arguments."""
        if _is_known(connection, scopes):
            return connection.scope["user"]
        denied = await authorize(connection, required(tuple(scopes.scopes)))
        if denied is None:
            return connection.scope["user"]
        raise await refuse(connection, denied.refusal, RefusedHTTPException)


class _CurrentPrincipal(_Caller):
    """Return the principal of the caller, without its `user_loader` user; refuse anonymous callers.

    Use `CurrentPrincipal` in signatures, or `Security(current_principal, scopes=["read"])`.

    Raises:
        RefusedHTTPException: if the caller is anonymous; it has the guard's answer.
        RuntimeError: if the middleware is not installed.
    """

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> Principal:
        """Return the principal. FastAPI passes both arguments."""
        auth: Auth
        if _is_known(connection, scopes):
            auth = connection.scope["auth"]
            return auth.principal
        denied = await authorize(connection, required(tuple(scopes.scopes)))
        if denied is None:
            auth = connection.scope["auth"]
            return auth.principal
        raise await refuse(connection, denied.refusal, RefusedHTTPException)


def _is_known(connection: HTTPConnection, scopes: SecurityScopes) -> bool:
    """Return whether `authorize` would let a known caller pass, with nothing more to check or charge."""
    scope = connection.scope
    handled: HandledFields | None = scope.get(HANDLED)
    if handled is None or scopes.scopes or handled[2].charge is not None:
        return False
    auth: Auth = scope["auth"]
    return auth.principal.is_authenticated


async def optional_user(connection: HTTPConnection) -> Any:
    """Return the caller, or None for an anonymous one, without refusing any caller.

    Use `OptionalUser` in signatures. The path rules decide who may call: a protected path refuses anonymous
    callers before this dependency runs. On a public path, a caller with an invalid credential is anonymous;
    `Rule(path, optional="strict")` refuses it.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled_by_guard(connection.scope)
    auth: Auth = connection.scope["auth"]
    return connection.scope["user"] if auth.principal.is_authenticated else None


optional_user.__module__ = FACE


@lru_cache(maxsize=1024)
def required(scopes: tuple[str, ...]) -> Requirement:
    """Return the requirement of the scopes of `Security`."""
    return Requirement(scopes)


#: The dependency itself.
current_user = _CurrentUser()

#: The dependency for the principal, if a `user_loader` returns the application's own users.
current_principal = _CurrentPrincipal()

name_dependency(current_user, "current_user", "CurrentUser")
name_dependency(current_principal, "current_principal", "CurrentPrincipal")
name_dependency(optional_user, "optional_user", "OptionalUser")

#: The type to write in signatures: `async def me(user: CurrentUser): ...`. With a `user_loader`, name the
#: type of its results: `CurrentUser[User]`.
CurrentUser = Annotated[UserT, Depends(current_user)]

#: The same for endpoints that allow anonymous callers: the caller, or None. `OptionalUser[User]` with a
#: `user_loader`.
OptionalUser = Annotated[UserT | None, Depends(optional_user)]

#: The principal of the caller, independent of `user_loader`.
CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
