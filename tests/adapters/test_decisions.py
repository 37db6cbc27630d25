"""`on_decision` gets one event for each request, with the answer that was given, by each adapter."""

import asyncio
from typing import Any

import httpx
import pytest

from adapters.answering import ADMIN, GOOD, KEY, NOW, SECRET, bearer, guard
from adapters.cases import CASES
from adapters.faces import ASGI, DECORATED, WSGI, ask_asgi, ask_wsgi
from authguard import DecisionEvent, Guard, HTTPOptions, IntrospectionVerifier, JWTVerifier, Quota
from authguard.asgi import AuthGuardMiddleware
from support import AUDIENCE, ISSUER

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]
METHODS = {"bearer", "api_key", "cookie", "none"}


@pytest.mark.parametrize(("ask", "make"), [face[1:] for face in FACES], ids=[face[0] for face in FACES])
def test_each_request_of_the_table_is_told_once(ask: Any, make: Any) -> None:
    """The event has the answer and a rule of limited length, and contains no credential."""
    events: list[DecisionEvent] = []
    app = make(guard(on_decision=events.append), lambda: NOW)
    for name, case in CASES.items():
        events.clear()
        answer = ask(app, case.method, case.path, case.fields)
        assert len(events) == 1, name
        event = events[0]
        assert event.allowed is (case.status in {200, 204}), name
        assert event.status == (None if event.allowed else answer.status), name
        assert (event.subject == case.subject) or not event.allowed, name
        assert (event.reason == "preflight") is (case.status == 204), name
        assert bool(event.reason) or event.allowed, name
        assert (event.method in METHODS, event.step) == (True, "request"), name
        assert len(event.rule) <= 120, name
        for secret in (KEY, GOOD.rpartition(".")[2], ADMIN.rpartition(".")[2], SECRET):
            assert secret not in repr(event), name


@pytest.mark.parametrize("framework", DECORATED)
def test_the_refusal_of_a_decorator_is_told_once(framework: str) -> None:
    """A decorator's refusal is one event, after the event of the decision that let the request pass."""
    make, ask = DECORATED[framework]
    events: list[DecisionEvent] = []
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    app = make(
        Guard(jwt, public_paths=["/route"], on_decision=events.append), lambda: NOW, {"scopes": ["admin"]}
    )
    assert ask(app, "GET", "/route", [bearer(GOOD)]).status == 403
    results = [(event.step, event.allowed, event.status, event.subject, event.rule) for event in events]
    assert results == [
        ("request", True, None, "somebody", "/route"),
        ("route", False, 403, "somebody", "/route"),
    ]
    events.clear()
    assert ask(app, "GET", "/route", [bearer(ADMIN)]).status == 200
    assert len(events) == 1


@pytest.mark.parametrize("fields", [[], [bearer(GOOD)]], ids=["nobody", "somebody"])
def test_a_websocket_is_told_once(fields: Any) -> None:
    """A handshake is one event, if it is refused and if it is accepted."""
    events: list[DecisionEvent] = []
    sent = []
    scope = {
        "type": "websocket", "scheme": "ws", "path": "/private", "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value) for name, value in fields], "subprotocols": [],
        "extensions": {}, "state": {},
    }  # fmt: skip

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    guarded = AuthGuardMiddleware(app, guard=guard(on_decision=events.append), clock=lambda: NOW)
    asyncio.run(guarded(scope, receive, send))
    assert [event.allowed for event in events] == [bool(fields)]
    assert (events[0].http_method, events[0].path) == ("WEBSOCKET", "/private")
    assert sent == ["websocket.accept" if fields else "websocket.close"]


@pytest.mark.parametrize(("ask", "make"), [face[1:] for face in FACES], ids=[face[0] for face in FACES])
def test_a_token_that_is_asked_about_is_told_once(ask: Any, make: Any) -> None:
    """An introspected token is one event for each request, also for a refusal by a quota."""

    def respond(request: httpx.Request) -> httpx.Response:
        active = b"token=good" in request.content
        return httpx.Response(200, json={"active": active, "sub": "ann", "aud": AUDIENCE})

    kind = httpx.AsyncClient if ask is ask_asgi else httpx.Client
    verifier = IntrospectionVerifier(
        "https://issuer.example/introspect",
        client_id="api",
        client_secret="s",
        audience=AUDIENCE,
        http=HTTPOptions(client=kind(transport=httpx.MockTransport(respond))),
    )
    events: list[DecisionEvent] = []
    app = make(Guard(verifier, quotas=[Quota(2, 60)], on_decision=events.append), lambda: NOW)
    tokens = ["good", "bad", "good", "good"]
    statuses = [ask(app, "GET", "/private", [bearer(token)]).status for token in tokens]
    assert statuses == [200, 401, 200, 429]
    results = [(event.allowed, event.status, event.remembered) for event in events]
    assert results == [(True, None, False), (False, 401, False), (True, None, True), (False, 429, True)]
