"""`requires` as a dependency of FastAPI."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security, WebSocket
from starlette.testclient import TestClient

import authguard.fastapi
import authguard.starlette
from adapters.callers import ADMIN, READER, guarded, headers, refused_with
from authguard import Principal, Quota
from authguard.fastapi import CurrentPrincipal, CurrentUser, current_principal, current_user


def statuses_at(client: TestClient, path: str) -> list[int]:
    """Return the statuses for an anonymous caller, a reader and an admin."""
    given: list[dict[str, str]] = [{}, headers(READER), headers(ADMIN)]
    return [client.get(path, headers=each).status_code for each in given]


@pytest.mark.parametrize(
    "requires", [authguard.starlette.requires, authguard.fastapi.requires], ids=["starlette", "fastapi"]
)
def test_requires_is_a_dependency(requires: Any) -> None:
    """`requires` is a dependency of routes, in a list or as a value, and of websockets."""
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
    assert statuses_at(client, "/listed") == statuses_at(client, "/value") == [401, 403, 200]
    assert statuses_at(client, "/any") == [401, 200, 200]
    assert statuses_at(client, "/role") == [401, 403, 403]
    assert client.get("/value", headers=headers(ADMIN)).json() == "somebody"
    assert client.get("/listed").headers["content-type"] == "application/problem+json"
    assert refused_with(client, "/ws", READER) == 403
    with client.websocket_connect("/ws", headers=headers(ADMIN)):
        pass


def test_scopes_of_security_are_asked_too() -> None:
    """`Security(requires(…), scopes=[…])` requires the scopes of both."""
    app = FastAPI()
    both = Security(authguard.fastapi.requires("read"), scopes=["admin"])
    app.add_api_route("/both", lambda: "in", dependencies=[both])
    assert statuses_at(TestClient(guarded(app)), "/both") == [401, 403, 200]


def test_one_object_is_decorator_and_dependency() -> None:
    """One requirement is used as a decorator and as a dependency."""
    app = FastAPI()
    admin = authguard.fastapi.requires("admin")

    @app.get("/decorated")
    @admin
    async def _decorated() -> str:
        return "in"

    app.add_api_route("/listed", lambda: "in", dependencies=[Depends(admin)])
    client = TestClient(guarded(app))
    assert statuses_at(client, "/decorated") == statuses_at(client, "/listed") == [401, 403, 200]


EACH_TYPE = pytest.mark.parametrize(
    ("kind", "dependency"),
    [(CurrentUser, current_user), (CurrentPrincipal, current_principal)],
    ids=["user", "principal"],
)


@EACH_TYPE
def test_the_types_ask_for_a_caller_on_public_paths(kind: Any, dependency: Any) -> None:
    """`CurrentUser` and `CurrentPrincipal` refuse an anonymous caller, and a caller without a scope."""
    app = FastAPI()

    @app.get("/any")
    async def _any(user: kind) -> str:
        return "in"

    @app.get("/admin")
    async def _admin(user: Annotated[Principal, Security(dependency, scopes=["admin"])]) -> str:
        return "in"

    client = TestClient(guarded(app))
    for _ in range(2):
        assert statuses_at(client, "/any") == [401, 200, 200]
        assert statuses_at(client, "/admin") == [401, 403, 200]


@EACH_TYPE
def test_the_types_take_from_quotas_on_public_paths(kind: Any, dependency: Any) -> None:
    """`CurrentUser` and `CurrentPrincipal` take from the quotas of a caller on public paths."""
    app = FastAPI()

    @app.get("/counted")
    async def _counted(user: kind) -> str:
        return "in"

    client = TestClient(guarded(app, quotas=[Quota(2, 60)]))
    given = [client.get("/counted", headers=headers(READER)).status_code for _ in range(4)]
    assert given == [200, 200, 429, 429]
