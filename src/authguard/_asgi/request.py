"""Reads a request from an ASGI scope; and names the types of ASGI."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from authguard._core.answer.decision import Decision
from authguard._core.guard import Guard
from authguard._core.policy.mounts import below, is_misplaced
from authguard._core.request import WEBSOCKET, Presented, RequestKey, RequestView, http_method

# As Starlette has them; asgiref's typed dictionaries would not fit its add_middleware.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HANDLED = "authguard"

# What the middleware leaves for decorators: the guard, the scope as it saw it (further in, mounts
# change it), what it has decided, and when that was.
Left: TypeAlias = tuple[Guard, Scope, Decision, float]


class ASGIRequest(RequestView):
    """Reads a request from an ASGI scope.

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
        """Return the address of whoever is connected to the server, as the server says."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def certificate(self) -> str | None:
        """Return it from the TLS extension of ASGI, if the server offers it."""
        tls = (self.scope.get("extensions") or {}).get("tls") or {}
        return next(iter(tls.get("client_cert_chain") or ()), None)


def _presented(headers: Iterable[tuple[bytes, bytes]], guard: Guard) -> Presented:
    """Return the credential fields among all fields; servers may leave names as the client wrote them."""
    fields = guard.credential_fields
    return [(name.lower(), value) for name, value in headers if name.lower() in fields]


def request_key_below(root_path: str, scope: Scope) -> RequestKey:
    """Return the request key of an HTTP request to a mounted application."""
    path = scope["path"]
    key = (scope["method"], below(root_path, path), root_path)
    return (*key, True) if is_misplaced(root_path, path) else key
