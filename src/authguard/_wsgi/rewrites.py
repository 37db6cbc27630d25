"""Refuse requests that a layer between the guard and Flask has changed so that other rules apply."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from authguard._core.policy.policy import ask_the_same
from authguard._core.request import RequestKey
from authguard._logs import where
from authguard._wsgi.request import HANDLED, WSGIHandled, WSGIRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_METHOD = "authguard.method"


def let_check(app: "WSGIApplication", flask: Any) -> "WSGIApplication":
    """Let Flask check each request, if a layer may be between the guard and it.

    Args:
        app: the application that the guard wraps.
        flask: the application of Flask below it.

    Returns:
        the application, for the guard to call instead.
    """
    if isinstance(app, _NotingMethod) or getattr(app, "__self__", None) is flask:
        return app
    functions = flask.before_request_funcs.setdefault(None, [])
    if _check_unchanged not in functions:
        functions.insert(0, _check_unchanged)
    return _NotingMethod(app)


class _NotingMethod:
    """Store the method in the environ, as the guard sees it."""

    def __init__(self, app: "WSGIApplication") -> None:
        self.app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[_METHOD] = environ["REQUEST_METHOD"]
        return self.app(environ, start_response)


def _check_unchanged() -> None:
    """Check, before a view runs, that the same rules apply to the request as when the guard decided.

    Raises:
        RuntimeError: if a layer has changed method, path or mount point, so that other rules apply.
    """
    environ = sys.modules["flask"].request.environ
    if HANDLED not in environ or _METHOD not in environ:
        return
    handled = WSGIHandled(environ, *environ[HANDLED])
    paths = (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
    decided, now = handled.request, WSGIRequest(environ, handled.guard, *paths)
    # The method is the one that Flask uses, which may differ from that of `environ`.
    key: RequestKey = (environ[_METHOD], decided.path, decided.root_path)
    if key == now.request_key:
        return
    find = handled.guard.policy.find_for_http
    if not ask_the_same(find(key), find(now.request_key)):
        method, path = where(now)
        raise RuntimeError(
            f"a layer inside of the guard must not make {method} {path} of a request, because other rules "
            "apply to that than the guard used: put it around the guard, by "
            "app.wsgi_app = Layer(app.wsgi_app) after init_app(app, guard)"
        )
