"""Share the parts of the tests of `requires`: a guard that leaves all requirements to routes, and callers."""

from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.faces import ask_asgi
from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from support import LONG_AFTER, SECRET

READER = issue_token(SECRET, scopes=["read"], exp=LONG_AFTER)
ADMIN = issue_token(SECRET, scopes=["read", "admin"], exp=LONG_AFTER)
FACES = pytest.mark.parametrize(
    "requires", [authguard.starlette.requires, authguard.fastapi.requires], ids=["starlette", "fastapi"]
)


def field(token: str) -> tuple[str, bytes]:
    return "Authorization", f"Bearer {token}".encode()


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def open_guard(**options: Any) -> Guard:
    """Return a guard that leaves all requirements to routes."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(jwt, **{"public_paths": ["/**"], **options})


def guarded(app: Any, **options: Any) -> Any:
    app.add_middleware(AuthGuardMiddleware, guard=open_guard(**options))
    return app


def statuses(app: Any, path: str = "/secret") -> list[int]:
    """Return the statuses for an anonymous caller, a reader and an admin, who alone may see the secret."""
    answers = [ask_asgi(app, "GET", path, fields) for fields in ([], [field(READER)], [field(ADMIN)])]
    for answer in answers:
        assert (b"secret" in answer.body) == (answer.status == 200)
    return [answer.status for answer in answers]


def refused_with(client: TestClient, path: str, token: str | None = None) -> int:
    given = headers(token) if token else {}
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path, headers=given) as socket,
    ):
        socket.receive_text()
    assert denied.value.headers["www-authenticate"].startswith("Bearer")
    return denied.value.status_code


def heard(client: TestClient, path: str, token: str) -> str:
    with client.websocket_connect(path, headers=headers(token)) as socket:
        return socket.receive_text()
