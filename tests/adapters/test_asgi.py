"""The ASGI middleware: websockets, lifespan, the scope, CORS and concurrent requests."""

import asyncio
import secrets
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires as starlette_requires
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from adapters.faces import ask_asgi
from authguard import ANONYMOUS, Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from support import LONG_AFTER

SECRET = secrets.token_urlsafe(40)
TOKEN = issue_token(SECRET, scopes=["read"], exp=LONG_AFTER)
AUTHORIZATION = [("Authorization", f"Bearer {TOKEN}".encode())]


def guard(**options: Any) -> Guard:
    """Return a guard that accepts TOKEN."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def converse(app: Any, scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one connection with these received messages, and return the messages that the application sent."""
    sent: list[dict[str, Any]] = []
    incoming = iter(received)

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


async def accepting(scope: Any, receive: Any, send: Any) -> None:
    """Accept a websocket."""
    await receive()
    await send({"type": "websocket.accept", "user": scope["user"].subject})


def websocket(path: str = "/ws", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """Return the scope of a handshake with only the keys that the specification requires."""
    return {"type": "websocket", "path": path, "headers": list(headers), "query_string": b"", **more}


CONNECT = {"type": "websocket.connect"}
DENIAL = {"extensions": {"websocket.http.response": {}}}
BEARER = (b"authorization", f"Bearer {TOKEN}".encode())


def test_a_websocket_is_denied_with_status_and_challenge() -> None:
    """A refused handshake is a 401 with a challenge if the server has the denial response extension."""
    sent = converse(AuthGuardMiddleware(accepting, guard=guard()), websocket(**DENIAL), CONNECT)
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 401
    assert dict(sent[0]["headers"])[b"www-authenticate"] == b'Bearer realm="api"'


def test_a_websocket_is_closed_before_it_is_accepted() -> None:
    """A refused handshake is closed with code 1008 if the server has no denial response extension."""
    sent = converse(AuthGuardMiddleware(accepting, guard=guard()), websocket(), CONNECT)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]


def test_a_websocket_that_went_away_is_not_answered() -> None:
    """The guard sends no message to a client that disconnects before its handshake is decided."""
    sent = converse(
        AuthGuardMiddleware(accepting, guard=guard()), websocket(), {"type": "websocket.disconnect"}
    )
    assert sent == []


def test_a_websocket_with_a_token_is_accepted() -> None:
    """The caller of an accepted websocket is in its scope."""
    sent = converse(AuthGuardMiddleware(accepting, guard=guard()), websocket("/ws", BEARER), CONNECT)
    assert sent == [{"type": "websocket.accept", "user": "somebody"}]


def test_a_websocket_is_never_redirected() -> None:
    """A refused handshake is a 401 also where a page would be redirected to the login page."""
    app = AuthGuardMiddleware(accepting, guard=guard(login_path="/login"))
    sent = converse(app, websocket("/ws", (b"accept", b"text/html"), **DENIAL), CONNECT)
    assert sent[0]["status"] == 401


def test_a_public_path_for_get_is_not_public_for_websockets() -> None:
    """A public path for GET does not open handshakes, and one for WEBSOCKET does."""
    for rule, accepted in ((Rule("/ws", methods=["GET"]), False), (Rule("/ws", methods=["WEBSOCKET"]), True)):
        app = AuthGuardMiddleware(accepting, guard=guard(public_paths=[rule]))
        sent = converse(app, websocket(), CONNECT)
        assert (sent[0]["type"] == "websocket.accept") is accepted


def test_lifespan_passes() -> None:
    """The guard passes a lifespan scope to the application unchanged."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan", "state": {}}
    converse(AuthGuardMiddleware(app, guard=guard()), scope)
    assert seen == [scope]


def test_unknown_scopes_are_refused() -> None:
    """A scope of a type that the guard does not know is refused."""
    with pytest.raises(RuntimeError, match="refuses 'mqtt' scopes"):
        converse(AuthGuardMiddleware(accepting, guard=guard()), {"type": "mqtt"})


def test_a_user_planted_on_the_state_is_wiped() -> None:
    """The guard replaces a user that a lifespan or another middleware has put in the state."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"user": "root"}}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["state"]["user"] is ANONYMOUS

    converse(AuthGuardMiddleware(app, guard=guard(public_paths=["/"])), scope)


def test_headers_may_be_any_iterable_in_any_case() -> None:
    """The header fields of a scope may be a generator of lists, with names in upper case."""
    pairs = ([name, value] for name, value in [(b"AUTHORIZATION", BEARER[1])])
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["user"].subject)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": pairs, "root_path": None}
    converse(AuthGuardMiddleware(app, guard=guard()), scope)
    assert seen == ["somebody"]


def test_a_second_field_in_another_case_is_seen() -> None:
    """A second `Authorization` field in another case makes the request a 400."""
    app = AuthGuardMiddleware(accepting, guard=guard())
    sent = converse(app, websocket("/", BEARER, (b"Authorization", b"Bearer x"), **DENIAL), CONNECT)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("guard_first", [True, False], ids=["guard added first", "CORS added first"])
def test_refusals_reach_the_browser_with_cors_fields(guard_first: bool) -> None:
    """A refusal has CORS fields regardless of the order in which the two middlewares were added."""
    app = Starlette(routes=[Route("/private", lambda request: PlainTextResponse("in"))])
    cors: dict[str, Any] = {"allow_origins": ["https://spa.example"], "allow_credentials": True}
    if guard_first:
        app.add_middleware(AuthGuardMiddleware, guard=guard())
        app.add_middleware(CORSMiddleware, **cors)
    else:
        app.add_middleware(CORSMiddleware, **cors)
        app.add_middleware(AuthGuardMiddleware, guard=guard())
    origin = ("Origin", b"https://spa.example")
    refused = ask_asgi(app, "GET", "/private", [origin])
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == "https://spa.example"
    preflight = ask_asgi(app, "OPTIONS", "/private", [origin, ("Access-Control-Request-Method", b"GET")])
    assert preflight.status == 200
    stranger = ask_asgi(app, "GET", "/private", [("Origin", b"https://evil.example")])
    assert "access-control-allow-origin" not in stranger.headers


def test_cors_fields_when_the_guard_wraps_the_whole_application() -> None:
    """A guard around the whole application finds its CORS middleware before Starlette has built it."""
    app = Starlette(routes=[Route("/private", lambda request: PlainTextResponse("in"))])
    app.add_middleware(CORSMiddleware, allow_origins=["https://spa.example"])
    wrapped = AuthGuardMiddleware(app, guard=guard())
    refused = ask_asgi(wrapped, "GET", "/private", [("Origin", b"https://spa.example")])
    assert refused.headers["access-control-allow-origin"] == "https://spa.example"


def test_middleware_that_is_a_function_is_passed_by() -> None:
    """A middleware that is a function does not stop the search for the CORS middleware."""
    app = Starlette(routes=[Route("/private", lambda request: PlainTextResponse("in"))])
    app.add_middleware(CORSMiddleware, allow_origins=["https://spa.example"])
    app.add_middleware(lambda inner: inner)
    wrapped = AuthGuardMiddleware(app, guard=guard())
    refused = ask_asgi(wrapped, "GET", "/private", [("Origin", b"https://spa.example")])
    assert refused.headers["access-control-allow-origin"] == "https://spa.example"


def test_middleware_that_wraps_itself_ends_the_search() -> None:
    """The search for layers ends at a middleware whose `app` is itself."""

    class Loop:
        @property
        def app(self) -> "Loop":
            return self

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    assert ask_asgi(AuthGuardMiddleware(Loop(), guard=guard()), "GET", "/private").status == 401


def test_starlette_s_own_requires_works_unchanged() -> None:
    """Starlette's `requires` works with `authenticated` and with scopes behind the guard."""

    def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.user.display_name)

    app = Starlette(
        routes=[
            Route("/any", starlette_requires("authenticated")(page)),
            Route("/read", starlette_requires(["authenticated", "read"])(page)),
            Route("/write", starlette_requires("write")(page)),
        ]
    )
    app.add_middleware(AuthGuardMiddleware, guard=guard(public_paths=["/any"]))
    assert ask_asgi(app, "GET", "/any").status == 403
    statuses = [ask_asgi(app, "GET", path, AUTHORIZATION).status for path in ("/any", "/read", "/write")]
    assert statuses == [200, 200, 403]


def test_what_is_mounted_is_guarded() -> None:
    """A mounted application without a guard is protected by the guard of the outer application."""
    inner = Starlette(routes=[Route("/page", lambda request: PlainTextResponse("in"))])
    app = Starlette(routes=[Mount("/sub", inner)])
    app.add_middleware(AuthGuardMiddleware, guard=guard())
    assert ask_asgi(app, "GET", "/sub/page").status == 401
    assert ask_asgi(app, "GET", "/sub/page", AUTHORIZATION).status == 200


def test_a_guard_in_a_mounted_application_sees_paths_below_the_mount() -> None:
    """A guard in a mounted application compares the path below the mount with its public paths."""
    inner = Starlette(routes=[Route("/{rest:path}", lambda request: PlainTextResponse("in"))])
    inner.add_middleware(AuthGuardMiddleware, guard=guard(public_paths=["/public"]))
    app = Starlette(routes=[Mount("/public", inner)])
    assert ask_asgi(app, "GET", "/public/public/x").status == 200
    assert ask_asgi(app, "GET", "/public/private").status == 401


def test_requests_beside_each_other_never_mix() -> None:
    """Each of a thousand concurrent requests has its own caller."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["user"].subject.encode()})

    middleware = AuthGuardMiddleware(app, guard=guard())

    async def answers_name(name: str) -> bool:
        got: list[Any] = []

        async def send(message: Any) -> None:
            got.append(message)

        value = b"Bearer " + issue_token(SECRET, subject=name).encode()
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"authorization", value)]}
        await middleware(scope, None, send)
        return bool(got[1]["body"] == name.encode())

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(answers_name(f"user {n % 100}") for n in range(1000)))

    assert all(asyncio.run(all_of_them()))
