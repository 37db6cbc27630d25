"""Build one application behind ASGI, WSGI and a websocket, which returns the caller of the guard."""

import json
from collections.abc import Callable
from typing import Any

import authguard.asgi
import authguard.wsgi
from adapters.faces import ask_asgi, ask_wsgi, run
from authguard import Guard, Principal
from providers.building import Caller, Field
from support import NOW


def described(user: Principal) -> bytes:
    """Return a caller as JSON."""
    scopes, roles = sorted(user.scopes), sorted(user.roles)
    return json.dumps([user.subject, scopes, roles, user.client_id]).encode()


def read(body: bytes) -> Caller:
    """Return the caller in an answer."""
    subject, scopes, roles, client_id = json.loads(body)
    return Caller(subject, frozenset(scopes), frozenset(roles), client_id)


def clock() -> float:
    """Return the time of all tests."""
    return NOW


class Face:
    """Ask and close a guarded application.

    Args:
        name: `asgi` or `wsgi`.
        guard: the guard.
    """

    def __init__(self, name: str, guard: Guard) -> None:
        self._guard = guard
        self._is_asgi = name == "asgi"
        self._ask: Callable[..., Any] = ask_asgi if self._is_asgi else ask_wsgi
        if self._is_asgi:
            self._app: Any = authguard.asgi.AuthGuardMiddleware(_asgi, guard=guard, clock=clock)
        else:
            self._app = authguard.wsgi.AuthGuardMiddleware(_wsgi, guard=guard, clock=clock)

    def get(self, fields: list[Field]) -> tuple[int, bytes, dict[str, str]]:
        """Request a page; return status, body and header fields."""
        answer = self._ask(self._app, "GET", "/private", fields)
        return answer.status, answer.body, answer.headers

    def connect(self, fields: list[Field]) -> list[dict[str, Any]]:
        """Open a websocket like a browser on this site; return the answer."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        usual = [(b"host", b"site.example"), (b"origin", b"https://site.example")]
        headers = usual + [(name.lower().encode(), value) for name, value in fields]
        scope = {
            "type": "websocket",
            "scheme": "wss",
            "path": "/private",
            "query_string": b"",
            "headers": headers,
        }
        run(self._app({**scope, "subprotocols": [], "extensions": {}, "state": {}}, receive, send))
        return sent

    def close(self) -> None:
        """Close the connections of the guard."""
        if self._is_asgi:
            run(self._guard.aclose())
        else:
            self._guard.close()


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    body = described(scope["state"]["user"])
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def _wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [described(environ["authguard.user"])]
