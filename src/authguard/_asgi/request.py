"""Read a request, and the data of the middleware, from an ASGI scope; define the types of ASGI."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from authguard._core.answer.decision import Decision
from authguard._core.deciding.quotas import Quotas
from authguard._core.guard import Guard
from authguard._core.policy.mounts import below, is_misplaced
from authguard._core.policy.policy import Policy
from authguard._core.request import (
    WEBSOCKET,
    NotedProofs,
    Presented,
    RequestKey,
    RequestView,
    credentials_among,
    http_method,
)
from authguard.errors import RefusedError

# The types of Starlette; asgiref's typed dictionaries would not match its add_middleware.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HANDLED = "authguard"
_PROOFS = "authguard.proofs"
_REFUSED = "authguard.refused"

# The attributes of `ASGIHandled`, as a tuple, which costs each request less than the object.
HandledFields: TypeAlias = tuple[Guard, Scope, Decision, float]


class ASGIRequest(RequestView):
    """Read a request from an ASGI scope.

    Args:
        scope: of type http or websocket.
        guard: the guard whose credential fields are read.
        presented: the fields that the guard used to recall the caller, if they were read already.
    """

    __slots__ = ("_headers", "_misplaced", "_query", "scope")

    def __init__(self, scope: Scope, guard: Guard, presented: Presented | None = None) -> None:
        self.method = http_method(scope["method"]) if scope["type"] == "http" else WEBSOCKET
        self.scheme = scope.get("scheme") or "http"
        self.root_path = scope.get("root_path") or ""
        self.path = below(self.root_path, scope["path"])
        self._misplaced = bool(self.root_path) and is_misplaced(self.root_path, scope["path"])
        self.presented = (
            _presented(scope["headers"], guard) if presented is None else credentials_among(presented)
        )
        self.scope = scope
        self._headers = scope["headers"]
        self._query = scope.get("query_string") or b""

    @property
    def request_key(self) -> RequestKey:
        """Return method, path and mount point, in the form that the policy expects."""
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
    def outer(self) -> "ASGIHandled | None":
        """Return the data that the guard around this one has stored on the scope; None without one."""
        return _handled_on(self.scope)

    @property
    def peer(self) -> str | None:
        """Return the address of the peer of the connection, as reported by the server."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def noted_proofs(self) -> NotedProofs:
        """Return the proofs that guards have noted on the scope; the server's scope contains none."""
        noted: NotedProofs = self.scope.get(_PROOFS, ()) if HANDLED in self.scope else ()
        return noted

    def note_proof(self, memory: object, digest: bytes) -> None:
        """Note a proof on the scope; inner applications see it in their copies of the scope."""
        self.scope[_PROOFS] = (*self.noted_proofs, (memory, digest))

    def note_refusal(self) -> bool:
        """Note it on the scope of this guard, which inner guards do not see."""
        is_first = _REFUSED not in self.scope
        self.scope[_REFUSED] = True
        return is_first

    @property
    def certificate(self) -> str | None:
        """Return the client certificate from the TLS extension of ASGI, if the server offers it."""
        tls = (self.scope.get("extensions") or {}).get("tls") or {}
        return next(iter(tls.get("client_cert_chain") or ()), None)


@dataclass(frozen=True, slots=True)
class ASGIHandled:
    """Hold the data that the middleware has stored on the scope of a connection.

    Attributes:
        guard: the rules.
        scope: the scope that the middleware received; mounts change it for inner applications.
        decision: of the guard.
        at: the time of the decision, in seconds since the epoch.
    """

    guard: Guard
    scope: Scope
    decision: Decision
    at: float

    @property
    def error(self) -> RefusedError | None:
        """Return the error because of which the caller is unknown; None if the caller is known."""
        return self.decision.error

    @property
    def policy(self) -> Policy:
        """Return the rules of the guard."""
        return self.guard.policy

    @property
    def quotas(self) -> Quotas | None:
        """Return the quotas of the guard."""
        return self.guard.quotas

    @property
    def request(self) -> ASGIRequest:
        """Return the request as the guard sees it."""
        return ASGIRequest(self.scope, self.guard)

    @property
    def outer(self) -> "ASGIHandled | None":
        """Return the data that the guard around this one has stored on its scope; None without one."""
        return _handled_on(self.scope)


def _handled_on(scope: Scope) -> ASGIHandled | None:
    handled: HandledFields | None = scope.get(HANDLED)
    return None if handled is None else ASGIHandled(*handled)


def handled_by_guard(scope: Scope) -> ASGIHandled:
    """Return the data that the middleware has stored on the scope.

    Raises:
        RuntimeError: if the middleware is not installed.
    """
    handled = _handled_on(scope)
    if handled is None:
        raise RuntimeError(
            "no AuthGuardMiddleware around this application: write install(app, guard) of authguard.fastapi "
            "for FastAPI, else app.add_middleware(AuthGuardMiddleware, guard=guard)"
        )
    return handled


def _presented(headers: Iterable[tuple[bytes, bytes]], guard: Guard) -> Presented:
    """Return the credential fields among all fields; some servers leave names in mixed case."""
    fields = guard.credential_fields
    return [(name.lower(), value) for name, value in headers if name.lower() in fields]


def request_key_below(root_path: str, scope: Scope) -> RequestKey:
    """Return the request key of an HTTP request to a mounted application."""
    path = scope["path"]
    key = (scope["method"], below(root_path, path), root_path)
    return (*key, True) if is_misplaced(root_path, path) else key
