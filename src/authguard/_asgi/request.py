"""Read from an ASGI scope the request, and what the middleware has left there; name the types of ASGI."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from authguard._core.answer.decision import Decision
from authguard._core.guard import Guard
from authguard._core.policy.mounts import below, is_misplaced
from authguard._core.request import (
    WEBSOCKET,
    NotedProofs,
    Presented,
    RequestKey,
    RequestView,
    http_method,
)
from authguard.errors import RefusedError

# As Starlette has them; asgiref's typed dictionaries would not fit its add_middleware.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HANDLED = "authguard"
_PROOFS = "authguard.proofs"

# The fields of `ASGIHandled`: a tuple, which costs each request less than the object.
HandledFields: TypeAlias = tuple[Guard, Scope, Decision, float]


class ASGIRequest(RequestView):
    """Read a request from an ASGI scope.

    Args:
        scope: of type http or websocket.
        guard: whose credential fields to look for.
        presented: those fields, if they have been found already.
    """

    __slots__ = ("_headers", "_misplaced", "_query", "scope")

    def __init__(self, scope: Scope, guard: Guard, presented: Presented | None = None) -> None:
        self.method = http_method(scope["method"]) if scope["type"] == "http" else WEBSOCKET
        self.scheme = scope.get("scheme") or "http"
        self.root_path = scope.get("root_path") or ""
        self.path = below(self.root_path, scope["path"])
        self._misplaced = bool(self.root_path) and is_misplaced(self.root_path, scope["path"])
        self.presented = _presented(scope["headers"], guard) if presented is None else presented
        self.scope = scope
        self._headers = scope["headers"]
        self._query = scope.get("query_string") or b""

    @property
    def request_key(self) -> RequestKey:
        """Return method, path and mount point, as the policy takes them."""
        key = (self.method, self.path, self.root_path)
        return (*key, True) if self._misplaced else key

    @property
    def query(self) -> str:
        """Return the raw query string."""
        return self._query.decode("latin-1")

    def fields(self, name: bytes) -> list[bytes]:
        """Return every value of a header field, in order."""
        return [bytes(value).strip(b" \t") for key, value in self._headers if key.lower() == name]

    @property
    def peer(self) -> str | None:
        """Return the address of the peer of the connection, as reported by the server."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return them from the scope, if a guard has made it: the server's own has nothing to tell."""
        noted: NotedProofs = self.scope.get(_PROOFS, ()) if HANDLED in self.scope else ()
        return noted

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Leave it on the scope, whose copies further in have it, too."""
        self.scope[_PROOFS] = (*self.noted_proofs, (memory, digest))

    @property
    def certificate(self) -> str | None:
        """Return it from the TLS extension of ASGI, if the server offers it."""
        tls = (self.scope.get("extensions") or {}).get("tls") or {}
        return next(iter(tls.get("client_cert_chain") or ()), None)


@dataclass(frozen=True, slots=True)
class ASGIHandled:
    """Hold what the middleware has left on the scope of a connection.

    Attributes:
        guard: the rules.
        scope: the scope as the middleware had it; further in, mounts change it.
        decision: of the guard.
        at: the time of the decision, in seconds since the epoch.
    """

    guard: Guard
    scope: Scope
    decision: Decision
    at: float

    @property
    def error(self) -> RefusedError | None:
        """Return why the caller is unknown, if it is."""
        return self.decision.error

    @property
    def request(self) -> ASGIRequest:
        """Return the request as the guard sees it."""
        return ASGIRequest(self.scope, self.guard)


def handled_by_guard(scope: Scope) -> ASGIHandled:
    """Return what the middleware has left on the scope.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled: HandledFields | None = scope.get(HANDLED)
    if handled is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: write install(app, guard) of authguard.fastapi "
            "for FastAPI, else app.add_middleware(AuthGuardMiddleware, guard=guard)"
        )
    return ASGIHandled(*handled)


def _presented(headers: Iterable[tuple[bytes, bytes]], guard: Guard) -> Presented:
    """Return the credential fields among all fields; servers may leave names as the client wrote them."""
    fields = guard.credential_fields
    return [(name.lower(), value) for name, value in headers if name.lower() in fields]


def request_key_below(root_path: str, scope: Scope) -> RequestKey:
    """Return the request key of an HTTP request to a mounted application."""
    path = scope["path"]
    key = (scope["method"], below(root_path, path), root_path)
    return (*key, True) if is_misplaced(root_path, path) else key
