"""Keep on a request of Django what the guard has decided, and find it there."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from authguard._core.answer.decision import Decision
from authguard._core.credential.cookies import AccessCookie
from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.request import RequestView
from authguard.django.configuration import MIDDLEWARE
from authguard.django.users import as_user
from authguard.errors import MissingCredentialsError

_HANDLED = "_authguard"

# How a credential came that browsers do not send by themselves.
_BY_FIELD = frozenset({"bearer", "api_key", "dpop", "header"})
_NO_COOKIE = AccessCookie("none")  # it knows from which site a request comes


@dataclass(frozen=True, slots=True)
class Handled:
    """Hold what the middleware has left on a request.

    Attributes:
        guard: the rules.
        view: the request as the guard sees it.
        decision: of the guard.
        at: when the guard decided, in seconds since the epoch.
        path_info: the path by which Django went then.
        user: the caller, as `request.user`.
    """

    guard: Guard
    view: RequestView
    decision: Decision
    at: float
    path_info: str
    user: Any


def leave(request: Any, guard: Guard, view: RequestView, decision: Decision, at: float) -> Handled:
    """Leave the caller on the request, as `user`, `auser` and `auth`.

    Somebody who is signed in by a session of Django stays `user` where no credential is presented and none
    is needed. The sender of a bad one is nobody.
    """
    user = as_user(decision.user)
    handled = Handled(guard, view, decision, at, request.path_info, user)
    principal = decision.auth.principal
    nothing_presented = decision.error is None or isinstance(decision.error, MissingCredentialsError)
    is_left = not principal.is_authenticated and nothing_presented and decision.reaches_app
    setattr(request, _HANDLED, handled)
    request.auth = decision.auth
    if not (is_left and hasattr(request, "user")):
        request.user = user
        request.auser = _returning(user)
    if principal.method in _BY_FIELD and not _is_cross_site(view, guard):
        request._dont_enforce_csrf_checks = True  # noqa: SLF001 (as Django's own test client says it)
    return handled


def _is_cross_site(view: RequestView, guard: Guard) -> bool:
    """Return whether another site started the request.

    Only a script or a program sends a field by itself. But a proxy may have made it of a cookie of its own,
    for whatever site has started the request.
    """
    return bool((guard.cookie or _NO_COOKIE).is_cross_site(view))


def _returning(user: Any) -> Any:
    async def auser() -> Any:
        return user

    return auser


def find_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpRequest:
    """Return the request among the arguments of a view, method or helper.

    A request of Django REST framework leads to Django's, and a view object to its own.

    Raises:
        RuntimeError: if there is none.
    """
    for value in (*args[:2], kwargs.get("request"), getattr(args[0], "request", None) if args else None):
        inner = getattr(value, "_request", value)
        if isinstance(inner, HttpRequest):
            return inner
    raise RuntimeError("no request among the arguments: @requires is for views and methods that take one")


def handled_by_guard(request: HttpRequest) -> Handled:
    """Return what the middleware has left on the request.

    Raises:
        RuntimeError: if the middleware has not seen it.
    """
    handled: Handled | None = getattr(getattr(request, "_request", request), _HANDLED, None)
    if handled is None:
        raise RuntimeError(
            f'no AuthGuardMiddleware has seen this request: add "{MIDDLEWARE}" to MIDDLEWARE; in a test '
            "with a RequestFactory write AuthGuardMiddleware(view)(request)"
        )
    return handled


def current_principal(request: HttpRequest) -> Principal:
    """Return who is calling; `ANONYMOUS` on open paths.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    return handled_by_guard(request).decision.auth.principal
