"""Handshakes of websockets: a token as a subprotocol, and refusals that a browser can read."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import authguard.starlette
from adapters import answering as same
from adapters.cases import CASES
from authguard import ConfigurationError, DPoP, Guard, JWTVerifier
from authguard._core.credential.subprotocol import MAX_OFFERED
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import CurrentUser, install
from support import b64

NOW = same.NOW
OFFER = "authguard.bearer."
DENIAL = {"websocket.http.response": {}}


def entry(token: str) -> str:
    """Return a token in the form in which a browser offers it."""
    return OFFER + b64(token.encode("latin-1"))


def guard(**options: Any) -> Guard:
    """Return the guard of the table of same answers, with the subprotocol."""
    return same.guard(**{"subprotocol": "authguard"} | options)


class Echoing:
    """A websocket application that accepts with these options, and records its scope."""

    def __init__(self, **accepting: Any) -> None:
        self.accept = {"type": "websocket.accept", **accepting}
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await receive()
        await send(dict(self.accept))


def shake(
    app: Any, offered: Any = (), fields: Any = (), path: str = "/private", **more: Any
) -> list[dict[str, Any]]:
    """Send a handshake as a server does, and return the messages of the application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"site.example"), *((name.lower().encode(), value) for name, value in fields)]
    if offered:
        headers.append((b"Sec-WebSocket-Protocol", ", ".join(offered).encode()))
    scope = {
        "type": "websocket",
        "path": path,
        "headers": headers,
        "extensions": DENIAL,
        "subprotocols": offered,
    }
    asyncio.run(app(scope | more, receive, send))
    return sent


def middleware(app: Any, options: Any = None, **more: Any) -> AuthGuardMiddleware:
    return AuthGuardMiddleware(app, guard=guard(**(options or {})), clock=lambda: NOW, **more)


def status(app: Any, offered: Any = (), fields: Any = (), path: str = "/private") -> int:
    first = shake(middleware(app), offered, fields, path)[0]
    return 200 if first["type"] == "websocket.accept" else first["status"]


def is_bearer(field: Any) -> bool:
    return field[0] == "Authorization" and field[1].startswith(b"Bearer ")


# The cases of Bearer fields, without the one whose spaces belong to the field and not to the token.
PRESENTED = {
    name: case
    for name, case in CASES.items()
    if case.method == "GET" and any(map(is_bearer, case.fields)) and name != "two spaces"
}


@pytest.mark.parametrize("name", PRESENTED)
def test_a_token_as_a_subprotocol_gets_the_answer_of_the_table(name: str) -> None:
    """A token as a subprotocol has the same answer as one in the Authorization field."""
    case = PRESENTED[name]
    tokens = [field[1].removeprefix(b"Bearer ") for field in case.fields if is_bearer(field)]
    offered = ["authguard", *(entry(token.decode("latin-1")) for token in tokens)]
    others = [field for field in case.fields if not is_bearer(field)]
    app = Echoing()
    assert status(app, offered, others, case.path) == case.status
    if case.status == 200:
        assert app.scope["user"].subject == case.subject


@pytest.mark.parametrize(
    ("offered", "fields", "expected"),
    [
        ([entry(same.GOOD)], [], 200),
        ([entry(same.GOOD)], [same.cookie(same.GOOD)], 200),
        ([entry(same.FORGED)], [same.cookie(same.GOOD), same.SAME], 401),
        ([entry(same.GOOD)], [same.CROSS], 200),
        ([entry(same.GOOD)] * 2, [], 400),
        ([entry(same.GOOD)], [same.bearer(same.GOOD)], 400),
        ([entry(same.GOOD)], [same.bearer("x", "Basic ")], 400),
        ([entry(same.GOOD)], [same.api_key(same.KEY)], 400),
        ([entry(same.KEY)], [], 200),
        ([entry(same.KEY)], [same.api_key(same.KEY)], 400),
        ([entry(same.KEY + "x")], [], 401),
        ([entry(same.GOOD) + "="], [], 400),
        ([entry("xx")[:-1] + "B"], [], 400),
        ([OFFER], [], 400),
        ([OFFER + same.GOOD], [], 400),
        (["authguard"], [], 401),
        (["Authguard.Bearer." + b64(same.GOOD.encode())], [], 401),
        (["other.bearer." + b64(same.GOOD.encode())], [], 401),
        ([same.GOOD], [], 401),
    ],
    ids=[
        "alone", "beside a cookie", "a bad one beside a good cookie", "from another site", "twice",
        "and Authorization", "and Basic", "and a key", "a key", "a key twice", "a bad key", "padded",
        "not canonical", "empty", "not encoded", "only the name", "in capitals", "of another name", "bare",
    ],
)  # fmt: skip
def test_exactly_one_credential(offered: Any, fields: Any, expected: int) -> None:
    """A handshake has exactly one credential (law 7), which may be a subprotocol."""
    assert status(Echoing(), offered, fields) == expected


@pytest.mark.parametrize("where", ["in front", "behind"])
def test_of_many_subprotocols_the_first_are_read(where: str) -> None:
    """Only the first of many subprotocols are read, and the application does not get the others."""
    app, many = Echoing(), [f"p{number}" for number in range(10_000)]
    offered = [entry(same.GOOD), *many] if where == "in front" else [*many, entry(same.GOOD)]
    sent = shake(middleware(app), offered)
    if where == "behind":
        assert sent[0]["status"] == 401
        return
    assert app.scope["user"].subject == "somebody"
    assert app.scope["subprotocols"] == many[: MAX_OFFERED - 1]
    (listed,) = [value for name, value in app.scope["headers"] if name.lower() == b"sec-websocket-protocol"]
    assert listed.decode().split(", ") == many[: MAX_OFFERED - 1]


def test_many_tokens_are_several_credentials() -> None:
    """Several tokens as subprotocols are a 400."""
    assert status(Echoing(), [entry(same.GOOD)] * 10_000) == 400


def test_a_bound_token_is_no_bearer_token_there() -> None:
    """A bound token as a subprotocol is a 401, since a browser cannot send its proof."""
    token = same.token(cnf={"jkt": "x" * 43})
    app = middleware(Echoing(), {"proofs": [DPoP("https://site.example")]})
    assert shake(app, [entry(token)])[0]["status"] == 401


def test_without_the_option_it_is_no_credential() -> None:
    """Without the option a token as a subprotocol is no credential, and the subprotocols are unchanged."""
    app = Echoing()
    offered = ["authguard", entry(same.GOOD)]
    assert shake(middleware(app, {"subprotocol": None}), offered)[0]["status"] == 401
    shake(middleware(app, {"subprotocol": None}), offered, path="/public")
    assert app.scope["subprotocols"] == offered


def test_it_goes_by_the_name_that_was_chosen() -> None:
    """The name of the subprotocol can be chosen."""
    app = Echoing()
    answer = shake(
        middleware(app, {"subprotocol": "v1.x"}), ["v1.x", "v1.x.bearer." + b64(same.GOOD.encode())]
    )
    assert answer == [{"type": "websocket.accept", "subprotocol": "v1.x"}]


def test_on_http_it_is_no_credential() -> None:
    """The field of the subprotocols is no credential in an HTTP request."""
    fields = [("Sec-WebSocket-Protocol", entry(same.GOOD).encode())]
    app = middleware(Echoing())
    scope = {"subprotocols": [entry(same.GOOD)], "type": "http", "method": "GET"}
    assert shake(app, [], fields, **scope)[0]["status"] == 401


def test_the_application_does_not_find_the_token_where_it_was() -> None:
    """The scope of the application has the token only in its Authorization field."""
    app = Echoing()
    offered = ("authguard", entry(same.GOOD), "chat")
    headers = [(b"sec-websocket-protocol", f"authguard,\t{offered[1]} , chat".encode()),
               (b"Sec-WebSocket-Protocol", offered[1].encode())]  # fmt: skip
    outer = {"headers": list(headers), "subprotocols": offered}
    shake(middleware(app), **outer)
    assert app.scope["subprotocols"] == ["authguard", "chat"]
    assert app.scope["headers"] == [
        (b"sec-websocket-protocol", b"authguard, chat"),
        (b"authorization", f"Bearer {same.GOOD}".encode()),
    ]
    assert outer == {"headers": headers, "subprotocols": offered}


def test_the_fields_after_the_token_stay() -> None:
    """A field with the token alone is removed, and the other fields stay."""
    app, after = Echoing(), (b"x-tenant", b"7")
    shake(middleware(app), headers=[(b"sec-websocket-protocol", entry(same.GOOD).encode()), after],
          subprotocols=[entry(same.GOOD)])  # fmt: skip
    assert app.scope["headers"] == [after, (b"authorization", f"Bearer {same.GOOD}".encode())]


@pytest.mark.parametrize("subprotocols", [None, ...], ids=["None", "absent"])
def test_a_server_need_not_say_what_is_offered(subprotocols: Any) -> None:
    """A scope with None for its subprotocols, or without them, offers no subprotocol."""
    more = {} if subprotocols is ... else {"subprotocols": subprotocols}
    app = middleware(Echoing())
    headers = [(b"authorization", same.bearer(same.GOOD)[1])]
    assert shake(app, (), headers=headers, **more)[0]["type"] == "websocket.accept"


def test_headers_may_be_good_for_one_reading() -> None:
    """Header fields that can be read only once are still in the scope of the application."""
    app = Echoing()
    fields = [[b"AUTHORIZATION", same.bearer(same.GOOD)[1]]]
    shake(middleware(app, {"subprotocol": None}), headers=iter(fields))
    assert app.scope["headers"] == fields


def test_the_caller_is_left_where_http_has_it() -> None:
    """The caller is in the state of the connection, and not in that of the server."""
    app, state = Echoing(), {"user": "root", "db": 7}
    shake(middleware(app), [entry(same.GOOD)], state=state)
    assert state == {"user": "root", "db": 7}
    assert app.scope["state"] == {"user": app.scope["user"], "db": 7}
    assert app.scope["user"].subject == "somebody"
    assert app.scope["auth"].scopes == {"read", "authenticated"}
    shake(middleware(app), [entry(same.GOOD)])
    assert app.scope["state"] == {"user": app.scope["user"]}


@pytest.mark.parametrize(
    ("accepting", "offered", "chosen"),
    [
        ({}, ["authguard", entry(same.GOOD)], "authguard"),
        ({"subprotocol": None}, ["authguard", entry(same.GOOD)], "authguard"),
        ({"subprotocol": ""}, ["authguard", entry(same.GOOD)], "authguard"),
        ({"subprotocol": "chat"}, ["authguard", entry(same.GOOD), "chat"], "chat"),
        ({"subprotocol": entry(same.GOOD)}, ["authguard", entry(same.GOOD)], "authguard"),
        ({"subprotocol": entry(same.GOOD)}, [entry(same.GOOD)], None),
        ({}, [entry(same.GOOD), "chat"], None),
    ],
    ids=["absent", "None", "empty", "another", "echo", "echo, no name", "no name"],
)
def test_a_subprotocol_is_chosen(accepting: Any, offered: Any, chosen: Any) -> None:
    """The application's choice of a subprotocol stays, and otherwise the name of the guard is chosen."""
    answer = shake(middleware(Echoing(**accepting)), offered)
    assert answer == [{"type": "websocket.accept", "subprotocol": chosen}]


def test_a_subprotocol_is_chosen_for_anonymous_callers_too() -> None:
    """A subprotocol is also chosen for an anonymous caller on a public path."""
    answer = shake(middleware(Echoing()), ["authguard"], path="/public")
    assert answer == [{"type": "websocket.accept", "subprotocol": "authguard"}]


@pytest.mark.parametrize(
    ("offered", "fields", "path", "code", "reason"),
    [
        ([], [], "/private", 4401, "missing_credentials"),
        ([], [same.bearer(same.FORGED)], "/private", 4401, "invalid_token"),
        ([OFFER], [], "/private", 4400, "invalid_request"),
        ([entry(same.GOOD)], [], "/admin", 4403, "insufficient_scope"),
    ],
)
def test_refusals_that_browsers_can_read(
    offered: Any, fields: Any, path: str, code: int, reason: str
) -> None:
    """A refused handshake is accepted and closed with a code, and does not reach the application."""
    app = Echoing()
    answer = shake(middleware(app, websocket_close_codes=True), offered, fields, path)
    assert answer == [
        {"type": "websocket.accept", "subprotocol": None, "headers": []},
        {"type": "websocket.close", "code": code, "reason": reason},
    ]
    assert app.scope is None


def test_a_refusal_for_an_outage_can_be_read() -> None:
    """An outage has a code of its own, so that a page keeps its token."""

    class Down:
        def verify(self, credential: Any) -> Any:
            raise authguard.VerificationUnavailableError("down")

    app = AuthGuardMiddleware(Echoing(), guard=Guard(Down()), websocket_close_codes=True)
    assert shake(app, (), [same.bearer("x")])[1]["code"] == 4503


def test_a_refused_handshake_is_logged_as_refusals_are(caplog: Any) -> None:
    """An outage at a handshake is logged as a warning."""

    class Down:
        def verify(self, credential: Any) -> Any:
            raise authguard.VerificationUnavailableError("down")

    shake(AuthGuardMiddleware(Echoing(), guard=Guard(Down())), (), [same.bearer("x")])
    assert [record.getMessage() for record in caplog.records] == ["WEBSOCKET '/private': down"]


def test_a_refusal_that_on_error_has_made_can_be_read_too() -> None:
    """A refusal of `on_error` without an error has a code without a reason."""
    own_guard = guard(on_error=lambda request, refusal: replace(refusal, status=418, error=None))
    app = AuthGuardMiddleware(Echoing(), guard=own_guard, websocket_close_codes=True)
    assert shake(app)[1] == {"type": "websocket.close", "code": 4418, "reason": ""}


@pytest.mark.parametrize(
    ("subprotocol", "offered", "chosen"),
    [
        ("authguard", ["authguard", entry(same.FORGED)], "authguard"),
        ("authguard", [entry(same.FORGED), "chat", "authguard"], "chat"),
        (None, ["chat", "x"], "chat"),
        (None, [entry(same.FORGED)], None),
    ],
)
def test_a_refusal_chooses_a_subprotocol(subprotocol: Any, offered: Any, chosen: Any) -> None:
    """A refusal chooses a subprotocol, which a browser needs, and never a token."""
    app = middleware(Echoing(), {"subprotocol": subprotocol}, websocket_close_codes=True)
    assert shake(app, offered)[0]["subprotocol"] == chosen


def test_a_client_that_went_away_is_not_accepted_to_be_refused() -> None:
    """A refused client that has gone gets no message."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = middleware(Echoing(), websocket_close_codes=True)
    asyncio.run(app({"type": "websocket", "path": "/private", "headers": []}, receive, send))
    assert sent == []


def test_what_a_decorator_refuses_can_be_read_too() -> None:
    """A refusal by a decorator has a code with `websocket_close_codes`."""

    @authguard.starlette.requires("admin")
    async def talk(websocket: Any) -> None:
        raise AssertionError("not reached")

    app = Starlette(routes=[WebSocketRoute("/private", talk)])
    app.add_middleware(AuthGuardMiddleware, guard=guard(), clock=lambda: NOW, websocket_close_codes=True)
    headers = {"Authorization": f"Bearer {same.GOOD}"}
    connecting = TestClient(app).websocket_connect("/private", headers=headers)
    with connecting as websocket, pytest.raises(WebSocketDisconnect) as closed:
        websocket.receive_text()
    assert (closed.value.code, closed.value.reason) == (4403, "insufficient_scope")


def test_what_a_dependency_refuses_can_be_read_too() -> None:
    """A refusal by a dependency has a code with the option of `install`."""
    app = FastAPI()

    @app.websocket("/public")
    async def _talk(websocket: WebSocket, user: CurrentUser) -> None:
        raise AssertionError("not reached")

    install(app, guard(), websocket_close_codes=True)
    connecting = TestClient(app).websocket_connect("/public")
    with connecting as websocket, pytest.raises(WebSocketDisconnect) as closed:
        websocket.receive_text()
    assert closed.value.code == 4401


def test_a_decorator_finds_the_token_of_the_subprotocol() -> None:
    """A decorator checks the scopes of a token that came as a subprotocol."""

    @authguard.starlette.requires("read")
    async def talk(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.subject)

    app = Starlette(routes=[WebSocketRoute("/private", talk)])
    app.add_middleware(AuthGuardMiddleware, guard=guard(), clock=lambda: NOW)
    with TestClient(app).websocket_connect("/private", ["authguard", entry(same.GOOD)]) as websocket:
        assert websocket.receive_text() == "somebody"
        assert websocket.accepted_subprotocol == "authguard"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "30", None], ids=repr)
def test_a_recheck_that_cannot_be_meant(seconds: Any) -> None:
    """A `recheck` that is not a positive number is an error of the middleware and of `install`."""
    with pytest.raises(ConfigurationError, match="recheck must be more than 0 seconds"):
        AuthGuardMiddleware(Echoing(), guard=guard(), recheck=seconds)
    with pytest.raises(ConfigurationError, match="recheck must be more than 0 seconds"):
        install(FastAPI(), guard(), recheck=seconds)


def test_a_guard_with_a_subprotocol_shows_only_its_name() -> None:
    """The representation of a subprotocol has only its name."""
    own_guard = Guard(
        JWTVerifier(same.SECRET, algorithms=["HS256"], issuer=None, audience=None), subprotocol="x"
    )
    assert repr(own_guard.subprotocol) == "Subprotocol('x')"
