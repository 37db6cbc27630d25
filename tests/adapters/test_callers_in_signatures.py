"""The caller in the signatures of FastAPI endpoints, and by the functions of Starlette."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Security, WebSocket
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

import authguard.starlette
from adapters.callers import ADMIN, READER, guarded, headers, open_guard, refused_with
from authguard import ConfigurationError, Guard, JWTVerifier, Principal, Rule, VerificationUnavailableError
from authguard.fastapi import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    current_principal,
    current_user,
    install,
    optional_user,
)
from support import SECRET


class User(BaseModel):
    """A user class of an application, which is also a response model."""

    name: str


def load(principal: Principal) -> User:
    return User(name="user " + principal.subject)


def guard(**options: Any) -> Guard:
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


Owner = CurrentUser[User]
Reader = Annotated[Principal, Security(current_principal, scopes=["read"])]
Boss = Annotated[Principal, Security(current_principal, scopes=["admin"])]


class Service:
    """A dependency class that has the caller in its constructor."""

    def __init__(self, user: Owner, maybe: OptionalUser[User], principal: CurrentPrincipal) -> None:
        self.names = [user.name, "" if maybe is None else maybe.name, principal.subject]


def nested() -> APIRouter:
    outer, inner = APIRouter(prefix="/outer"), APIRouter(prefix="/inner")

    @inner.get("/service")
    async def _service(service: Annotated[Service, Depends()]) -> list[str]:
        return service.names

    @inner.get("/reader")
    async def _reader(principal: Reader) -> str:
        return principal.subject

    @inner.get("/boss")
    async def _boss(principal: Boss) -> str:
        return principal.subject

    outer.include_router(inner)
    return outer


def add_websockets(app: FastAPI) -> None:
    @app.websocket("/ws")
    async def _ws(websocket: WebSocket, service: Annotated[Service, Depends()]) -> None:
        await websocket.accept()
        await websocket.send_json(service.names)
        await websocket.close()

    @app.websocket("/ws/optional")
    async def _ws_optional(websocket: WebSocket, user: OptionalUser[User]) -> None:
        await websocket.accept()
        await websocket.send_text("nobody" if user is None else user.name)
        await websocket.close()


def application(**options: Any) -> FastAPI:
    app = FastAPI()
    app.state.notes = []

    @app.get("/plain")
    async def _plain(user: CurrentUser) -> Any:
        return user

    @app.get("/own", response_model=User)
    async def _own(user: CurrentUser[User]) -> User:
        return user

    @app.get("/annotated")
    async def _annotated(user: Annotated[User, Depends(current_user)]) -> User:
        return user

    @app.get("/default")
    async def _default(user: User = Depends(current_user)) -> User:
        return user

    @app.get("/optional")
    def _optional(user: OptionalUser[User]) -> User | None:
        return user

    @app.get("/maybe")
    async def _maybe(user: Annotated[User | None, Depends(optional_user)] = None) -> User | None:
        return user

    @app.post("/later")
    async def _later(user: Owner, tasks: BackgroundTasks) -> None:
        tasks.add_task(app.state.notes.append, user.name)

    app.include_router(nested(), prefix="/v1")
    add_websockets(app)
    install(app, guard(user_loader=load, **options))
    return app


def test_the_caller_is_what_the_user_loader_returns() -> None:
    """The user of `user_loader` is given to endpoints, routers, classes, tasks and websockets."""
    app = application()
    client = TestClient(app, headers=headers(READER))
    for path in ("/plain", "/own", "/annotated", "/default", "/optional", "/maybe"):
        assert client.get(path).json() == {"name": "user somebody"}, path
    names = ["user somebody", "user somebody", "somebody"]
    assert client.get("/v1/outer/inner/service").json() == names
    assert client.post("/later").status_code == 200
    assert app.state.notes == ["user somebody"]
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_json() == names


def test_the_principal_is_there_beside_the_user() -> None:
    """An endpoint may require the principal, with scopes, beside a user."""
    client = TestClient(application())
    assert client.get("/v1/outer/inner/reader", headers=headers(READER)).json() == "somebody"
    assert client.get("/v1/outer/inner/boss", headers=headers(READER)).status_code == 403
    assert client.get("/v1/outer/inner/boss", headers=headers(ADMIN)).json() == "somebody"


def test_an_optional_user_weakens_no_rule() -> None:
    """A protected path with an optional user refuses anonymous callers and invalid credentials."""
    client = TestClient(application())
    for path in ("/optional", "/maybe"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=headers("bad")).status_code == 401, path
    assert refused_with(client, "/ws/optional") == 401


def test_a_bad_credential_on_a_public_path_is_none() -> None:
    """An invalid credential on a public path gives no user; with `optional="strict"` it is refused."""
    rules = [Rule("/optional", optional="strict"), Rule("/ws/optional", optional="lenient")]
    client = TestClient(application(protected_paths=["/v1", *rules]))
    assert [client.get(path).json() for path in ("/optional", "/maybe")] == [None, None]
    assert client.get("/maybe", headers=headers("bad")).json() is None
    assert client.get("/optional", headers=headers("bad")).status_code == 401
    with client.websocket_connect("/ws/optional", headers=headers("bad")) as socket:
        assert socket.receive_text() == "nobody"


class Down:
    """A verifier with a service that is unreachable."""

    async def verify(self, credential: Any) -> Principal:
        raise VerificationUnavailableError("down")


def test_an_outage_is_told_where_a_rule_takes_good_credentials() -> None:
    """An outage is a 503 on a path with `optional="strict"`, if the request has a credential."""
    app = FastAPI()

    @app.get("/optional")
    async def _optional(user: OptionalUser) -> bool:
        return user is None

    install(app, Guard(Down(), protected_paths=[Rule("/optional", optional="strict")]))
    client = TestClient(app)
    assert client.get("/optional", headers=headers("x.y.z")).status_code == 503
    assert client.get("/optional").json() is True


@pytest.mark.parametrize(
    "kind", [CurrentUser, OptionalUser, CurrentPrincipal], ids=["current", "optional", "principal"]
)
def test_a_caller_needs_the_middleware(kind: Any) -> None:
    """A dependency for the caller raises an error in an application without the middleware."""
    app = FastAPI()

    async def endpoint(user: kind) -> None: ...

    app.add_api_route("/", endpoint)
    with pytest.raises(RuntimeError, match="no AuthGuardMiddleware"):
        TestClient(app).get("/")


def starlette_application() -> Any:
    async def own(request: Request) -> PlainTextResponse:
        return PlainTextResponse(authguard.starlette.current_user(request, User).name)

    def maybe(request: Request) -> PlainTextResponse:
        user = authguard.starlette.optional_user(request, User)
        return PlainTextResponse("nobody" if user is None else user.name)

    def principal(request: Request) -> PlainTextResponse:
        return PlainTextResponse(authguard.starlette.current_principal(request).subject)

    def wrong(connection: HTTPConnection) -> PlainTextResponse:
        return PlainTextResponse(authguard.starlette.current_user(connection, Principal).subject)

    async def ws(websocket: WebSocket) -> None:
        user = authguard.starlette.current_user(websocket, User)
        await websocket.accept()
        await websocket.send_text(user.name)
        await websocket.close()

    pages = [Route(f"/{page.__name__}", page) for page in (own, maybe, principal, wrong)]
    app = Starlette(routes=[*pages, WebSocketRoute("/ws", ws)])
    return guarded(app, user_loader=load)


def test_starlette_has_functions_for_the_user() -> None:
    """`current_user` refuses an anonymous caller, and `optional_user` returns None."""
    client = TestClient(starlette_application())
    assert client.get("/own", headers=headers(READER)).text == "user somebody"
    assert client.get("/maybe", headers=headers(READER)).text == "user somebody"
    assert client.get("/principal", headers=headers(READER)).text == "somebody"
    refused = client.get("/own")
    assert (refused.status_code, refused.json()["code"]) == (401, "missing_credentials")
    assert "Bearer" in refused.headers["www-authenticate"]
    assert client.get("/maybe").text == "nobody"
    with client.websocket_connect("/ws", headers=headers(READER)) as socket:
        assert socket.receive_text() == "user somebody"
    assert refused_with(client, "/ws") == 401


def test_a_user_of_another_class_is_told() -> None:
    """A user of another class than the named one is an error."""
    client = TestClient(starlette_application())
    with pytest.raises(
        ConfigurationError, match=r"got Principal for a User: write current_user\(request, User\)"
    ):
        client.get("/wrong", headers=headers(READER))
    assert client.get("/wrong").status_code == 401


def test_the_functions_of_starlette_work_in_fastapi() -> None:
    """The functions of Starlette work in FastAPI beside its dependencies."""
    app = FastAPI()

    @app.get("/")
    async def _me(request: Request, user: CurrentUser) -> str:
        return authguard.starlette.current_user(request, Principal).subject + user.subject

    @app.get("/helper")
    def _helper(request: Request) -> str:
        return authguard.starlette.current_user(request, Principal).subject

    install(app, open_guard())
    client = TestClient(app)
    assert client.get("/", headers=headers(READER)).json() == "somebodysomebody"
    assert client.get("/helper").status_code == 401


def test_starlette_needs_no_class_of_principals() -> None:
    """Without a `user_loader` the user is the principal; with one, the error asks for its class."""

    def page(request: Request) -> PlainTextResponse:
        user = authguard.starlette.optional_user(request)
        return PlainTextResponse(authguard.starlette.current_user(request).subject if user else "nobody")

    client = TestClient(guarded(Starlette(routes=[Route("/", page)])))
    assert [client.get("/", headers=each).text for each in ({}, headers(READER))] == ["nobody", "somebody"]
    client = TestClient(guarded(Starlette(routes=[Route("/", page)]), user_loader=load))
    with pytest.raises(ConfigurationError, match=r"write current_user\(request, User\)"):
        client.get("/", headers=headers(READER))
