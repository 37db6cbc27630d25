"""The caller in the scope and in its state, also if the server shares one state between requests."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from authguard import ANONYMOUS, Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from support import NOW, SECRET

ANN = issue_token(SECRET, subject="ann", now=NOW)
BOB = issue_token(SECRET, subject="bob", now=NOW)
KINDS = ("http", "websocket")


def guarded(app: Any, **options: Any) -> AuthGuardMiddleware:
    """Return the application behind a guard."""
    guard = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)
    return AuthGuardMiddleware(app, guard=guard, clock=lambda: NOW)


def scope_of(kind: str, state: dict[str, Any] | None, token: str | None = ANN) -> dict[str, Any]:
    """Return the scope of a connection."""
    fields = [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": kind, "method": "GET", "path": "/", "headers": fields, "query_string": b""}
    return scope if state is None else {**scope, "state": state}


async def silent(message: Any) -> None:
    """Receive a message, and discard it."""


async def connecting() -> dict[str, Any]:
    """Return the first message of a websocket."""
    return {"type": "websocket.connect"}


def run(app: Any, scope: dict[str, Any]) -> None:
    """Run one connection."""
    asyncio.run(app(scope, connecting, silent))


@pytest.mark.parametrize("kind", KINDS)
def test_requests_at_the_same_time_have_a_state_each(kind: str) -> None:
    """Two concurrent requests with one dict as their state have a caller each until they end."""
    shared: dict[str, Any] = {"db": "the pool"}
    seen: list[tuple[str, str, str]] = []

    async def main() -> None:
        both_are_in = asyncio.Barrier(2)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            before = scope["user"].subject
            await both_are_in.wait()
            seen.append((before, scope["state"]["user"].subject, scope["state"]["db"]))

        middleware = guarded(app)
        requests = [scope_of(kind, shared, token) for token in (ANN, BOB)]
        await asyncio.gather(*(middleware(scope, connecting, silent) for scope in requests))

    asyncio.run(main())
    assert sorted(seen) == [("ann", "ann", "the pool"), ("bob", "bob", "the pool")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", [ANN, None, "rubbish"], ids=["good", "missing", "bad"])
@pytest.mark.parametrize("options", [{}, {"public_paths": ["/"]}], ids=["protected", "public"])
def test_the_state_of_the_server_is_not_written(kind: str, token: str | None, options: Any) -> None:
    """The dict of the server is not changed, by an admitted request and by a refused one."""
    shared: dict[str, Any] = {"db": "the pool"}
    run(guarded(_do_nothing, **options), scope_of(kind, shared, token))
    assert shared == {"db": "the pool"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_step_writes_no_shared_state_either(kind: str) -> None:
    """The user of `user_loader` is in the state of the request, and not in the shared dict."""
    shared: dict[str, Any] = {}
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"]["user"])

    run(guarded(app, user_loader=lambda principal: f"row of {principal.subject}"), scope_of(kind, shared))
    assert (seen, shared) == (["row of ann"], {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", [None, {}], ids=["no state", "a state"])
def test_middleware_outside_reads_the_user_on_its_scope(kind: str, state: Any) -> None:
    """The scope that the guard was given names the caller, with and without a state."""
    scope = scope_of(kind, state)
    run(guarded(_do_nothing), scope)
    assert scope["user"].subject == "ann"
    assert scope["auth"].scopes == {"authenticated"}


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_refusal_the_scope_names_nobody(kind: str) -> None:
    """Middleware outside of the guard finds an anonymous caller after a refusal, and not its own user."""
    scope = {**scope_of(kind, None, None), "user": "root", "auth": "everything"}
    run(guarded(_do_nothing), scope)
    assert scope["user"] is ANONYMOUS
    assert not scope["auth"].scopes


def test_the_application_cannot_rename_the_caller_for_others() -> None:
    """The application writes to a state and a scope of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = "root"
        scope["state"]["user"] = "root"

    shared: dict[str, Any] = {}
    scope = scope_of("http", shared)
    run(guarded(app), scope)
    assert scope["user"].subject == "ann"
    assert shared == {}


def test_a_background_task_reads_its_own_caller() -> None:
    """A task that runs after the response has the caller of its request, and not of a later one."""
    seen = []

    async def main() -> None:
        later = asyncio.Event()

        async def note(request: Request) -> None:
            await later.wait()
            seen.append(request.state.user.subject)

        async def answer(request: Request) -> PlainTextResponse:
            task = BackgroundTask(note, request) if request.user.subject == "ann" else None
            return PlainTextResponse("", background=task)

        middleware = guarded(Starlette(routes=[Route("/", answer)]))
        shared: dict[str, Any] = {}
        first = asyncio.create_task(middleware(scope_of("http", shared, ANN), connecting, silent))
        await asyncio.sleep(0)
        await middleware(scope_of("http", shared, BOB), connecting, silent)
        later.set()
        await first

    asyncio.run(main())
    assert seen == ["ann"]


def test_a_lifespan_of_the_test_client_is_shared_and_stays_clean() -> None:
    """The state that Starlette's test client passes to all requests contains no caller."""
    state: dict[str, Any] = {"db": "the pool"}

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.state.user.subject} {request.state.db}")

    client = TestClient(_WithState(guarded(Starlette(routes=[Route("/", answer)])), state))
    for token, subject in ((ANN, "ann"), (BOB, "bob")):
        response = client.get("/", headers={"Authorization": f"Bearer {token}"})
        assert response.text == f"{subject} the pool"
    assert state == {"db": "the pool"}


def test_starlette_middleware_outside_reads_the_user() -> None:
    """Middleware that was added after the guard can read `request.user` after the response."""
    seen = []

    async def log(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append(request.user.subject)
        return response

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    app = BaseHTTPMiddleware(guarded(Starlette(routes=[Route("/", answer)])), log)

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            await client.get("/", headers={"Authorization": f"Bearer {ANN}"})
            await client.get("/")

    asyncio.run(main())
    assert seen == ["ann", ANONYMOUS.subject]


async def _do_nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


class _WithState:
    """An application that passes one state to all requests, as a server with a lifespan may do."""

    def __init__(self, app: Any, state: dict[str, Any]) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "state": self.state}, receive, send)
