"""The guard as WSGI middleware (PEP 3333): Flask, Django, Bottle and anything else."""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from authguard._core.answer import Refusal
from authguard._core.guard import Deny, Guard
from authguard._core.model import Auth
from authguard._core.request import RequestView
from authguard._logs import log_refusal
from authguard.drivers import run
from authguard.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: What the middleware leaves for decorators: the guard, the request as it saw it, and why nobody
#: was found, if so.
Handled: TypeAlias = tuple[Guard, RequestView, RefusedError | None]
HANDLED = "authguard"
USER = "authguard.user"
AUTH = "authguard.auth"


class WSGIRequest(RequestView):
    """A request, from a WSGI environ.

    Args:
        environ: the environ.
        guard: whose credential fields to look for.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: "WSGIEnvironment", guard: Guard) -> None:
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.root_path = _decoded(environ.get("SCRIPT_NAME", ""))
        self.path = _decoded(environ.get("PATH_INFO", "")) or "/"
        self.presented = [
            (name, environ[key].encode("latin-1", "replace"))
            for name, key in guard.credential_keys
            if key in environ
        ]

    @property
    def query(self) -> str:
        """The raw query string."""
        query: str = self._environ.get("QUERY_STRING", "")
        return query

    def fields(self, name: bytes) -> list[bytes]:
        """The values of a header field; WSGI servers have joined them to at most one."""
        value = self._environ.get("HTTP_" + name.decode("ascii").upper().replace("-", "_"))
        return [] if value is None else [value.strip(" \t").encode("latin-1", "replace")]


def _decoded(path: str) -> str:
    """PEP 3333 hands over bytes as Latin-1; what is not UTF-8 makes the path an odd one."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


class AuthGuardMiddleware:
    """Guards a WSGI application.

    The caller is `environ["authguard.user"]`; its scopes are in `environ["authguard.auth"]`.
    What the application returns is handed on as it is, so it streams, and its `close()` is
    called by the server. `REMOTE_USER` is neither read nor set.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.
    """

    def __init__(
        self, app: "WSGIApplication", *, guard: Guard, clock: Callable[[], float] = time.time
    ) -> None:
        self.app = app
        self.guard = guard
        self._clock = clock

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request."""
        guard = self.guard
        request = WSGIRequest(environ, guard)
        now = self._clock()
        auth = guard.recall(request.presented, request.method, request.path, request.root_path, now)
        if auth is not None:
            if auth.vary:
                start_response = _varying(start_response, auth.vary)
            _leave(environ, auth, auth.principal, (guard, request, None))
            return self.app(environ, start_response)
        decision = run(guard.decide(request, now))
        if isinstance(decision, Deny):
            log_refusal(request, decision)
            return self.answer(environ, decision)(environ, start_response)
        if decision.vary:
            start_response = _varying(start_response, decision.vary)
        _leave(environ, decision.auth, decision.user, (guard, request, decision.error))
        return self.app(environ, start_response)

    def answer(self, environ: "WSGIEnvironment", denied: Deny) -> "WSGIApplication":
        """The WSGI application that answers in the place of the guarded one."""
        return responder(denied.refusal)


def _leave(environ: "WSGIEnvironment", auth: Auth, user: Any, handled: Handled) -> None:
    environ[USER] = user
    environ[AUTH] = auth
    environ[HANDLED] = handled


def handled_by_guard(environ: "WSGIEnvironment") -> Handled:
    """What the middleware left in the environ.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled: Handled | None = environ.get(HANDLED)
    if handled is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: "
            "app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard)"
        )
    return handled


def responder(refusal: Refusal) -> "WSGIApplication":
    """A WSGI application that sends a refusal."""

    def respond(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        phrase = HTTPStatus(refusal.status).phrase
        start_response(f"{refusal.status} {phrase}", refusal.fields())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.body]

    return respond


def _varying(start_response: "StartResponse", vary: str) -> "StartResponse":
    """Keep shared caches from giving one caller's response to another; as in authguard.asgi."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        headers = [*headers, ("Vary", vary)]
        if not any(name.lower() == "cache-control" for name, _ in headers):
            headers.append(("Cache-Control", "private"))
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return start
