"""Guard ASGI applications: check http and websocket scopes, pass lifespan, and refuse other scopes."""

import time
from collections.abc import Awaitable, Callable
from copy import copy
from functools import cached_property

from authguard import _cors, _mounted
from authguard._asgi.charging import Charging
from authguard._asgi.connection import check_recheck
from authguard._asgi.refusal import answering, responder
from authguard._asgi.request import (
    HANDLED,
    ASGIApp,
    ASGIRequest,
    Message,
    Receive,
    Scope,
    Send,
    handled_by_guard,
    request_key_below,
)
from authguard._asgi.startup import at_startup, startable
from authguard._asgi.websockets import Websockets
from authguard._core.answer.decision import Decision, Deny, Prepared
from authguard._core.answer.metadata import MetadataPage
from authguard._core.answer.response_fields import ResponseFields, merged
from authguard._core.deciding.outcomes import follow
from authguard._core.endpoint import Endpoint
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH
from authguard._core.options import (
    Duration,
    check_clock,
    check_flag,
    check_function,
    check_object,
    named_options,
)
from authguard._core.policy.mounts import below
from authguard._core.request import RequestKey
from authguard._forwarded import warn_if_inside
from authguard._layers import check_interface
from authguard._logs import log_refusal, redact_keys_of
from authguard._preflight.asgi import ASGIPreflights
from authguard._routes.unmatched import UnmatchedPatterns
from authguard._signatures.unused_results import check_is_around
from authguard.drivers.asynchronous import complete, run

__all__ = [
    "HANDLED",
    "ASGIApp",
    "ASGIRequest",
    "AuthGuardMiddleware",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "handled_by_guard",
    "responder",
]

_PROXY_HEADERS = "app.add_middleware(ProxyHeadersMiddleware) after the middleware of the guard"
_AROUND = """app = AuthGuardMiddleware(app, guard=guard), install(app, guard) for FastAPI, or \
app.add_middleware(AuthGuardMiddleware, guard=guard) for Starlette"""


@named_options
class AuthGuardMiddleware:
    """Guard an ASGI application.

    The application finds the caller in `request.state.user`, `request.user` and `request.auth`. Middleware
    outside the guard reads `request.user` and `request.auth`. The request body is not read or changed, and
    the response is streamed.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.
        recheck: the seconds, or the timedelta, between two checks of the credential of an open websocket. The
            websocket is closed when the credential has expired or is no longer valid.
        websocket_close_codes: accept the handshake of a refused websocket, and close it at once with 4000
            plus the status, such as 4401. Scripts in a browser can read only this.

    Raises:
        ConfigurationError: if `guard` is not a Guard; if `app` is a WSGI application; if `recheck` is not a
            number of seconds above 0; if the middleware is thrown away; if `@requires` is above the decorator
            of a route of Starlette or FastAPI, where it guards nothing; if `dependencies` of FastAPI do not
            guard a route or mount; or if an application with its own root path is mounted at `/`, where rules
            cannot be applied.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        guard: Guard,
        clock: Callable[[], float] = time.time,
        recheck: float | Duration = 30,
        websocket_close_codes: bool = False,
    ) -> None:
        check_object(guard, "guard", Guard, "guard=Guard(JWTVerifier(…))", or_none=False)
        check_function(app, "app", "AuthGuardMiddleware(app, guard=guard)", or_none=False)
        check_interface(app, "asgi")
        check_clock(clock)
        check_flag(websocket_close_codes, "websocket_close_codes")
        warn_if_inside(app, _PROXY_HEADERS)
        self._unmatched = UnmatchedPatterns(app, guard)
        app = startable(app, guard, when_complete=self._unmatched.warn_once)
        app = answering(app)
        app = app if guard.metadata_page is None else _WithMetadata(app, guard.metadata_page)
        app = app if guard.endpoint is None else _WithEndpoint(app, guard.endpoint)
        self.app = app if guard.quotas is None else Charging(app, guard.quotas)
        self.guard = guard
        redact_keys_of(guard)
        #: The mount point that the application itself uses instead of the server's; usually empty.
        self.root_path = _mounted.own_root_path(app)
        # Found by length, then by name, so that only one or two of a dozen fields are compared.
        names = guard.recalled_fields
        self._fields = (frozenset(map(len, names)), names)
        self._clock = guard.remotes.clock = clock
        self._preflights = ASGIPreflights(self.app)
        self._websockets = Websockets(
            self.app, guard, clock, check_recheck(recheck), close_codes=websocket_close_codes
        )
        check_is_around(self, _AROUND)

    def with_guard(self, guard: Guard) -> "AuthGuardMiddleware":
        """Return middleware with the same options and another guard, with the same credential fields."""
        changed = copy(self)
        changed.guard = guard
        guard.remotes.clock = self._clock
        changed._websockets = self._websockets.with_guard(guard)  # noqa: SLF001 (a copy of this one)
        return changed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or HANDLED in scope:
            await self._handle_other(scope, receive, send)
            return
        headers = scope["headers"]
        if type(headers) is not list:
            headers = scope["headers"] = list(headers)  # an iterator can be read only once
        request_key: RequestKey = (scope["method"], scope["path"], "")
        if scope.get("root_path") or self.root_path:
            request_key = request_key_below(self._mount(scope), scope)
        now = self._clock()
        lengths, names = self._fields
        presented = []
        for name, value in headers:  # a comprehension is a function call before Python 3.12
            if len(name) in lengths and (lower := name.lower()) in names:
                presented.append((lower, value))
        guard = self.guard
        recalled = guard.recall(presented, request_key, now)
        decision: Decision
        if recalled.is_decision is True:  # without `decide`, to save a coroutine
            decision = recalled
        elif type(recalled) is Prepared:
            request = ASGIRequest(scope, guard, presented)
            await self._answer(guard.present(request, recalled, now), request, receive, send, now)
            return
        else:
            decision = await complete(guard, ASGIRequest, scope, presented, request_key, now, recalled)
        if not decision.reaches_app:
            await self._answer(decision, ASGIRequest(scope, guard, presented), receive, send, now)
            return
        if decision.response_fields:
            send = _adding(send, decision.response_fields)
        # Changed in place, as by Starlette's own middleware, so that outer middleware sees the caller.
        scope["user"] = decision.user
        scope["auth"] = decision.auth
        inner = dict(scope)
        inner[HANDLED] = (guard, scope, decision, now)
        # A separate dict, because some servers share one dict between all requests of a connection.
        state = scope.get("state")
        inner["state"] = {"user": decision.user} if state is None else {**state, "user": decision.user}
        await self.app(inner, receive, send)

    async def _handle_nested(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request that an outer guard has let pass.

        The flow decides about it, because it considers the charges of that guard.
        """
        guard, now = self.guard, self._clock()
        scope["headers"] = list(scope["headers"])
        self._mount(scope)
        request = ASGIRequest(scope, guard)
        decision: Decision = await run(guard.decide(request, now))
        follow(request.outer, decision)
        if not decision.reaches_app:
            await self._answer(decision, request, receive, send, now)
            return
        if decision.response_fields:
            send = _adding(send, decision.response_fields)
        scope["user"], scope["auth"] = decision.user, decision.auth
        state = {**(scope.get("state") or {}), "user": decision.user}
        inner = {**scope, HANDLED: (guard, scope, decision, now), "state": state}
        await self.app(inner, receive, send)

    async def _answer(
        self, decision: Decision, request: ASGIRequest, receive: Receive, send: Send, now: float
    ) -> None:
        """Send a refusal, or the answer to a preflight of a protected path."""
        scope = request.scope
        scope["user"], scope["auth"] = ANONYMOUS, ANONYMOUS_AUTH
        if isinstance(decision, Deny):
            log_refusal(request, decision)
            await self._with_cors(responder(decision.refusal))(scope, receive, send)
            return
        inner = {
            **scope,
            "state": {**(scope.get("state") or {}), "user": ANONYMOUS},
            HANDLED: (self.guard, scope, decision, now),
        }
        mode = decision.preflight or "answer"
        await self._preflights(mode, inner, receive, send, request)

    @cached_property  # at the first refusal, when the application is complete
    def _with_cors(self) -> Callable[[ASGIApp], ASGIApp]:
        return _cors.inside(self.app)

    def _mount(self, scope: Scope) -> str:
        """Return the mount point; set the application's own on the scope, as the application would do."""
        if self.root_path:
            scope["root_path"] = self.root_path
        root_path: str = scope.get("root_path") or ""
        return root_path

    async def _handle_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._handle_nested(scope, receive, send)
        elif scope["type"] == "websocket":
            self._mount(scope)
            await self._websockets(scope, receive, send)
        elif scope["type"] == "lifespan":
            self._unmatched.warn_once()
            app = at_startup(self.app, self.guard)
            await app(scope, receive, _closing(send, self.guard))
        else:
            raise RuntimeError(
                f"authguard guards http and websocket scopes, and refuses {scope['type']!r} scopes"
            )


class _WithMetadata:
    """Serve the protected-resource metadata (RFC 9728) inside the guard; its paths are public."""

    def __init__(self, app: ASGIApp, page: MetadataPage) -> None:
        self.app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        if scope["type"] == "http":
            path = below(scope.get("root_path") or "", scope["path"])
            answer = self._page.answer(scope["method"], path)
        await (self.app if answer is None else responder(answer))(scope, receive, send)


class _WithEndpoint:
    """Serve the guard's endpoint; its path is public."""

    def __init__(self, app: ASGIApp, endpoint: Endpoint) -> None:
        self.app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint
        is_for_it = (
            scope["type"] == "http" and below(scope.get("root_path") or "", scope["path"]) == endpoint.path
        )
        await (endpoint.asgi if is_for_it else self.app)(scope, receive, send)


def _closing(send: Send, guard: Guard) -> Send:
    """Close the guard's connections before the server learns that the application has shut down."""

    async def send_closing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            await guard.aclose()
            if guard.quotas is not None:
                # The connections are closed here, because a server may end the process without running
                # functions of `atexit`.
                await run(guard.quotas.give_back_unused())
        await send(message)

    return send_closing


def _adding(send: Send, fields: ResponseFields) -> Send:
    """Add the fields of a decision to the response."""

    # Avoids a coroutine for each message.
    def send_adding(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = merged(message.get("headers", ()), fields)
        return send(message)

    return send_adding
