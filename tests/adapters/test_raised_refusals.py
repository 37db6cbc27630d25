"""A `RefusedError` of a view is answered by the guard, and is no 500."""

import json
import logging
from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketDisconnect

import authguard.flask
from adapters.faces import Answer, ask_asgi, ask_wsgi
from authguard import Guard, JWTVerifier, Principal, VerificationUnavailableError, wsgi
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import (
    AuthGuardError,
    InsufficientScopeError,
    InvalidTokenError,
    RateLimitedError,
    RefusedError,
    UnexpectedError,
)
from authguard.fastapi import install
from authguard.testing import issue_token
from support import SECRET

OTHER = issue_token(SECRET, now=1_700_000_000)
Raise = Callable[[Guard], None]


def make_guard(**options: Any) -> Guard:
    """Return a guard with public paths only."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(jwt, public_paths=["/**"], login_path="/login", **options)


def verify_expired(guard: Guard) -> None:
    """Verify an expired token."""
    guard.verify(OTHER)


def be_down(guard: Guard) -> None:
    """Raise the error of an outage."""
    raise VerificationUnavailableError("the store is down", retry_after=7)


def exceed(guard: Guard) -> None:
    """Raise the refusal of a caller above its quota."""
    raise RateLimitedError("calls", quota=1, window=60, retry_after=7)


def lack_scope(guard: Guard) -> None:
    """Raise the refusal of a caller without a scope."""
    raise InsufficientScopeError("lacks write")


def have_a_bug(guard: Guard) -> None:
    """Raise the error of a bug in a callback."""
    raise UnexpectedError("a bug")


def of_fastapi(fail: Raise, guard: Guard) -> Any:
    app = FastAPI()

    @app.get("/view")
    def _view() -> None:
        fail(guard)

    install(app, guard)
    return app


def of_starlette(fail: Raise, guard: Guard) -> Any:
    async def view(request: Any) -> Any:
        fail(guard)

    app = Starlette(routes=[Route("/view", view)])
    app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


def of_mounted(fail: Raise, guard: Guard) -> Any:
    async def view(request: Any) -> Any:
        fail(guard)

    app = Starlette(routes=[Mount("/", Starlette(routes=[Route("/view", view)]))])
    app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


def of_wrapped(fail: Raise, guard: Guard) -> Any:
    async def view(request: Any) -> Any:
        fail(guard)

    return AuthGuardMiddleware(Starlette(routes=[Route("/view", view)]), guard=guard)


def of_wsgi(fail: Raise, guard: Guard) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        fail(guard)

    return wsgi.AuthGuardMiddleware(app, guard=guard)


def _flask(fail: Raise, guard: Guard) -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/view")
    def _view() -> str:
        fail(guard)
        return ""

    return app


def of_flask(fail: Raise, guard: Guard) -> Any:
    app = _flask(fail, guard)
    authguard.flask.init_app(app, guard)
    return app


def of_wrapped_flask(fail: Raise, guard: Guard) -> Any:
    app: Any = _flask(fail, guard)
    app.wsgi_app = wsgi.AuthGuardMiddleware(app.wsgi_app, guard=guard)
    return app


BUILD: dict[str, tuple[Callable[..., Answer], Callable[[Raise, Guard], Any]]] = {
    "fastapi": (ask_asgi, of_fastapi),
    "starlette": (ask_asgi, of_starlette),
    "mounted": (ask_asgi, of_mounted),
    "wrapped": (ask_asgi, of_wrapped),
    "wsgi": (ask_wsgi, of_wsgi),
    "flask": (ask_wsgi, of_flask),
    "wrapped flask": (ask_wsgi, of_wrapped_flask),
}
FACES = pytest.mark.parametrize("face", BUILD)


def answer(face: str, fail: Raise, guard: Guard | None = None, fields: Any = ()) -> Answer:
    """Return the answer to a request whose view fails."""
    ask, build = BUILD[face]
    return ask(build(fail, guard or make_guard()), "GET", "/view", fields)


@FACES
def test_an_invalid_token_is_401(face: str) -> None:
    """An expired token is a 401 with the challenge, the body and the cache control of the guard."""
    refused = answer(face, verify_expired)
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith('Bearer realm="api", error="invalid_token"')
    assert refused.headers["cache-control"] == "no-store"
    assert refused.headers["content-type"] == "application/problem+json"
    assert json.loads(refused.body)["code"] == "invalid_token"


@FACES
def test_the_answer_is_that_of_the_guard(face: str) -> None:
    """A protected path with the same token gets the same body and challenge."""
    ask, build = BUILD[face]
    protecting = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))
    fields = [("Authorization", f"Bearer {OTHER}".encode())]
    expected = ask(build(verify_expired, protecting), "GET", "/view", fields)
    refused = answer(face, verify_expired)
    assert (refused.status, refused.body) == (expected.status, expected.body)
    assert refused.headers["www-authenticate"] == expected.headers["www-authenticate"]


@FACES
def test_an_outage_is_503(face: str, caplog: pytest.LogCaptureFixture) -> None:
    """An outage has Retry-After and no challenge, and a warning has the reason."""
    refused = answer(face, be_down)
    assert (refused.status, refused.headers["retry-after"]) == (503, "7")
    assert "www-authenticate" not in refused.headers
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "GET '/view': the store is down")


@FACES
def test_a_missing_scope_is_403(face: str) -> None:
    """A missing scope is a 403 with the code of the error."""
    refused = answer(face, lack_scope)
    assert refused.status == 403
    assert json.loads(refused.body)["code"] == "insufficient_scope"


@FACES
def test_neither_token_nor_reason_is_told(face: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer and the log do not contain the reason, which may contain a token."""

    def fail(guard: Guard) -> None:
        raise InvalidTokenError(f"bad token {OTHER}")

    caplog.set_level(logging.DEBUG)
    refused = answer(face, fail)
    assert OTHER.encode() not in refused.body
    assert OTHER not in str(refused.headers)
    assert OTHER not in caplog.text


@FACES
def test_a_browser_is_not_redirected(face: str) -> None:
    """A refusal in a view is no redirect, which would send a signed-in user around in a loop."""
    fields = [("Sec-Fetch-Mode", b"navigate"), ("Accept", b"text/html")]
    refused = answer(face, verify_expired, fields=fields)
    assert refused.status == 401
    assert refused.headers["content-type"].startswith("text/html")


@FACES
def test_on_error_and_on_decision_are_called(face: str) -> None:
    """`on_error` and `on_decision` are called as for any other refusal."""
    events: list[Any] = []
    guard = make_guard(
        on_error=lambda request, refusal: refusal.with_json({"own": "body"}), on_decision=events.append
    )
    assert json.loads(answer(face, verify_expired, guard).body) == {"own": "body"}
    assert [(event.allowed, event.status, event.step) for event in events] == [
        (True, None, "request"),
        (False, 401, "route"),
    ]


@pytest.mark.parametrize("face", ["wsgi", "starlette", "fastapi"])
def test_a_bug_is_not_answered(face: str) -> None:
    """An `UnexpectedError` of a view is raised to the framework."""
    with pytest.raises(UnexpectedError):
        answer(face, have_a_bug)


def test_an_application_s_own_handler_stays() -> None:
    """An exception handler of the application answers, also for a subclass or the base class."""
    guard = make_guard()
    for kind in (RefusedError, AuthGuardError, InvalidTokenError):
        app = of_fastapi(verify_expired, guard)

        async def handle(request: Any, error: Exception) -> JSONResponse:
            return JSONResponse({"own": True}, 418)

        app.add_exception_handler(kind, handle)
        assert ask_asgi(app, "GET", "/view").status == 418, kind


def test_a_handler_of_flask_stays() -> None:
    """An error handler of Flask answers, also one for the status."""
    guard = make_guard()
    for kind in (RefusedError, InvalidTokenError, 401):
        app = of_flask(verify_expired, guard)
        app.register_error_handler(kind, lambda error: ("own", 418))
        assert ask_wsgi(app, "GET", "/view").status == 418, kind


def test_pages_of_other_origins_can_read_it() -> None:
    """The answer has the CORS fields of the application."""
    app = of_starlette(verify_expired, make_guard())
    app.add_middleware(CORSMiddleware, allow_origins=["https://spa.example"])
    refused = ask_asgi(app, "GET", "/view", [("Origin", b"https://spa.example")])
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://spa.example")


def test_a_response_that_has_begun_is_not_answered_twice() -> None:
    """A refusal in a response that has begun is an error of the server."""
    guard = make_guard()
    app = FastAPI()

    @app.get("/view")
    async def _view() -> StreamingResponse:
        async def parts() -> Any:
            yield b"a"
            guard.verify(OTHER)

        return StreamingResponse(parts())

    install(app, guard)
    with pytest.raises(RuntimeError, match="response already started"):
        ask_asgi(app, "GET", "/view")


def test_wsgi_fields_that_have_been_sent_are_not_replaced() -> None:
    """The error is raised by `start_response` if the fields have been sent (PEP 3333)."""
    guard = make_guard()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"a part")
        guard.verify(OTHER)

    def start_response(status: str, fields: Any, exc_info: Any = None) -> Any:
        if exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        return lambda part: None

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/view"}
    with pytest.raises(InvalidTokenError):
        wsgi.AuthGuardMiddleware(app, guard=guard)(environ, start_response)


def _sockets(fail: Raise) -> TestClient:
    guard, app = make_guard(), FastAPI()

    @app.websocket("/before")
    async def _before(websocket: WebSocket) -> None:
        fail(guard)

    @app.websocket("/after")
    async def _after(websocket: WebSocket) -> None:
        await websocket.accept()
        fail(guard)

    class Endpoint(WebSocketEndpoint):
        async def on_receive(self, websocket: Any, data: Any) -> None:
            fail(guard)

    app.router.routes.append(WebSocketRoute("/class", Endpoint))
    install(app, guard)
    return TestClient(app)


@pytest.mark.parametrize(("fail", "status"), [(verify_expired, 401), (be_down, 503)])
def test_a_handshake_is_refused(fail: Raise, status: int) -> None:
    """A handshake is refused with the same status and challenge as a request."""
    with pytest.raises(WebSocketDenialResponse) as denied, _sockets(fail).websocket_connect("/before"):
        pass
    assert denied.value.status_code == status
    assert ("www-authenticate" in denied.value.headers) == (status == 401)


@pytest.mark.parametrize(
    ("fail", "code", "reason"),
    [
        (verify_expired, 1008, "invalid_token"),
        (be_down, 1013, "unavailable"),
        (exceed, 1013, "rate_limited"),
    ],
)
@pytest.mark.parametrize("path", ["/after", "/class"])
def test_an_open_websocket_is_closed(fail: Raise, code: int, reason: str, path: str) -> None:
    """The code of the closed websocket tells the client whether it may try again."""
    with (
        _sockets(fail).websocket_connect(path) as socket,
        pytest.raises(WebSocketDisconnect) as ended,
    ):
        if path == "/class":
            socket.send_text("x")
        socket.receive_text()
    assert (ended.value.code, ended.value.reason) == (code, reason)


def test_an_application_without_a_guard_raises_it() -> None:
    """A refusal in a view outside of the guarded mount is raised."""
    guard = make_guard()
    inner = of_starlette(verify_expired, guard)

    async def view(request: Request) -> PlainTextResponse:
        guard.verify(OTHER)
        return PlainTextResponse("")

    app = Starlette(routes=[Mount("/inner", inner), Route("/view", view)])
    assert ask_asgi(app, "GET", "/inner/view").status == 401
    with pytest.raises(InvalidTokenError):
        ask_asgi(app, "GET", "/view")


def test_the_caller_stays_the_one_of_the_request() -> None:
    """The event of the refusal names the caller of the request."""
    events: list[Any] = []
    guard = make_guard(on_decision=events.append)
    token = issue_token(SECRET, subject="ann")
    fields = [("Authorization", f"Bearer {token}".encode())]
    assert answer("fastapi", verify_expired, guard, fields).status == 401
    assert [event.subject for event in events] == ["ann", "ann"]
    assert isinstance(guard.verify(token), Principal)
