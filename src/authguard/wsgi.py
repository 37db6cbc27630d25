"""Guard WSGI applications (PEP 3333): Flask, Django, Bottle and anything else."""

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from authguard._asgi.request import HANDLED as HANDLED_ON_SCOPE
from authguard._asgi.request import ASGIHandled
from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Decision, Deny, Prepared
from authguard._core.answer.metadata import MetadataPage
from authguard._core.answer.refusal import Refusal
from authguard._core.answer.response_fields import ResponseFields, merged
from authguard._core.deciding.callers import UNDECIDED
from authguard._core.deciding.outcomes import Outer, follow
from authguard._core.deciding.quotas import Quotas
from authguard._core.deciding.straight_path import Open
from authguard._core.endpoint import Endpoint
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH
from authguard._core.options import check_clock, check_function, check_object, named_options
from authguard._core.request import Presented, RequestKey
from authguard._endpoint import check_order, check_order_of_flask, flasks_below
from authguard._forwarded import warn_if_inside
from authguard._layers import check_interface
from authguard._logs import log_raised, log_refusal, logger, redact_keys_of
from authguard._preflight.wsgi import WSGIPreflights
from authguard._routes.unmatched import UnmatchedPatterns
from authguard._signatures.unused_results import check_is_around
from authguard._wsgi.processes import UnsharedState, WithUnsharedState
from authguard._wsgi.request import (
    AUTH,
    HANDLED,
    OUTER,
    SCOPE,
    USER,
    HandledFields,
    WSGIHandled,
    WSGIRequest,
    decoded,
    environ_keys,
    fields_presented,
    handled_by_guard,
    leave,
    request_of,
)
from authguard._wsgi.rewrites import let_check
from authguard.drivers.blocking import complete, run, run_anywhere
from authguard.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PROXY_FIX = """app = ProxyFix(AuthGuardMiddleware(app, guard=guard)), or app.wsgi_app = \
ProxyFix(app.wsgi_app) after init_app(app, guard)"""
_AROUND = (
    """app = AuthGuardMiddleware(app, guard=guard), or init_app(app, guard) of authguard.flask for Flask"""
)


__all__ = [
    "AUTH",
    "HANDLED",
    "USER",
    "AuthGuardMiddleware",
    "WSGIHandled",
    "WSGIRequest",
    "handled_by_guard",
    "responder",
]


@named_options
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
        ConfigurationError: if `guard` is not a Guard; if `app` is an ASGI application; if the middleware is
            thrown away; or if `@requires` is above the decorator of a Flask view, where it guards nothing. If
            such a view is added later, Flask answers each request with 500.
    """

    def __init__(
        self, app: "WSGIApplication", *, guard: Guard, clock: Callable[[], float] = time.time
    ) -> None:
        check_object(guard, "guard", Guard, "guard=Guard(JWTVerifier(…))", or_none=False)
        check_function(app, "app", "AuthGuardMiddleware(app, guard=guard)", or_none=False)
        check_interface(app, "wsgi")
        check_clock(clock)
        check_order(app)
        check_order_of_flask(app, UnmatchedPatterns(app, guard).warn_once, partial(logger.error, "%s"))
        for flask in flasks_below(app):
            flask.error_handler_spec[None][None].setdefault(RefusedError, answer_in_flask)
            app = let_check(app, flask)
        warn_if_inside(app, _PROXY_FIX)
        state = UnsharedState(guard)
        app = WithUnsharedState(app, state) if state else app
        app = app if guard.metadata_page is None else _WithMetadata(app, guard.metadata_page)
        app = app if guard.endpoint is None else _WithEndpoint(app, guard.endpoint)
        self.app = app if guard.quotas is None else _Charging(app, guard.quotas)
        self.guard = guard
        redact_keys_of(guard)
        self._keys = environ_keys(guard.recalled_fields)
        self._clock = guard.remotes.clock = clock
        self._preflights = WSGIPreflights(self.app)
        check_is_around(self, _AROUND)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle one request."""
        if HANDLED in environ or SCOPE in environ:
            return self._handle_nested(environ, start_response)
        guard = self.guard
        root_path, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        now = self._clock()
        presented = fields_presented(environ, self._keys)
        request_key: RequestKey = (
            (environ["REQUEST_METHOD"], path or "/", root_path)
            if (root_path + path).isascii()
            else (environ["REQUEST_METHOD"], decoded(path) or "/", decoded(root_path))
        )
        recalled = guard.recall(presented, request_key, now)
        decision: Decision
        if recalled.is_decision is True:  # without `decide`, to save a call
            decision = recalled
        elif type(recalled) is Prepared:
            request = request_of(environ, guard, presented)
            return self._answer(guard.present(request, recalled, now), request, start_response, now)
        else:
            decision = self._decide(environ, presented, request_key, now, recalled)
        if not decision.reaches_app:
            request = request_of(environ, guard, presented)
            return self._answer(decision, request, start_response, now)
        if decision.response_fields:
            start_response = _adding(start_response, decision.response_fields)
        # The same as `leave`, without another call for each request.
        environ[USER] = decision.user
        environ[AUTH] = decision.auth
        environ[HANDLED] = (guard, root_path, path, decision, now)
        try:
            return self.app(environ, start_response)
        except RefusedError as error:
            return self._raised(error, environ, start_response)

    def _handle_nested(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Handle a request that an outer guard may have let pass.

        The flow decides about it, because it considers the charges of that guard.
        """
        environ[OUTER] = outer_of(environ)
        guard, now = self.guard, self._clock()
        presented = fields_presented(environ, self._keys)
        request = request_of(environ, guard, presented)
        where = (environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        decision = self._decide(environ, presented, request.request_key, now, UNDECIDED)
        follow(environ[OUTER], decision)
        if not decision.reaches_app:
            return self._answer(decision, request, start_response, now)
        if decision.response_fields:
            start_response = _adding(start_response, decision.response_fields)
        leave(environ, decision.auth, decision.user, (guard, *where, decision, now, environ[OUTER]))
        try:
            return self.app(environ, start_response)
        except RefusedError as error:
            return self._raised(error, environ, start_response)

    def _raised(
        self, error: RefusedError, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a refusal that the application has raised, if the response has not begun."""
        if error.status_code == 500:
            raise error  # the server logs a bug like any other error
        denied = refusal_of_raised(handled_by_guard(environ), error)
        raised = sys.exc_info()
        # With this argument, the server raises the error again if fields have been sent.
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
        return complete(self.guard, request_of, environ, presented, request_key, now, recalled)

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
        answer = self._page.answer(environ["REQUEST_METHOD"], decoded(environ.get("PATH_INFO", "")))
        return (self.app if answer is None else responder(answer))(environ, start_response)


class _Charging:
    """Add the fields of a decision to the response, and give back the quota of a refused request.

    This happens when the response begins, because decorators may take from the quotas, too.
    """

    def __init__(self, app: "WSGIApplication", quotas: Quotas) -> None:
        self.app = app
        self._quotas = quotas

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        handled: HandledFields = environ[HANDLED]
        charge = handled[3].charge  # without the object, which costs each request more
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
        is_for_it = decoded(environ.get("PATH_INFO", "")) == self._endpoint.path
        return (self._endpoint.wsgi if is_for_it else self.app)(environ, start_response)


def refusal_of_raised(handled: WSGIHandled, error: RefusedError) -> Deny:
    """Return the answer to a refusal that a view has raised, such as one of `Guard.verify`, and log it."""
    request, auth = handled.request, handled.decision.auth
    denied = run_anywhere(handled.guard.refuse(request, error, auth, handled.at))
    log_raised(request, denied)
    return denied


def answer_in_flask(error: RefusedError) -> Any:
    """Answer a refusal that a view has raised; a handler for Flask, which handles exceptions itself."""
    environ = sys.modules["flask"].request.environ
    if HANDLED not in environ or error.status_code == 500:
        raise error
    return responder(refusal_of_raised(handled_by_guard(environ), error).refusal)


def outer_of(environ: "WSGIEnvironment") -> Outer | None:
    """Return the data of the guard around this one, which may be that of an ASGI application."""
    if HANDLED in environ:
        return handled_by_guard(environ)
    scope = environ[SCOPE] or {}
    return ASGIHandled(*scope[HANDLED_ON_SCOPE]) if HANDLED_ON_SCOPE in scope else None


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
