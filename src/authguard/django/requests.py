"""Read a request of Django for the guard, from its ASGI scope or WSGI environ."""

from copy import copy
from typing import Any

from django.http import HttpRequest

from authguard._asgi.request import ASGIRequest
from authguard._core.guard import Guard
from authguard._core.policy.policy import ask_the_same
from authguard._core.request import RequestView, http_method
from authguard._wsgi.request import HANDLED, OUTER, SCOPE, WSGIRequest
from authguard.wsgi import outer_of

_OWN_SITE = "same-origin"


def view_of(request: HttpRequest, guard: Guard) -> RequestView:
    """Return the request for the guard, with the method, path and mount point that Django uses.

    Raises:
        RuntimeError: if middleware has changed `request.path_info`, so that Django would use another path
            than the guard.
    """
    scope = getattr(request, "scope", None)
    view = _of_environ(request, guard) if scope is None else _of_scope(request, scope, guard)
    if request.path_info not in _paths(request, view, scope):
        raise path_error(view.path, request.path_info)
    if request.method != view.method.upper():  # middleware before the guard has changed it
        view.method = http_method(request.method or "")
    return view


def check_method(request: HttpRequest, view: RequestView, guard: Guard) -> None:
    """Check that middleware has not changed the method to one with other rules.

    Args:
        request: the request that the view receives.
        view: the request that the guard used.
        guard: the rules.

    Raises:
        RuntimeError: if middleware has changed it.
    """
    method = http_method(request.method or "")
    if method == view.method or method == view.method.upper():
        return
    changed = copy(view)
    changed.method = method
    find = guard.policy.find_for
    if not ask_the_same(find(view.request_key), find(changed.request_key)):
        raise RuntimeError(
            f"request.method must be the one that the guard used, got {method[:20]!a}, for "
            "which other rules apply: let no middleware after the guard change it"
        )


def path_error(decided: str, path: str) -> RuntimeError:
    """Return the error about a path that differs from the guard's.

    Args:
        decided: the path that the guard used.
        path: the path that Django uses.
    """
    return RuntimeError(
        f"request.path_info must be the path that the client has sent, {decided!a}, since the guard "
        f"decides about it, got {path!a}: let no middleware change it"
    )


def _of_environ(request: HttpRequest, guard: Guard) -> RequestView:
    environ = request.META  # the environ itself, in which Django has decoded both paths
    root_path, path = _as_wsgi(environ.get("SCRIPT_NAME", "")), _as_wsgi(environ["PATH_INFO"])
    if _is_unchecked(request, "HTTP_SEC_FETCH_SITE", "HTTP_ORIGIN"):
        environ = {**environ, "HTTP_SEC_FETCH_SITE": _OWN_SITE}
    if HANDLED in environ or SCOPE in environ:
        environ = {**environ, OUTER: outer_of(environ)}
    return WSGIRequest(environ, guard, root_path, path)


def _of_scope(request: HttpRequest, scope: dict[str, Any], guard: Guard) -> RequestView:
    headers = list(scope["headers"])
    if _is_unchecked(request, "HTTP_SEC_FETCH_SITE", "HTTP_ORIGIN"):
        headers.append((b"sec-fetch-site", _OWN_SITE.encode()))
    # As in Django, FORCE_SCRIPT_NAME replaces the server's mount point.
    return ASGIRequest({**scope, "headers": headers, "root_path": request.META["SCRIPT_NAME"]}, guard)


def _as_wsgi(path: str) -> str:
    """Return a path in the form of PEP 3333."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode("latin-1")


def _paths(request: HttpRequest, view: RequestView, scope: dict[str, Any] | None) -> set[str]:
    """Return the paths that Django itself may derive from the path."""
    if scope is None:
        return {request.META["PATH_INFO"]}
    path: str = scope["path"]
    # Django removes the mount point regardless of the following character; the guard treats such a path as
    # malformed.
    return {view.path, path, path.removeprefix(request.META["SCRIPT_NAME"])}


def _is_unchecked(request: HttpRequest, *fields: str) -> bool:
    """Return whether Django's test client sends the request without CSRF checks.

    The mark alone is not sufficient, because middleware may set it. No server uses the test client's class
    for bodies.

    Args:
        request: the request.
        fields: the fields with which a test tells which site started the request.
    """
    if not getattr(request, "_dont_enforce_csrf_checks", False):
        return False
    body = request.META.get("wsgi.input")
    if body is None:  # under ASGI, where the request's stream has a reference to its read function
        body = getattr(getattr(getattr(request, "_stream", None), "_read", None), "__self__", None)
    from_test = type(body).__module__ == "django.test.client"
    return from_test and not any(field in request.META for field in fields)
