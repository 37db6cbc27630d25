"""The guard as ASGI middleware: http and websocket are guarded, lifespan passes, nothing else does."""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from authguard import _cors
from authguard._core.answer import Headers, Refusal
from authguard._core.decision import Allow, Decision, Deny
from authguard._core.flow import Shared
from authguard._core.guard import Found, Guard
from authguard._core.metadata import MetadataPage
from authguard._core.model import Auth
from authguard._core.request import Presented, RequestView
from authguard._core.rules import WEBSOCKET
from authguard._logs import log_refusal
from authguard.drivers import aask, arun
from authguard.errors import RefusedError

# As Starlette has them; asgiref's typed dictionaries would not fit its add_middleware.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HANDLED = "authguard"

# What the middleware leaves for decorators: the guard, the scope as it saw it (further in, mounts
# change it), why nobody was found, if so, and when that was.
_Left: TypeAlias = tuple[Guard, Scope, RefusedError | None, float]

_DENIAL = "websocket.http.response"
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


class ASGIRequest(RequestView):
    """A request, from an ASGI scope.

    Args:
        scope: of type http or websocket.
        guard: whose credential fields to look for.
        presented: those fields, if they have been found already.
    """

    __slots__ = ("_headers", "_query", "_scope")

    def __init__(self, scope: Scope, guard: Guard, presented: Presented | None = None) -> None:
        self.method = scope["method"] if scope["type"] == "http" else WEBSOCKET
        self.scheme = scope.get("scheme") or "http"
        self.root_path = scope.get("root_path") or ""
        self.path = _below(self.root_path, scope["path"])
        self.presented = _presented(scope["headers"], guard) if presented is None else presented
        self._scope = scope
        self._headers = scope["headers"]
        self._query = scope.get("query_string") or b""

    @property
    def query(self) -> str:
        """The raw query string."""
        return self._query.decode("latin-1")

    def fields(self, name: bytes) -> list[bytes]:
        """Every value of a header field, in order."""
        return [bytes(value).strip(b" \t") for key, value in self._headers if key.lower() == name]

    @property
    def peer(self) -> str | None:
        """The address of whoever is connected to the server, as the server says."""
        client = self._scope.get("client")
        return client[0] if client else None

    @property
    def certificate(self) -> str | None:
        """From the TLS extension of ASGI, if the server offers it."""
        tls = (self._scope.get("extensions") or {}).get("tls") or {}
        return next(iter(tls.get("client_cert_chain") or ()), None)


def _presented(headers: Iterable[tuple[bytes, bytes]], guard: Guard) -> Presented:
    """The credential fields among all fields; servers may leave names as the client wrote them."""
    fields = guard.credential_fields
    return [(name.lower(), value) for name, value in headers if name.lower() in fields]


def _below(root_path: str, path: str) -> str:
    """The path as the application's router sees it: boundary-aware, like Starlette's."""
    rest = path.removeprefix(root_path)
    return rest if rest != path and (not rest or rest.startswith("/")) else path


class AuthGuardMiddleware:
    """Guards an ASGI application.

    Callers find the caller on `request.state.user`, `request.user` and `request.auth`. The
    request and its body are passed on untouched, and the response streams as it comes.

    Args:
        app: the application.
        guard: the rules.
        clock: seconds since the epoch.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, clock: Callable[[], float] = time.time) -> None:
        self.app = app if guard.metadata_page is None else _WithMetadata(app, guard.metadata_page)
        self.guard = guard
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._pass_lifespan(scope, receive, send)
            return
        method = scope["method"] if kind == "http" else WEBSOCKET
        headers = scope["headers"]
        if type(headers) is not list:
            headers = list(headers)  # it may be good for one reading
            scope = {**scope, "headers": headers}
        root_path = scope.get("root_path") or ""
        path = _below(root_path, scope["path"]) if root_path else scope["path"]
        guard = self.guard
        now = self._clock()
        # By length, then by name: of a dozen fields one or two are looked at more closely. As a loop, since
        # a comprehension is a call before Python 3.12: 0.3 µs less.
        lengths, names = guard.credential_lengths, guard.credential_fields
        presented = []
        for field in headers:
            if len(field[0]) in lengths and (name := field[0].lower()) in names:
                presented.append((name, field[1]))
        asked = (method, path, root_path)
        found = guard.recall(presented, asked, now)
        answer: Found | None = None
        if type(found) is not Auth and isinstance(found, Shared):
            answer = await aask(found)
            # Known now, as a rule: to `decide` would be a third more for each of a crowd.
            found = guard.recall(presented, asked, now)
        if type(found) is Auth:
            auth, user, error = found, found.principal, None
            if found.vary:
                send = _varying(send, found.vary)
        else:
            decision = await self._decide(scope, presented, answer or found, now)
            if isinstance(decision, Deny):
                await self._with_cors(responder(decision.refusal))(scope, receive, send)
                return
            auth, user, error = decision.auth, decision.user, decision.error
            send = _marking(send, decision)
        # The copy is made here, and not in a function: 0.1 µs less.
        inner = dict(scope)  # and not {**scope, …}: 0.1 µs less
        inner["user"] = user
        inner["auth"] = auth
        inner[HANDLED] = (guard, scope, error, now)
        # The state is the server's copy for this request, and not copied again, so that middleware
        # further out can read `request.state.user` when the response has been sent.
        state = scope.get("state")
        if state is None:
            inner["state"] = {"user": user}
        else:
            state["user"] = user
        await self.app(inner, receive, send)

    @cached_property  # at the first refusal, when the application is complete: 1.4 µs less for each
    def _with_cors(self) -> Callable[[ASGIApp], ASGIApp]:
        return _cors.inside(self.app)

    async def _pass_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            raise RuntimeError(
                f"authguard guards http and websocket, and lets no {scope['type']!r} scope pass"
            )
        await self.app(scope, receive, _closing(send, self.guard))

    async def _decide(
        self, scope: Scope, presented: Presented, found: Found | Deny | Shared[Found] | None, now: float
    ) -> Decision:
        """What `recall` could not tell; and a line in the log, where a refusal is worth one."""
        request = ASGIRequest(scope, self.guard, presented)
        if isinstance(found, Deny):
            decision: Decision = found
        else:
            known = None if isinstance(found, Shared) else found
            decision = await arun(self.guard.decide(request, now, known))
        if isinstance(decision, Deny):
            log_refusal(request, decision)
        return decision


class _WithMetadata:
    """Serves the resource's metadata, inside the guard, to whom its paths are public."""

    def __init__(self, app: ASGIApp, page: MetadataPage) -> None:
        self.app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        if scope["type"] == "http":
            path = _below(scope.get("root_path") or "", scope["path"])
            answer = self._page.answer(scope["method"], path)
        await (self.app if answer is None else responder(answer))(scope, receive, send)


def handled_by_guard(scope: Scope) -> tuple[Guard, RequestView, RefusedError | None]:
    """What the middleware left on the scope: guard, request, and why nobody was found, if so.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    left: _Left | None = scope.get(HANDLED)
    if left is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: "
            "app.add_middleware(AuthGuardMiddleware, guard=guard)"
        )
    guard, outer, error, _ = left
    return guard, ASGIRequest(outer, guard), error


def handled_at(scope: Scope) -> float:
    """When the middleware looked at the request, in seconds since the epoch; see `handled_by_guard`."""
    left: _Left = scope[HANDLED]
    return left[3]


def responder(refusal: Refusal) -> ASGIApp:
    """An ASGI application that sends a refusal, and closes a websocket before it is accepted."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _respond(refusal, "http.response", send, with_body=scope["method"] != "HEAD")
            return
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        if _DENIAL in (scope.get("extensions") or {}):
            await _respond(refusal, _DENIAL, send, with_body=True)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})

    return respond


async def _respond(refusal: Refusal, event: str, send: Send, *, with_body: bool) -> None:
    headers = [*_encoded(refusal.headers), (b"content-length", b"%d" % len(refusal.body))]
    await send({"type": f"{event}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{event}.body", "body": refusal.body if with_body else b""})


@lru_cache(maxsize=256)  # most refusals are alike; 1.5 µs less for each
def _encoded(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def _closing(send: Send, guard: Guard) -> Send:
    """Close the guard's connections before the server is told that the application has shut down."""

    async def send_closing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            await guard.aclose()
        await send(message)

    return send_closing


def _marking(send: Send, decision: Allow) -> Send:
    """Put on the response what the decision says about it."""
    if decision.vary:
        send = _varying(send, decision.vary)
    # Outermost, so that its `no-store` comes before `private`, which would let a browser keep the nonce.
    return _with_nonce(send, decision.nonce) if decision.nonce else send


def _with_nonce(send: Send, nonce: str) -> Send:
    """Tell the caller its next nonce before the last one is refused; not to be found in a cache later."""

    def send_nonce(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"dpop-nonce", nonce.encode("ascii"))]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        return send(message)

    return send_nonce


def _varying(send: Send, vary: str) -> Send:
    """Keep shared caches from giving one caller's response to another.

    They do that by themselves where there is an Authorization field (RFC 9111 section 3.5), but
    not for cookies and API keys.
    """

    # No coroutine of its own for each message: 0.5 µs less.
    def send_varying(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"vary", vary.encode("ascii"))]
            for name, _ in headers:
                if len(name) == len(b"cache-control") and name.lower() == b"cache-control":
                    break
            else:
                headers.append((b"cache-control", b"private"))
            message["headers"] = headers
        return send(message)

    return send_varying
