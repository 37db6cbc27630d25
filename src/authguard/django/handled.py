"""Store the guard's decision on a request of Django, and find it there."""

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

# Names of credentials that browsers do not send automatically.
_BY_FIELD = frozenset({"bearer", "api_key", "dpop", "header"})
_NO_COOKIE = AccessCookie("none")  # with this field, the browser tells which site started the request


@dataclass(frozen=True, slots=True)
class Handled:
    """Hold the state that the middleware stores on a request.

    Attributes:
        guard: the guard.
        view: the request as the guard sees it.
        decision: the decision of the guard.
        at: the time of the decision, in seconds since the epoch.
        path_info: the path that Django used at that time.
        user: the caller, as `request.user`.
    """

    guard: Guard
    view: RequestView
    decision: Decision
    at: float
    path_info: str
    user: Any


def leave(request: Any, guard: Guard, view: RequestView, decision: Decision, at: float) -> Handled:
    """Store the caller on the request, as `user`, `auser` and `auth`.

    A user who is signed in by a Django session stays `user` if the request has no credential and needs none.
    With an invalid credential, the user is anonymous.
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

    Normally only a script or a program sends this field. But a proxy may have created it from its own cookie,
    for a request from any site.
    """
    return bool((guard.cookie or _NO_COOKIE).is_cross_site(view))


def _returning(user: Any) -> Any:
    async def auser() -> Any:
        return user

    return auser


def find_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpRequest:
    """Return the request among the arguments of a view, method or helper.

    A request of Django REST framework refers to Django's request, and a view object refers to its request.

    Raises:
        RuntimeError: if no argument is a request.
    """
    for value in (*args[:2], kwargs.get("request"), getattr(args[0], "request", None) if args else None):
        inner = getattr(value, "_request", value)
        if isinstance(inner, HttpRequest):
            return inner
    raise RuntimeError(
        "no request among the arguments: @requires of authguard.django is for views and methods that "
        "take one; in Flask, import it from authguard.flask"
    )


def handled_by_guard(request: HttpRequest) -> Handled:
    """Return the state that the middleware stored on the request.

    Raises:
        RuntimeError: if the middleware did not handle the request.
    """
    handled: Handled | None = getattr(getattr(request, "_request", request), _HANDLED, None)
    if handled is None and not isinstance(getattr(request, "_request", request), HttpRequest):
        raise RuntimeError(
            f"authguard.django needs a request of Django, got {type(request).__module__}."
            f"{type(request).__qualname__}: in another framework, import from authguard.fastapi, "
            "authguard.starlette or authguard.flask"
        )
    if handled is None:
        raise RuntimeError(
            f'no AuthGuardMiddleware has seen this request: add "{MIDDLEWARE}" to MIDDLEWARE; in a test '
            "with a RequestFactory write AuthGuardMiddleware(view)(request)"
        )
    return handled


def current_principal(request: HttpRequest) -> Principal:
    """Return the principal of the caller; `ANONYMOUS` on open paths.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    return handled_by_guard(request).decision.auth.principal
