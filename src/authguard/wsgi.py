"""The guard as WSGI middleware (PEP 3333): Flask, Django, Bottle and anything else."""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from authguard._core.answer.decision import Allow, Decision, Deny
from authguard._core.answer.metadata import MetadataPage
from authguard._core.answer.refusal import Refusal
from authguard._core.flow import Shared
from authguard._core.guard import Found, Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Auth
from authguard._core.options import check_function, check_object
from authguard._core.request import Presented, RequestView, http_method
from authguard._endpoint import check_order, check_order_of_flask
from authguard._logs import log_refusal
from authguard._preflight.wsgi import Preflights
from authguard.drivers import ask, run
from authguard.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HANDLED = "authguard"
USER = "authguard.user"
AUTH = "authguard.auth"

# What the middleware leaves for decorators: the guard, SCRIPT_NAME and PATH_INFO as it saw them,
# why nobody was found, if so, and when that was.
_Left: TypeAlias = tuple[Guard, str, str, RefusedError | None, float]


class WSGIRequest(RequestView):
    """A request, from a WSGI environ.

    Args:
        environ: the environ.
        guard: whose credential fields to look for.
        root_path: `SCRIPT_NAME` as the middleware found it; further in, mounts change it.
        path: `PATH_INFO` as the middleware found it.
        presented: those fields, if they have been found already.
    """

    __slots__ = ("_environ", "_is_mount_point")

    def __init__(
        self,
        environ: "WSGIEnvironment",
        guard: Guard,
        root_path: str,
        path: str,
        presented: Presented | None = None,
    ) -> None:
        self._environ = environ
        self.method = http_method(environ["REQUEST_METHOD"])
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.root_path = _decoded(root_path)
        self.path = _decoded(path) or "/"
        self._is_mount_point = not path
        self.presented = _presented(environ, guard) if presented is None else presented

    @property
    def query(self) -> str:
        """The raw query string."""
        query: str = self._environ.get("QUERY_STRING", "")
        return query

    def fields(self, name: bytes) -> list[bytes]:
        """The values of a header field; WSGI servers have joined them to at most one."""
        value = self._environ.get("HTTP_" + name.decode("ascii").upper().replace("-", "_"))
        return [] if value is None else [value.strip(" \t").encode("latin-1", "replace")]

    @property
    def external_path(self) -> str:
        """The path as the client sees it: a mount point by itself has no slash after it."""
        return (self.root_path if self._is_mount_point else "") or self.root_path + self.path

    @property
    def peer(self) -> str | None:
        """The address of whoever is connected to the server, as the server says."""
        return self._environ.get("REMOTE_ADDR")

    @property
    def certificate(self) -> str | None:
        """From `SSL_CLIENT_CERT`, as mod_wsgi, Werkzeug and others give it."""
        return self._environ.get("SSL_CLIENT_CERT")


def _presented(environ: "WSGIEnvironment", guard: Guard) -> Presented:
    """The credential fields among all fields."""
    presented = []  # a comprehension is one more call before Python 3.12: 0.1 µs of 2.2
    for name, key in guard.credential_keys:
        value = environ.get(key)
        if value is not None:
            presented.append((name, value.encode("latin-1", "replace")))
    return presented


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

    Raises:
        ConfigurationError: if `guard` is no Guard, or if `@requires` stands above the decorator of a
            view of Flask, where it guards nothing. For views that are added later, Flask answers each
            request with 500.
    """

    def __init__(
        self, app: "WSGIApplication", *, guard: Guard, clock: Callable[[], float] = time.time
    ) -> None:
        check_object(guard, "guard", Guard, "guard=Guard(JWTVerifier(…))", or_none=False)
        check_function(app, "app", "AuthGuardMiddleware(app, guard=guard)", or_none=False)
        check_function(clock, "clock", "clock=time.time", or_none=False)
        check_order(app)
        check_order_of_flask(app)
        self.app = app if guard.metadata_page is None else _WithMetadata(app, guard.metadata_page)
        self.guard = guard
        self._clock = clock
        self._preflights = Preflights(self.app)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request."""
        guard = self.guard
        root_path, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        now = self._clock()
        presented = _presented(environ, guard)
        found: Found | Deny | Shared[Found] | None = None
        if path.isascii() and root_path.isascii():
            found = guard.recall(presented, (environ["REQUEST_METHOD"], path or "/", root_path), now)
        if type(found) is Auth:
            auth, user, error = found, found.principal, None
            if found.vary:
                start_response = _varying(start_response, found.vary)
        else:
            request = WSGIRequest(environ, guard, root_path, path, presented)
            decision = self._decide(request, found, now)
            if isinstance(decision, Deny):
                return self.answer(environ, decision)(environ, start_response)
            if decision.preflight is not None:
                environ = {**environ}
                leave(environ, ANONYMOUS_AUTH, ANONYMOUS, (guard, root_path, path, None, now))
                return self._preflights(decision.preflight, environ, start_response, request)
            auth, user, error = decision.auth, decision.user, decision.error
            start_response = _marking(start_response, decision)
        leave(environ, auth, user, (guard, root_path, path, error, now))
        return self.app(environ, start_response)

    def _decide(
        self, request: WSGIRequest, found: Found | Deny | Shared[Found] | None, now: float
    ) -> Decision:
        """What `recall` could not tell; and a line in the log, where a refusal is worth one."""
        if isinstance(found, Deny):
            decision: Decision = found
        else:
            known: Found | None = ask(found) if isinstance(found, Shared) else found
            decision = run(self.guard.decide(request, now, known))
        if isinstance(decision, Deny):
            log_refusal(request, decision)
        return decision

    def answer(self, environ: "WSGIEnvironment", denied: Deny) -> "WSGIApplication":
        """The WSGI application that answers in the place of the guarded one."""
        return responder(denied.refusal)


class _WithMetadata:
    """Serves the resource's metadata, inside the guard, to whom its paths are public."""

    def __init__(self, app: "WSGIApplication", page: MetadataPage) -> None:
        self.app = app
        self._page = page

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = self._page.answer(environ["REQUEST_METHOD"], _decoded(environ.get("PATH_INFO", "")))
        return (self.app if answer is None else responder(answer))(environ, start_response)


def leave(environ: "WSGIEnvironment", auth: Auth, user: Any, left: _Left) -> None:
    """Leave the caller in the environ."""
    environ[USER] = user
    environ[AUTH] = auth
    environ[HANDLED] = left


def handled_by_guard(environ: "WSGIEnvironment") -> tuple[Guard, RequestView, RefusedError | None]:
    """What the middleware left in the environ: guard, request, and why nobody was found, if so.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    left: _Left | None = environ.get(HANDLED)
    if left is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: write init_app(app, guard) of authguard.flask, "
            "or app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard)"
        )
    guard, root_path, path, error, _ = left
    return guard, WSGIRequest(environ, guard, root_path, path), error


def handled_at(environ: "WSGIEnvironment") -> float:
    """When the middleware looked at the request, in seconds since the epoch; see `handled_by_guard`."""
    left: _Left = environ[HANDLED]
    return left[4]


def responder(refusal: Refusal) -> "WSGIApplication":
    """A WSGI application that sends a refusal."""

    def respond(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        phrase = HTTPStatus(refusal.status).phrase
        start_response(f"{refusal.status} {phrase}", refusal.fields())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.body]

    return respond


def _marking(start_response: "StartResponse", decision: Allow) -> "StartResponse":
    """Put on the response what the decision says about it."""
    if decision.vary:
        start_response = _varying(start_response, decision.vary)
    # Outermost, so that its `no-store` comes before `private`, which would let a browser keep the nonce.
    return _with_nonce(start_response, decision.nonce) if decision.nonce else start_response


def _with_nonce(start_response: "StartResponse", nonce: str) -> "StartResponse":
    """Tell the caller its next nonce; as in authguard.asgi."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        headers = [*headers, ("DPoP-Nonce", nonce)]
        if not any(name.lower() == "cache-control" for name, _ in headers):
            headers.append(("Cache-Control", "no-store"))
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return start


def _varying(start_response: "StartResponse", vary: str) -> "StartResponse":
    """Keep shared caches from giving one caller's response to another; as in authguard.asgi."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        headers = [*headers, ("Vary", vary)]
        for name, _ in headers:  # by length first, as in authguard.asgi
            if len(name) == len("cache-control") and name.lower() == "cache-control":
                break
        else:
            headers.append(("Cache-Control", "private"))
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return start
