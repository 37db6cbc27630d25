"""Callbacks that are declared `in_memory` run in the thread of the request, and others in another thread."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from adapters.connections import ACCEPT, Server, open_
from adapters.connections import run as connect
from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi, decorated_flask, decorated_starlette
from authguard import (
    APIKey,
    APIKeyVerifier,
    Credential,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    Principal,
    in_memory,
)
from authguard._core.flow import Call, Flow
from authguard.drivers.asynchronous import run as run_async
from authguard.testing import issue_token

NOW = 1_800_000_000.0
SECRET = secrets.token_urlsafe(40)
KEY = "sk_live_" + secrets.token_urlsafe(32)
TOKEN = issue_token(SECRET, now=NOW, sub="42")
BEARER = [("Authorization", f"Bearer {TOKEN}".encode())]
FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


class Threads:
    """A callback that records the thread of each call, and answers by another function."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer
        self.seen: list[int] = []

    def ask(self, argument: Any) -> Any:
        """Record the thread, and return the answer of the other function."""
        self.seen.append(threading.get_ident())
        return self.answer(argument)


class Store:
    """Revocations of an application."""

    def __init__(self, is_revoked: Any) -> None:
        self.is_revoked = is_revoked


class Own:
    """A verifier of an application."""

    def __init__(self, verify: Any) -> None:
        self.verify = verify


def jwt(**options: Any) -> Guard:
    """Return a guard for TOKEN."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def principal_of(credential: Credential) -> Principal:
    """Return a principal for each credential."""
    return Principal(subject="42", method=credential.method)


#: For each callback: its answer, the guard that has it, and the fields of the request.
PLACES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Guard], Any]] = {
    "user_loader": (lambda principal: principal, lambda ask: jwt(user_loader=ask), BEARER),
    "revocations": (lambda principal: False, lambda ask: jwt(revocations=Store(ask)), BEARER),
    "verifier": (principal_of, lambda ask: Guard(Own(ask)), BEARER),
    "keys": (
        lambda digest: APIKey("robot"),
        lambda ask: Guard(APIKeyVerifier(ask, cache_ttl=0)),
        [("X-API-Key", KEY.encode())],
    ),
}
places = pytest.mark.parametrize("place", PLACES)


@places
@pytest.mark.parametrize("face", FACES, ids=[face[0] for face in FACES])
def test_a_declared_function_is_called_in_the_thread_of_the_request(face: Any, place: str) -> None:
    """The call is in the thread of the request on ASGI and WSGI, for each request."""
    answer, make_guard, fields = PLACES[place]
    _, ask, make = face
    threads = Threads(answer)
    app = make(make_guard(in_memory(threads.ask)), lambda: NOW)
    assert [ask(app, "GET", "/private", fields).status for _ in range(2)] == [200, 200]
    assert set(threads.seen) == {threading.get_ident()}
    assert len(threads.seen) >= 2


@places
@pytest.mark.parametrize("face", ASGI)
def test_a_function_that_is_not_declared_is_called_in_another_thread(face: str, place: str) -> None:
    """The call is in another thread if the request has an event loop."""
    answer, make_guard, fields = PLACES[place]
    threads = Threads(answer)
    app = ASGI[face](make_guard(threads.ask), lambda: NOW)
    assert [ask_asgi(app, "GET", "/private", fields).status for _ in range(2)] == [200, 200]
    assert threading.get_ident() not in threads.seen


@places
def test_a_declared_function_is_called_at_once_for_a_handshake(place: str) -> None:
    """The call for the handshake of a websocket is in the thread of the event loop."""
    answer, make_guard, fields = PLACES[place]
    threads = Threads(answer)
    headers = [(name.lower().encode(), value) for name, value in fields]
    server = Server()
    guard = make_guard(in_memory(threads.ask))
    connect(
        lambda scope, receive, send: open_(receive, send),
        server,
        guard=guard,
        clock=lambda: NOW,
        headers=headers,
    )
    assert server.sent == [ACCEPT]
    assert set(threads.seen) == {threading.get_ident()}


@places
def test_a_declared_function_is_called_at_once_outside_of_requests(place: str) -> None:
    """The call by `verify`, and by `averify`, is in the thread of the caller."""
    answer, make_guard, fields = PLACES[place]
    threads = Threads(answer)
    guard = make_guard(in_memory(threads.ask))
    text = KEY if place == "keys" else issue_token(SECRET)
    guard.verify(text)
    asyncio.run(guard.averify(text))
    assert set(threads.seen) == {threading.get_ident()}
    assert len(threads.seen) >= 2


@pytest.mark.parametrize(
    ("ask", "decorated"), [(ask_asgi, decorated_starlette), (ask_wsgi, decorated_flask)], ids=["asgi", "wsgi"]
)
def test_decorators_meet_what_a_declared_loader_has_found(ask: Any, decorated: Any) -> None:
    """A decorated route has the user of a declared loader, and is a 401 if the loader finds no user."""
    users: dict[str, Principal] = {}
    guard = jwt(user_loader=in_memory(lambda principal: users.get(principal.subject)))
    app = decorated(guard, lambda: NOW, {})
    assert ask(app, "GET", "/route", BEARER).status == 401
    users["42"] = Principal(subject="42")
    assert ask(app, "GET", "/route", BEARER).status == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [(InvalidTokenError("no"), 401), (ConnectionError(), 503), (ValueError(), 500), (StopIteration(), 500)],
)
@pytest.mark.parametrize("face", FACES, ids=[face[0] for face in FACES])
def test_what_a_declared_function_raises_is_answered_as_ever(
    face: Any, error: Exception, status: int
) -> None:
    """An error of a declared function is a 401, 503 or 500, as for any other function."""
    _, ask, make = face

    def fail(principal: Any) -> Any:
        raise error

    app = make(jwt(user_loader=in_memory(fail)), lambda: NOW)
    assert ask(app, "GET", "/private", BEARER).status == status


def test_a_declared_function_may_return_something_to_await() -> None:
    """A declared function may return an awaitable."""

    async def load(number: int) -> int:
        return number

    def flow() -> Flow[int]:
        return (yield from Call[int](in_memory(lambda number: load(2 * number)), 21))

    assert asyncio.run(run_async(flow())) == 42


def test_a_declared_function_is_called_in_the_run_of_trio() -> None:
    """In Trio a declared function runs in the thread of the run, and another one in a worker thread."""

    def flow(function: Any) -> Flow[int]:
        return (yield from Call[int](function))

    async def main() -> list[int]:
        functions = [in_memory(threading.get_ident), threading.get_ident]
        return [await run_async(flow(function)) for function in functions]

    at_once, in_thread = trio.run(main)
    assert at_once == threading.get_ident() != in_thread
