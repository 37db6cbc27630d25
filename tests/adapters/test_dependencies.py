"""`requires` and `current_user` as dependencies of FastAPI, and what overrides them."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, Security, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

import authguard.fastapi
import authguard.starlette
from adapters.callers import ADMIN, READER, guarded, headers, open_guard, refused_with
from authguard import ConfigurationError, Guard, JWTVerifier, Principal
from authguard.fastapi import CurrentUser, current_user, install
from authguard.testing import override
from support import SECRET


def guard(**options: Any) -> Guard:
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def asked(client: TestClient, path: str) -> list[int]:
    """What nobody, a reader and an admin are answered."""
    given: list[dict[str, str]] = [{}, headers(READER), headers(ADMIN)]
    return [client.get(path, headers=one).status_code for one in given]


@pytest.mark.parametrize(
    "requires", [authguard.starlette.requires, authguard.fastapi.requires], ids=["starlette", "fastapi"]
)
def test_requires_is_a_dependency(requires: Any) -> None:
    """Of a route, in a list or by its value, which is the caller; and of a websocket."""
    app = FastAPI()
    admin = requires("admin")

    @app.get("/listed", dependencies=[Depends(admin)])
    async def _listed() -> str:
        return "in"

    @app.get("/value")
    async def _value(user: Annotated[Principal, Depends(admin)]) -> str:
        return user.subject

    @app.get("/any", dependencies=[Depends(requires())])
    def _any() -> str:
        return "in"

    @app.get("/role", dependencies=[Depends(requires(roles=["boss"]))])
    def _role() -> str:
        return "in"

    @app.websocket("/ws", dependencies=[Depends(admin)])
    async def _ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    client = TestClient(guarded(app))
    assert asked(client, "/listed") == asked(client, "/value") == [401, 403, 200]
    assert asked(client, "/any") == [401, 200, 200]
    assert asked(client, "/role") == [401, 403, 403]
    assert client.get("/value", headers=headers(ADMIN)).json() == "somebody"
    assert client.get("/listed").headers["content-type"] == "application/problem+json"
    assert refused_with(client, "/ws", READER) == 403
    with client.websocket_connect("/ws", headers=headers(ADMIN)):
        pass


def test_scopes_of_security_are_asked_too() -> None:
    """`Security(requires(…), scopes=[…])` asks for both."""
    app = FastAPI()
    both = Security(authguard.fastapi.requires("read"), scopes=["admin"])
    app.add_api_route("/both", lambda: "in", dependencies=[both])
    assert asked(TestClient(guarded(app)), "/both") == [401, 403, 200]


def test_one_object_is_decorator_and_dependency() -> None:
    """The same requirement may be used in both ways."""
    app = FastAPI()
    admin = authguard.fastapi.requires("admin")

    @app.get("/decorated")
    @admin
    async def _decorated() -> str:
        return "in"

    app.add_api_route("/listed", lambda: "in", dependencies=[Depends(admin)])
    client = TestClient(guarded(app))
    assert asked(client, "/decorated") == asked(client, "/listed") == [401, 403, 200]


def overridable(made: Guard) -> FastAPI:
    app = FastAPI()

    @app.get("/typed")
    async def _typed(user: CurrentUser) -> str:
        return user.subject

    @app.get("/scoped")
    async def _scoped(user: Annotated[Principal, Security(current_user, scopes=["write"])]) -> str:
        return user.subject

    @app.get("/listed", dependencies=[Depends(current_user)])
    async def _listed() -> str:
        return "fake"

    @app.get("/decorated")
    @authguard.fastapi.requires("write")
    async def _decorated() -> str:
        return "fake"

    @app.websocket("/ws")
    async def _ws(websocket: WebSocket, user: CurrentUser) -> None:
        await websocket.accept()
        await websocket.send_text(user.subject)
        await websocket.close()

    install(app, made)
    return app


def test_an_override_of_current_user_takes_its_place() -> None:
    """For the type, with scopes, in a list and on websockets; and no more when it is taken away."""
    app = overridable(open_guard())
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: Principal("fake")
    for path in ("/typed", "/scoped", "/listed"):
        assert client.get(path).json() == "fake", path
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "fake"
    app.dependency_overrides.clear()
    assert client.get("/typed").status_code == 401
    assert refused_with(client, "/ws") == 401


def test_an_override_weakens_nothing_else() -> None:
    """Neither `requires` nor a path rule is met by it."""
    app = overridable(guard(protected_paths=["/typed", "/ws"]))
    app.dependency_overrides[current_user] = lambda: Principal("fake", scopes=frozenset({"write"}))
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/decorated").status_code == 401
    assert client.get("/typed").status_code == 500
    assert client.get("/typed", headers=headers("bad")).status_code == 401
    assert client.get("/typed", headers=headers(READER)).json() == "fake"
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/ws"):
        pass


def test_an_override_that_can_only_be_a_test_s_is_told_what_works() -> None:
    """A rule has refused the request before; one that looks at the request is an application's own."""
    made = guard(protected_paths=["/typed"])
    app = overridable(made)
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: Principal("fake")
    with pytest.raises(ConfigurationError, match=r"authguard\.testing\.override\(guard, user\)"):
        client.get("/typed")
    with override(made, Principal("ada")):
        assert client.get("/typed").json() == "fake"
        app.dependency_overrides.clear()
        assert client.get("/typed").json() == "ada"

    def loaded(request: Request) -> Principal:
        return Principal("of " + request.user.subject)

    app.dependency_overrides[current_user] = loaded
    assert client.get("/typed").status_code == 401
    assert client.get("/typed", headers=headers(READER)).json() == "of somebody"
