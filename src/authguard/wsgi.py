"""Guard WSGI applications (PEP 3333): Flask, Django, Bottle and anything else."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Decision, Deny, Prepared
from authguard._core.answer.metadata import MetadataPage
from authguard._core.answer.refusal import Refusal
from authguard._core.answer.response_fields import ResponseFields, merged
from authguard._core.deciding.quotas import Quotas
from authguard._core.deciding.straight_path import Open
from authguard._core.endpoint import Endpoint
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Auth
from authguard._core.options import check_function, check_object
from authguard._core.request import (
    NotedProofs,
    Presented,
    RequestKey,
    RequestView,
    credentials_among,
    http_method,
)
from authguard._endpoint import check_order, check_order_of_flask, flasks_below
from authguard._forwarded import warn_if_inside
from authguard._layers import check_wsgi
from authguard._logs import log_raised, log_refusal
from authguard._preflight.wsgi import WSGIPreflights
from authguard._processes import UnsharedState, WithUnsharedState
from authguard.drivers.blocking import complete, run, run_anywhere
from authguard.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HANDLED = "authguard"
USER = "authguard.user"
AUTH = "authguard.auth"
_PROOFS = "authguard.proofs"
_PROXY_FIX = """app = ProxyFix(AuthGuardMiddleware(app, guard=guard)), or app.wsgi_app = \
ProxyFix(app.wsgi_app) after init_app(app, guard)"""

# The fields of `WSGIHandled` except the environ: a tuple, because it costs each request less than the object.
_HandledFields: TypeAlias = tuple[Guard, str, str, Decision, float]


class WSGIRequest(RequestView):
    """Read a request from a WSGI environ.

    Args:
        environ: the environ.
        guard: the guard whose credential fields are read.
        root_path: `SCRIPT_NAME` as the middleware received it; mounts further in change it.
        path: `PATH_INFO` as the middleware received it.
        presented: the fields that the guard used to recall the caller, if they were read already.
    """

    __slots__ = ("_is_mount_point", "environ")

    def __init__(
        self,
        environ: "WSGIEnvironment",
        guard: Guard,
        root_path: str,
        path: str,
        presented: Presented | None = None,
    ) -> None:
        self.environ = environ
        self.method = http_method(environ["REQUEST_METHOD"])
        self.scheme = environ.get("wsgi.url_scheme", "http")
        self.root_path = _decoded(root_path)
        self.path = _decoded(path) or "/"
        self._is_mount_point = not path
        self.presented = (
            _presented(environ, _environ_keys(guard.credential_fields))
            if presented is None
            else credentials_among(presented)
        )

    @property
    def query(self) -> str:
        """Return the raw query string."""
        return str(self.environ.get("QUERY_STRING", ""))

    def fields(self, name: bytes) -> list[bytes]:
        """Return the values of a header field; WSGI servers join several into one."""
        value = self.environ.get(_environ_key(name))
        return [] if value is None else [value.strip(" \t").encode("latin-1", "replace")]

    @property
    def external_path(self) -> str:
        """Return the path as the client sees it: a mount point alone has no trailing slash."""
        return (self.root_path if self._is_mount_point else "") or self.root_path + self.path

    @property
    def peer(self) -> str | None:
        """Return the address of the peer of the connection, as reported by the server."""
        return self.environ.get("REMOTE_ADDR")

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return the noted proofs from the environ, if a guard has seen the request.

        Each request has its own environ.
        """
        noted: NotedProofs = self.environ.get(_PROOFS, ()) if HANDLED in self.environ else ()
        return noted

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Store the proof in the environ."""
        self.environ[_PROOFS] = (*self.noted_proofs, (memory, digest))

    @property
    def certificate(self) -> str | None:
        """Return `SSL_CLIENT_CERT`, as set by mod_wsgi, Werkzeug and others."""
        return self.environ.get("SSL_CLIENT_CERT")


@dataclass(frozen=True, slots=True)
class WSGIHandled:
    """Hold the state that the middleware stores in the environ of a request.

    Attributes:
        environ: the environ.
        guard: the rules.
        root_path: `SCRIPT_NAME` as the middleware received it; mounts further in change it.
        path: `PATH_INFO` as the middleware received it.
        decision: of the guard.
        at: the time of the decision, in seconds since the epoch.
    """

    environ: "WSGIEnvironment"
    guard: Guard
    root_path: str
    path: str
    decision: Decision
    at: float

    @property
    def error(self) -> RefusedError | None:
        """Return why the caller is unknown, if it is."""
        return self.decision.error

    @property
    def request(self) -> WSGIRequest:
        """Return the request as the guard sees it."""
        return WSGIRequest(self.environ, self.guard, self.root_path, self.path)


_Keys: TypeAlias = tuple[tuple[bytes, str], ...]


def _environ_key(name: bytes) -> str:
    return "HTTP_" + name.decode("ascii").upper().replace("-", "_")


@lru_cache(maxsize=256)  # usually set by the guard
def _environ_keys(names: frozenset[bytes]) -> _Keys:
    """Return the credential fields, each with its key in the environ."""
    return tuple((name, _environ_key(name)) for name in sorted(names))


def _presented(environ: "WSGIEnvironment", keys: _Keys) -> Presented:
    """Return the credential fields among all fields."""
    presented = []  # a comprehension is a function call before Python 3.12
    for name, key in keys:
        value = environ.get(key)
        if value is not None:
            presented.append((name, value.encode("latin-1", "replace")))
    return presented


def _request(environ: "WSGIEnvironment", guard: Guard, presented: Presented) -> WSGIRequest:
    """Return the request that the middleware handles."""
    return WSGIRequest(
        environ, guard, environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""), presented
    )


def _decoded(path: str) -> str:
    """Decode a path, which PEP 3333 passes as Latin-1; a path that is not UTF-8 counts as malformed."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


class AuthGuardMiddleware:
    """Guard a WSGI application.

    The caller is `environ["authguard.user"]`; its scopes are in `environ["authguard.auth"]`. The
    application's iterable is returned unchanged, so it streams, and the server calls its `close()`.
    `REMOTE_USER` is neither read nor set.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: if `guard` is not a Guard; if `app` is an ASGI application; or if `@requires` is
            above the decorator of a Flask view, where it guards nothing. If such a view is added later, Flask
            answers each request with 500.
    """

    def __init__(
        self, app: "WSGIApplication", *, guard: Guard, clock: Callable[[], float] = time.time
    ) -> None:
        check_object(guard, "guard", Guard, "guard=Guard(JWTVerifier(…))", or_none=False)
        check_function(app, "app", "AuthGuardMiddleware(app, guard=guard)", or_none=False)
        check_wsgi(app)
        check_function(clock, "clock", "clock=time.time", or_none=False)
        check_order(app)
        check_order_of_flask(app)
        for flask in flasks_below(app):
            flask.error_handler_spec[None][None].setdefault(RefusedError, answer_in_flask)
        warn_if_inside(app, _PROXY_FIX)
        state = UnsharedState(guard)
        app = WithUnsharedState(app, state) if state else app
        app = app if guard.metadata_page is None else _WithMetadata(app, guard.metadata_page)
        app = app if guard.endpoint is None else _WithEndpoint(app, guard.endpoint)
        self.app = app if guard.quotas is None else _Charging(app, guard.quotas)
        self.guard = guard
        self._keys = _environ_keys(guard.recalled_fields)
        self._clock = guard.remotes.clock = clock
        self._preflights = WSGIPreflights(self.app)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request."""
        guard = self.guard
        root_path, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        now = self._clock()
        presented = _presented(environ, self._keys)
        request_key: RequestKey = (
            (environ["REQUEST_METHOD"], path or "/", root_path)
            if (root_path + path).isascii()
            else (environ["REQUEST_METHOD"], _decoded(path) or "/", _decoded(root_path))
        )
        recalled = guard.recall(presented, request_key, now)
        decision: Decision
        if recalled.is_decision is True:  # not by `decide`, which is a call more
            decision = recalled
        elif type(recalled) is Prepared:
            request = _request(environ, guard, presented)
            return self._answer(guard.present(request, recalled, now), request, start_response, now)
        else:
            decision = self._decide(environ, presented, request_key, now, recalled)
        if not decision.reaches_app:
            request = _request(environ, guard, presented)
            return self._answer(decision, request, start_response, now)
        if decision.response_fields:
            start_response = _adding(start_response, decision.response_fields)
        # As in `leave`, without another call for each request.
        environ[USER] = decision.user
        environ[AUTH] = decision.auth
        environ[HANDLED] = (guard, root_path, path, decision, now)
        try:
            return self.app(environ, start_response)
        except RefusedError as error:
            return self._raised(error, environ, start_response)

    def _raised(
        self, error: RefusedError, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a refusal that the application has raised, if the response has not begun."""
        if error.status_code == 500:
            raise error  # a bug is logged by the server, as any other
        denied = refusal_of_raised(handled_by_guard(environ), error)
        raised = sys.exc_info()
        # With it, the server raises the error again if fields have been sent.
        start: Any = lambda status, fields: start_response(status, fields, raised)  # noqa: E731
        return responder(denied.refusal)(environ, start)

    def _decide(
        self,
        environ: "WSGIEnvironment",
        presented: Presented,
        request_key: RequestKey,
        now: float,
        recalled: Open,
    ) -> Decision:
        """Return the decision about a request for which callbacks or verifiers must be called."""
        return complete(self.guard, _request, environ, presented, request_key, now, recalled)

    def _answer(
        self,
        decision: Decision,
        request: WSGIRequest,
        start_response: "StartResponse",
        now: float,
    ) -> Iterable[bytes]:
        """Send a refusal, or the answer to a preflight of a protected path."""
        environ = request.environ
        if isinstance(decision, Deny):
            log_refusal(request, decision)
            return self.answer(environ, decision)(environ, start_response)
        inner = {**environ}
        where = (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        leave(inner, ANONYMOUS_AUTH, ANONYMOUS, (self.guard, *where, decision, now))
        return self._preflights(decision.preflight or "answer", inner, start_response, request)

    def answer(self, environ: "WSGIEnvironment", denied: Deny) -> "WSGIApplication":
        """Return the WSGI application that answers instead of the guarded one."""
        return responder(denied.refusal)


class _WithMetadata:
    """Serve the protected-resource metadata (RFC 9728) inside the guard; its paths are public."""

    def __init__(self, app: "WSGIApplication", page: MetadataPage) -> None:
        self.app = app
        self._page = page

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = self._page.answer(environ["REQUEST_METHOD"], _decoded(environ.get("PATH_INFO", "")))
        return (self.app if answer is None else responder(answer))(environ, start_response)


class _Charging:
    """Add the fields of a decision to the response, and give back the quota of a refused request.

    This happens when the response begins, because decorators may take from the quotas, too.
    """

    def __init__(self, app: "WSGIApplication", quotas: Quotas) -> None:
        self.app = app
        self._quotas = quotas

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        charge = handled_by_guard(environ).decision.charge
        return self.app(environ, start_response if charge is None else self._telling(start_response, charge))

    def _telling(self, start_response: "StartResponse", charge: Charge) -> "StartResponse":
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if charge.is_refused and status[:1] in "345":
                run(self._quotas.give_back(charge))
            headers = merged(headers, _as_text(charge.response_fields + charge.fields))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return start


class _WithEndpoint:
    """Serve the guard's endpoint; its path is public."""

    def __init__(self, app: "WSGIApplication", endpoint: Endpoint) -> None:
        self.app = app
        self._endpoint = endpoint

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        is_for_it = _decoded(environ.get("PATH_INFO", "")) == self._endpoint.path
        return (self._endpoint.wsgi if is_for_it else self.app)(environ, start_response)


def leave(environ: "WSGIEnvironment", auth: Auth, user: Any, handled: _HandledFields) -> None:
    """Store the caller in the environ."""
    environ[USER] = user
    environ[AUTH] = auth
    environ[HANDLED] = handled


def refusal_of_raised(handled: WSGIHandled, error: RefusedError) -> Deny:
    """Return the answer to a refusal that a view has raised, such as one of `Guard.verify`, and log it."""
    request, auth = handled.request, handled.decision.auth
    denied = run_anywhere(handled.guard.refuse(request, error, auth, handled.at))
    log_raised(request, denied)
    return denied


def answer_in_flask(error: RefusedError) -> Any:
    """Answer such a refusal; a handler of Flask, which answers exceptions of views itself."""
    environ = sys.modules["flask"].request.environ
    if HANDLED not in environ or error.status_code == 500:
        raise error
    return responder(refusal_of_raised(handled_by_guard(environ), error).refusal)


def handled_by_guard(environ: "WSGIEnvironment") -> WSGIHandled:
    """Return the state that the middleware stored in the environ.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled: _HandledFields | None = environ.get(HANDLED)
    if handled is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: write init_app(app, guard) of authguard.flask, "
            "or app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard)"
        )
    return WSGIHandled(environ, *handled)


def responder(refusal: Refusal) -> "WSGIApplication":
    """Return a WSGI application that sends a refusal."""

    def respond(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response(f"{refusal.status} {HTTPStatus(refusal.status).phrase}", refusal.fields())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.body]

    return respond


def _adding(start_response: "StartResponse", fields: ResponseFields) -> "StartResponse":
    """Add the fields of a decision to the response."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        headers = merged(headers, _as_text(fields))
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return start


def _as_text(fields: ResponseFields) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in fields]
