"""Quotas where decorators and dependencies require a caller, and in handshakes of websockets."""

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

import authguard.starlette
from adapters.answering import (
    GOOD,
    bearer,
    token,
)
from adapters.faces import ask_asgi, decorated_starlette
from adapters.quotas import EACH_DECORATED, Slow, World, remaining
from authguard import Quota, Rule
from authguard.asgi import AuthGuardMiddleware


def open_world(**options: Any) -> World:
    return World([Quota(2, 60)], public_paths=["/**"], **options)


@EACH_DECORATED
def test_a_decorator_on_a_public_path_counts_once(make: Any, ask: Any) -> None:
    """A request with a decorator and a dependency takes from the quota once."""
    world = open_world()
    app = make(world.guard, lambda: world.wall, {})
    answers = [ask(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [remaining(answer) for answer in answers] == [{"per-minute": rest} for rest in (1, 0, 0)]
    assert answers[2].headers["retry-after"] == "60"
    assert json.loads(answers[2].body)["violated-policies"] == ["per-minute"]


@EACH_DECORATED
def test_a_decorator_on_a_protected_path_does_not_count_again(make: Any, ask: Any) -> None:
    """A request that the middleware has counted is not counted again by a decorator."""
    world = World([Quota(2, 60)])
    app = make(world.guard, lambda: world.wall, {"scopes": ["read"]})
    answers = [ask(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert remaining(answers[0]) == {"per-minute": 1}


@EACH_DECORATED
@pytest.mark.parametrize("store", [None, Slow], ids=["memory", "slow"])
@pytest.mark.parametrize("options", [{}, {"public_paths": ["/**"]}], ids=["protected", "public"])
def test_what_a_decorator_refuses_takes_nothing(make: Any, ask: Any, store: Any, options: Any) -> None:
    """A refusal by a decorator gives back the amount that was taken, and has no quota fields."""
    world = World([Quota(2, 60)], store=store and store(), **options)
    app = make(world.guard, lambda: world.wall, {"scopes": ["admin"]})
    for _ in range(4):
        answer = ask(app, "GET", "/route", [bearer(GOOD)])
        assert (answer.status, "ratelimit" in answer.headers) == (403, False)
    both = bearer(token(scope="admin", sub="somebody"))
    assert [ask(app, "GET", "/route", [both]).status for _ in range(3)] == [200, 200, 429]


@EACH_DECORATED
def test_a_refusal_is_sent_if_it_cannot_be_given_back(make: Any, ask: Any) -> None:
    """A refusal by a decorator is sent also if the store cannot take the amount back."""
    store = Slow()
    store.has_gone = True
    world = World([Quota(2, 60)], store=store)
    app = make(world.guard, lambda: world.wall, {"scopes": ["admin"]})
    assert ask(app, "GET", "/route", [bearer(GOOD)]).status == 403


def test_a_path_that_costs_nothing_is_not_counted_by_a_decorator() -> None:
    """A path with a cost of 0 is counted neither by a decorator nor for the user of a caller."""
    world = World(
        [Quota(1, 60)], protected_paths=[Rule("/route", cost=0)], user_loader=lambda principal: principal
    )
    app = decorated_starlette(world.guard, lambda: world.wall, {})
    answers = [ask_asgi(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [(answer.status, "ratelimit" in answer.headers) for answer in answers] == [(200, False)] * 3


def test_a_refusal_that_the_application_does_not_send_is_not_given_back() -> None:
    """A refusal that the application catches, and answers otherwise, is counted."""

    @authguard.starlette.requires("admin")
    async def details(request: Any) -> str:
        return "details"

    async def page(request: Any) -> PlainTextResponse:
        try:
            return PlainTextResponse(await details(request))
        except authguard.starlette.RefusedHTTPException:
            return PlainTextResponse("no details")

    world = World([Quota(2, 60)])
    app = AuthGuardMiddleware(
        Starlette(routes=[Route("/route", page)]), guard=world.guard, clock=lambda: world.wall
    )
    answers = [ask_asgi(app, "GET", "/route", [bearer(GOOD)]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert remaining(answers[0]) == {"per-minute": 1}


async def _echo(socket: Any) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@authguard.starlette.requires("admin")
async def _secret(websocket: Any) -> None:
    await _echo(websocket)


async def _late(socket: Any) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await _admit(socket)


@authguard.starlette.requires("admin")
async def _admit(websocket: Any) -> None:
    await websocket.send_text("you are an admin")


def sockets(**options: Any) -> tuple[World, TestClient]:
    world = World([Quota(2, 60)], **options)
    pages = {"/ws": _echo, "/secret": _secret, "/late": _late}
    routes = [WebSocketRoute(path, page) for path, page in pages.items()]
    app = AuthGuardMiddleware(Starlette(routes=routes), guard=world.guard, clock=lambda: world.wall)
    return world, TestClient(app)


def handshake(client: TestClient, path: str, text: str = GOOD) -> tuple[int, dict[str, str]]:
    """Return the status and the quota fields of the answer to a handshake."""
    try:
        with client.websocket_connect(path, headers={"Authorization": f"Bearer {text}"}) as socket:
            assert socket.receive_text() == "hello"
            status, headers = (
                101,
                [(name.decode(), value.decode()) for name, value in socket.extra_headers or ()],
            )
    except WebSocketDenialResponse as denied:
        status, headers = denied.status_code, list(denied.headers.items())
    return status, {name: value for name, value in headers if name in ("ratelimit", "retry-after")}


def test_a_handshake_counts() -> None:
    """A handshake takes from the quota, and its answer or refusal has the quota fields."""
    _, client = sockets()
    assert handshake(client, "/ws") == (101, {"ratelimit": '"per-minute";r=1;t=60'})
    assert handshake(client, "/ws")[0] == 101
    assert handshake(client, "/ws") == (429, {"retry-after": "60", "ratelimit": '"per-minute";r=0;t=60'})


@pytest.mark.parametrize("options", [{}, {"public_paths": ["/**"]}], ids=["protected", "public"])
def test_a_handshake_that_a_decorator_refuses_takes_nothing(options: Any) -> None:
    """A handshake that a decorator refuses takes nothing from the quota."""
    _, client = sockets(**options)
    for _ in range(3):
        assert handshake(client, "/secret") == (403, {})
    assert [handshake(client, "/secret", token(scope="admin"))[0] for _ in range(3)] == [101, 101, 429]


def test_an_open_websocket_is_not_counted_again() -> None:
    """An open websocket takes from the quota once."""
    world, client = sockets()
    handshake(client, "/ws")
    assert world.guard.health()[-1].admitted == 1  # type: ignore[union-attr]


def test_a_websocket_that_was_open_is_not_given_back() -> None:
    """A refusal after `accept` gives nothing back to the quota, so that websockets are limited."""
    _, client = sockets()
    assert [handshake(client, "/late")[0] for _ in range(3)] == [101, 101, 429]
