"""The handshake of a websocket with a remembered credential, which is decided as any other handshake."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from authguard import (
    AccessCookie,
    DecisionEvent,
    Guard,
    JWTVerifier,
    MemoryQuotas,
    MemoryRevocations,
    Quota,
    Rule,
)
from authguard.asgi import ASGIRequest, AuthGuardMiddleware
from authguard.drivers import asynchronous
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, make_token

TOKEN = make_token(claims(scope="read"))
BEARER = {"authorization": f"Bearer {TOKEN}"}
COOKIE = {"cookie": f"access_token={TOKEN}"}


def make_guard(*rules: Rule, **options: Any) -> Guard:
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, protected_paths=["/", *rules], **options)


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(str(socket.scope["user"]))
    await socket.close()


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


def client(guard: Guard, paths: tuple[str, ...] = ("/ws",)) -> TestClient:
    routes = [WebSocketRoute(path, _talk) for path in paths]
    app = Starlette(routes=[*routes, *(Route(path, _page) for path in paths)])
    app.add_middleware(AuthGuardMiddleware, guard=guard, clock=lambda: NOW)
    return TestClient(app)


def opens(at: TestClient, headers: dict[str, str], path: str = "/ws") -> bool:
    try:
        with at.websocket_connect(path, headers=headers) as socket:
            socket.receive_text()
    except WebSocketDisconnect:
        return False
    return True


def test_a_known_caller_opens_it() -> None:
    """A known caller opens several websockets, and a caller without a valid token opens none."""
    at = client(make_guard())
    assert [opens(at, BEARER) for _ in range(3)] == [True] * 3
    assert not opens(at, {})
    assert not opens(at, {"authorization": "Bearer a.b.c"})


def test_rules_for_handshakes_are_asked() -> None:
    """A remembered decision about an HTTP request does not apply to a handshake at the same path."""
    at = client(make_guard(Rule("/ws", methods=["WEBSOCKET"], scopes=["admin"])))
    for _ in range(2):
        assert at.get("/ws", headers=BEARER).status_code == 200
        assert at.request("WEBSOCKET", "/ws", headers=BEARER).status_code == 403
        assert not opens(at, BEARER)


def test_rules_for_other_methods_are_not_those_of_handshakes() -> None:
    """A rule for POST, or for GET, does not apply to a handshake."""
    open_page = Rule("/open", methods=["GET"])
    rules = [Rule("/ws", methods=["POST"], scopes=["admin"])]
    at = client(make_guard(*rules, public_paths=[open_page]), ("/ws", "/open"))
    for _ in range(2):
        assert at.post("/ws", headers=BEARER).status_code == 403
        assert opens(at, BEARER)
        assert at.get("/open").status_code == 200
        assert not opens(at, {}, "/open")
        assert opens(at, BEARER, "/open")


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://testserver"}, True),
        ({}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),
        ({"origin": "https://evil.example"}, False),
    ],
    ids=str,
)
def test_another_site_opens_none_by_a_known_cookie(fields: dict[str, str], *, allowed: bool) -> None:
    """A handshake with a known cookie needs the same origin, although its method is GET."""
    at = client(make_guard(cookie=AccessCookie(secure=False)))
    assert at.get("/ws", headers=COOKIE).status_code == 200  # the guard now remembers the cookie
    for _ in range(2):
        assert opens(at, {**COOKIE, **fields}) is allowed


def test_a_handshake_is_told_as_one() -> None:
    """A handshake is one event, with the method WEBSOCKET."""
    events: list[DecisionEvent] = []
    at = client(make_guard(on_decision=events.append))
    for headers in (BEARER, BEARER, {}):
        opens(at, headers)
    results = [(event.allowed, event.http_method, event.remembered, event.step) for event in events]
    assert results == [
        (True, "WEBSOCKET", False, "request"),
        (True, "WEBSOCKET", True, "request"),
        (False, "WEBSOCKET", False, "request"),
    ]


@pytest.mark.parametrize(
    "options",
    [{}, {"user_loader": lambda principal: principal}, {"revocations": MemoryRevocations()}],
    ids=list,
)
def test_a_handshake_of_a_known_caller_counts(options: Any) -> None:
    """A handshake of a known caller takes from the quotas, and a refusal has its subject."""
    store = MemoryQuotas(monotonic=lambda: NOW, clock=lambda: NOW)
    events: list[DecisionEvent] = []
    at = client(make_guard(quotas=[Quota(2, 60)], quota_store=store, on_decision=events.append, **options))
    assert [opens(at, BEARER) for _ in range(3)] == [True, True, False]
    assert (store.health().admitted, store.health().refused) == (2, 1)
    assert [(event.status, event.subject) for event in events] == [(None, "ann"), (None, "ann"), (429, "ann")]


@pytest.mark.parametrize("user", [None, "the user"])
def test_the_user_of_a_known_caller_is_asked_for(user: str | None) -> None:
    """`user_loader` is asked once for each handshake."""
    calls: list[str] = []

    async def load(principal: Any) -> Any:
        calls.append(principal.subject)
        return user if len(calls) > 1 else "at first"

    at = client(make_guard(user_loader=load))
    assert opens(at, BEARER)
    assert opens(at, BEARER) is (user is not None)
    assert calls == ["ann", "ann"]


class Counted(JWTVerifier):
    """A verifier that counts its calls."""

    calls = 0

    def flow(self, credential: Any, now: float) -> Any:
        self.calls += 1
        return super().flow(credential, now)


def test_a_bad_token_is_verified_once() -> None:
    """An invalid token is verified once for a handshake."""
    verifier = Counted(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    assert not opens(client(Guard(verifier)), {"authorization": f"Bearer {make_token(key='x' * 40)}"})
    assert verifier.calls == 1


def test_a_refused_handshake_is_answered_as_ever() -> None:
    """The refusal of a handshake does not vary by the Accept field."""
    guard = make_guard()
    scope = {"type": "websocket", "path": "/ws", "headers": [], "scheme": "ws", "query_string": b""}
    denied = asyncio.run(asynchronous.decide_handshake(guard, ASGIRequest(scope, guard), NOW))
    assert "vary" not in dict(denied.refusal.headers)  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{}, {"cookie": AccessCookie(secure=False)}], ids=["no cookie", "cookie"])
def test_known_callers_need_no_flow(options: Any) -> None:
    """The straight path decides for a known caller, also with a `Sec-Fetch-Site` field."""
    guard = make_guard(**options)
    headers = [(b"authorization", BEARER["authorization"].encode()), (b"sec-fetch-site", b"cross-site")]
    scope = {"type": "websocket", "path": "/ws", "scheme": "ws", "query_string": b"", "headers": headers}
    decisions = [
        asyncio.run(asynchronous.decide_handshake(guard, ASGIRequest(scope, guard), NOW)) for _ in range(3)
    ]
    assert decisions[1] is decisions[2]
