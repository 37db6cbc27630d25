"""Answer preflights of protected paths under WSGI by the application's layers, or pass them on sealed."""

import copy
import io
from collections.abc import Iterable
from functools import cached_property
from http.client import responses
from typing import TYPE_CHECKING, Any

from authguard._core.policy.rules import Preflight
from authguard._core.request import RequestView
from authguard._layers import MAX_LAYERS, takes
from authguard._preflight import django_cors, flask_views
from authguard._preflight.layers import around, is_a, is_guard
from authguard._preflight.references import leads_to
from authguard._preflight.sealed import SEARCH, Seal, Search

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# The attributes in which middleware stores its application: the usual ones, Flask's, and that of PEP 3333.
_NAMES = ("app", "wsgi_app", "application")


class WSGIPreflights:
    """Answer preflights of protected paths.

    Args:
        app: the application that the guard wraps.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._seal = Seal()

    def __call__(
        self,
        mode: Preflight,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        request: RequestView,
    ) -> Iterable[bytes]:
        """Answer one preflight.

        Args:
            mode: `"answer"` to run only the application's layers, `"pass"` to run the application.
            environ: the environ for the application, with an anonymous caller.
            start_response: the server's function.
            request: the preflight.
        """
        search = Search()
        environ = {**environ, SEARCH: search, "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        app = self._app if mode == "pass" else self._layers
        line, fields = _started(app, environ)
        status, kept = self._seal.fields(request, mode, search, int(line[:3]), fields)
        # The reason phrase is not sent, because it is a text of the application.
        start_response(f"{status} {responses.get(status, 'Unknown')}", kept)
        return []

    @cached_property  # at the first preflight, when the application is complete
    def _layers(self) -> "WSGIApplication":
        return without_handlers(self._app)


def _started(app: "WSGIApplication", environ: "WSGIEnvironment") -> tuple[str, list[tuple[str, str]]]:
    """Run an application until it has set status and fields; drop its body."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return lambda _: None

    result = app(environ, start_response)
    try:
        parts = iter(result)
        while not started and next(parts, None) is not None:
            pass
    finally:
        getattr(result, "close", lambda: None)()
    if not started:
        raise RuntimeError("the application did not call start_response")
    return started[0], started[1]


def respond(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer instead of an application's handlers."""
    start_response("204 No Content", [])
    return []


def without_handlers(app: Any, depth: int = MAX_LAYERS) -> "WSGIApplication":
    """Return the middleware of an application around a responder, without its handlers.

    Objects that are not known to be middleware are treated as handlers.

    Args:
        app: a WSGI application.
        depth: the number of layers to examine.
    """
    if depth == 0:
        return respond
    for recognise in (_flask, _django, _dispatcher, _layer):
        made = recognise(app, depth - 1)
        if made is not None:
            return made
    return respond


def _flask(app: Any, depth: int) -> "WSGIApplication | None":
    """Recognise Flask, as an application and by its method `wsgi_app`."""
    flask = flask_views.flask_of(app)
    if flask is not None:
        return flask_views.wsgi(flask)
    return without_handlers(app.wsgi_app, depth) if is_a(app, "flask.app", "Flask") else None


def _django(app: Any, depth: int) -> "WSGIApplication | None":
    """Recognise Django's handler."""
    return django_cors.wsgi(app) if is_a(app, "django.core.handlers.wsgi", "WSGIHandler") else None


def _dispatcher(app: Any, depth: int) -> "WSGIApplication | None":
    """Recognise Werkzeug's DispatcherMiddleware, and examine its mounts.

    A subclass with other references to the applications is treated as a handler.
    """
    if not is_a(app, "werkzeug.middleware.dispatcher", "DispatcherMiddleware"):
        return None
    mounts = dict(app.mounts)
    made = copy.copy(app)
    made.app = without_handlers(app.app, depth)
    made.mounts = {path: without_handlers(mounted, depth) for path, mounted in mounts.items()}
    replacements = (made.app, *made.mounts.values())
    if any(leads_to(inner, made, *replacements) for inner in (app.app, *mounts.values())):
        return respond
    dispatched: WSGIApplication = made
    return dispatched


def _layer(app: Any, depth: int) -> "WSGIApplication | None":
    """Recognise middleware by the attribute of its application."""
    inner = next((value for name in _NAMES if (value := getattr(app, name, None)) is not None), None)
    if inner is None or not takes(inner, 2):
        return None
    layers = without_handlers(inner, depth)
    made: WSGIApplication | None = layers if is_guard(app) else around(app, inner, layers)
    return made
