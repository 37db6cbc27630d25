"""Preflights that are passed to the application on ASGI, and the warning about those that are not."""

import asyncio
import logging
from typing import Any

import pytest
from starlette.responses import Response

from adapters.preflight_layers import BODIES, ASGIHandlers
from adapters.preflights import SECRET_TEXT, guard, preflight_asgi, scope_of
from authguard import Rule
from authguard.asgi import AuthGuardMiddleware


@pytest.fixture
def handlers() -> ASGIHandlers:
    return ASGIHandlers()


@BODIES
def test_passed_on_sealed(body: bytes, handlers: ASGIHandlers) -> None:
    """The answer has only the status and the CORS fields, and the application gets no body."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        names = {name for name, _ in scope["headers"]}
        seen.extend([message, scope["user"].is_authenticated, scope["state"]["user"].is_authenticated])
        seen.append(bool(names & {b"content-length", b"transfer-encoding"}))
        seen.append(sorted(scope["extensions"]))
        headers = [
            (b"Access-Control-Allow-Origin", b"*"), (b"ACCESS-CONTROL-MAX-AGE", b"1"), (b"Allow", b"GET"),
            (b"Vary", b"Origin"), (b"Set-Cookie", b"a=1"), (b"Location", b"/x"), (b"Content-Length", b"23"),
            (b"X-Secret", SECRET_TEXT.encode()), (b"WWW-Authenticate", b"Basic"), (b"ETag", b'"1"'),
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": 209, "headers": headers, "trailers": True})
        await send({"type": "http.response.body", "body": SECRET_TEXT.encode(), "more_body": True})
        await send({"type": "http.response.pathsend", "path": "/etc/passwd"})
        await send({"type": "http.response.body", "body": SECRET_TEXT.encode()})
        await send({"type": "http.response.trailers", "headers": [(b"x-secret", b"1")]})
        seen.append((await receive())["type"])

    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")), body=body)
    empty = {"type": "http.request", "body": b"", "more_body": False}
    assert seen == [empty, False, False, False, [], "http.disconnect"]
    assert (answer.status, answer.body) == (209, b"")
    assert answer.headers == {
        "access-control-allow-origin": "*", "access-control-max-age": "1", "allow": "GET", "vary": "Origin",
        "content-length": "0",
    }  # fmt: skip


@BODIES
def test_passed_on_to_an_application_that_waits_for_the_client_to_go(body: bytes) -> None:
    """The application gets no disconnect before the server sends one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await asyncio.wait([gone], timeout=0.01)
        await Response("x", 409 if gone.done() else 200)(scope, receive, send)
        gone.cancel()

    assert preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")), body=body).status == 200


def test_a_client_that_goes_is_told_of() -> None:
    """The application gets an empty body, and the disconnect of the server after the rest of the body."""
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
        {"type": "http.disconnect"},
    ]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])

    async def receive() -> Any:
        return messages.pop(0)

    asyncio.run(AuthGuardMiddleware(app, guard=guard(preflight="pass"))(scope_of("/a", b"ab"), receive, None))
    empty = {"type": "http.request", "body": b"", "more_body": False}
    assert (seen, messages) == ([empty, {"type": "http.disconnect"}], [])


def test_a_receive_that_never_waits_ends() -> None:
    """A `receive` that never waits, as in some test clients, ends with a disconnect."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([(await receive())["type"], (await receive())["type"]])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(AuthGuardMiddleware(app, guard=guard(preflight="pass"))(scope_of("/a", b""), receive, None))
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("status", [200, 204, 302, 304, 401, 404, 405, 500])
def test_a_status_passes_as_it_is(status: int) -> None:
    """The status is that of the application, with a length if the status allows a body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response("x", status, {"location": "/x"})(scope, receive, send)

    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard(preflight="pass")))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers == ({} if status in (204, 304) else {"content-length": "0"})


def test_a_rule_passes_on_its_paths_alone(handlers: ASGIHandlers) -> None:
    """A preflight of another path is answered by the guard."""
    app = AuthGuardMiddleware(
        handlers.plain, guard=guard(protected_paths=["/", Rule("/api", preflight="pass")])
    )
    assert preflight_asgi(app, "/api/x").headers == {"access-control-max-age": "5", "content-length": "0"}
    assert preflight_asgi(app, "/private").headers == {}
    assert handlers.ran == ["/api/x"]


def test_the_server_s_state_is_not_written(handlers: ASGIHandlers) -> None:
    """The state of the server, which requests may share, is not written."""
    states = []
    for mode in ("answer", "pass"):
        scope = scope_of("/private", b"")
        inner = AuthGuardMiddleware(handlers.plain, guard=guard(preflight=mode))

        async def app(_: Any, receive: Any, send: Any, inner: Any = inner, scope: Any = scope) -> None:
            await inner(scope, receive, send)

        preflight_asgi(app)
        states.append((scope["state"], scope["user"].is_authenticated, "authguard.preflight" in scope))
    assert states == [({}, False, False)] * 2


def test_one_warning_names_the_cures(handlers: ASGIHandlers, caplog: pytest.LogCaptureFixture) -> None:
    """Each middleware logs one warning, and not one for each preflight."""
    app = AuthGuardMiddleware(handlers.plain, guard=guard())
    for path in ("/a", "/b", "/c\n"):
        preflight_asgi(app, path)
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("authguard", logging.WARNING)
    for cure in (
        "OPTIONS '/a'",
        "outside the guard",
        'Rule(…, preflight="pass")',
        'Guard(preflight="pass")',
    ):
        assert cure in record.getMessage()
    preflight_asgi(AuthGuardMiddleware(handlers.plain, guard=guard()))
    assert len(caplog.records) == 2


def test_passing_on_warns_of_nothing(handlers: ASGIHandlers, caplog: pytest.LogCaptureFixture) -> None:
    """A preflight that is passed by configuration is not warned of."""
    preflight_asgi(AuthGuardMiddleware(handlers.plain, guard=guard(preflight="pass")))
    assert (len(handlers.ran), caplog.records) == (1, [])
