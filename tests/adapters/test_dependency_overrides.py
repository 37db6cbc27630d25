"""`app.dependency_overrides` of the dependencies for the caller, as in the tests of an application."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from adapters.callers import READER, headers, refused_with
from authguard import ANONYMOUS, ConfigurationError, Guard, JWTVerifier, Principal, Quota, Rule
from authguard.fastapi import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    current_principal,
    current_user,
    install,
    optional_user,
    requires,
)
from authguard.testing import override
from support import SECRET

WRITER = Principal("fake", scopes=frozenset({"write"}))
TAKING_A_CALLER = ("/typed", "/scoped", "/optional", "/listed", "/decorated", "/required", "/v1/nested")


@dataclass
class User:
    name: str


def guard(**options: Any) -> Guard:
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def name_of(user: Any) -> str:
    return user.name if isinstance(user, User) else user.subject


def routed() -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(requires("write"))])

    @router.get("/nested")
    async def _nested(request: Request) -> str:
        return name_of(request.user)

    return router


def add_websocket(app: FastAPI) -> None:
    @app.websocket("/ws")
    async def _ws(websocket: WebSocket, user: CurrentUser, maybe: OptionalUser) -> None:
        await websocket.accept()
        await websocket.send_text(name_of(user) + name_of(maybe))
        await websocket.close()


def application(made: Guard) -> FastAPI:
    app = FastAPI()
    app.include_router(routed())
    add_websocket(app)

    @app.get("/typed")
    async def _typed(user: CurrentUser) -> str:
        return name_of(user)

    @app.get("/scoped")
    async def _scoped(user: Annotated[Principal, Security(current_user, scopes=["write"])]) -> str:
        return name_of(user)

    @app.get("/optional")
    def _optional(user: OptionalUser) -> str:
        return "nobody" if user is None else name_of(user)

    @app.get("/listed", dependencies=[Depends(current_user)])
    async def _listed(request: Request) -> str:
        return name_of(request.user)

    @app.get("/decorated")
    @requires("write")
    async def _decorated(request: Request) -> str:
        return name_of(request.user)

    @app.get("/required")
    async def _required(user: Annotated[Any, Depends(requires("write"))]) -> str:
        return name_of(user)

    @app.get("/principal")
    async def _principal(principal: CurrentPrincipal) -> str:
        return principal.subject

    @app.get("/admin")
    async def _admin() -> str:
        return "admin"

    install(app, made)
    return app


def asynchronous() -> Any:
    async def fake() -> Principal:
        return WRITER

    return fake


def generator() -> Any:
    def fake() -> Iterator[Principal]:
        yield WRITER

    return fake


def asynchronous_generator() -> Any:
    async def fake() -> AsyncIterator[Principal]:
        yield WRITER

    return fake


@pytest.mark.parametrize("protected", [True, False], ids=["protected", "public"])
@pytest.mark.parametrize(
    "fake", [lambda: WRITER, asynchronous(), generator(), asynchronous_generator()],
    ids=["function", "async", "generator", "async generator"],
)  # fmt: skip
def test_an_override_stands_for_callers_without_a_credential(fake: Any, protected: bool) -> None:
    """The override is the caller of requests without a credential, on protected and on public paths."""
    app = application(guard() if protected else guard(public_paths=["/**"]))
    client = TestClient(app)
    app.dependency_overrides[current_user] = fake
    assert {client.get(path).json() for path in TAKING_A_CALLER} == {"fake"}
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "fakefake"
    app.dependency_overrides = {}
    assert client.get("/typed").status_code == 401
    assert refused_with(client, "/ws") == 401


def test_rules_still_ask_the_fake_caller() -> None:
    """A path rule checks the scopes of the overridden caller."""
    app = application(guard(protected_paths=["/", Rule("/admin", scopes=["admin"])]))
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: WRITER
    assert client.get("/admin").status_code == 403
    app.dependency_overrides[current_user] = lambda: Principal("boss", scopes={"admin"})
    assert client.get("/admin").status_code == 200
    assert client.get("/decorated").status_code == 403


def test_the_application_s_own_user_stands_for_callers_too() -> None:
    """An overridden user has no scopes for the guard, unless the principal is overridden as well."""
    calls: list[str] = []

    def load(principal: Principal) -> User:
        calls.append(principal.subject)
        return User("loaded " + principal.subject)

    app = application(guard(protected_paths=["/", Rule("/admin", scopes=["admin"])], user_loader=load))
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: User("ada")
    assert [client.get(path).json() for path in ("/typed", "/optional", "/listed")] == ["ada"] * 3
    assert client.get("/admin").status_code == client.get("/required").status_code == 403
    app.dependency_overrides[current_principal] = lambda: Principal("7", scopes={"admin", "write"})
    assert client.get("/admin").status_code == 200
    assert client.get("/principal").json() == "7"
    assert client.get("/required").json() == "ada"
    assert calls == []
    del app.dependency_overrides[current_user]
    assert client.get("/typed").json() == "loaded 7"


def test_a_credential_is_looked_at_in_spite_of_an_override() -> None:
    """An override does not apply to a request with a credential: an invalid one is refused."""
    app = application(guard())
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: WRITER
    for path in (*TAKING_A_CALLER, "/admin"):
        assert client.get(path, headers=headers("bad")).status_code == 401, path
    assert client.get("/typed", headers=headers(READER)).json() == "fake"
    assert client.get("/optional", headers=headers(READER)).json() == "somebody"
    assert client.get("/decorated", headers=headers(READER)).status_code == 403
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/ws", headers=headers("bad")):
        pass


def from_the_request(request: Request) -> Principal:
    return Principal("of " + request.user.subject)


def from_a_database(database: Annotated[str, Depends(lambda: "database")]) -> Principal:
    return Principal(database)


def from_defaults(name: str = "anybody") -> Principal:
    return Principal(name)


@pytest.mark.parametrize("fake", [from_the_request, from_a_database, from_defaults])
def test_an_override_with_parameters_opens_nothing(fake: Any) -> None:
    """An override with parameters, which may be one for production, opens no path for anonymous callers."""
    app = application(guard(public_paths=["/typed"]))
    client = TestClient(app)
    app.dependency_overrides[current_user] = fake
    for path in TAKING_A_CALLER[1:]:
        assert client.get(path).status_code == 401, path
    assert client.get("/scoped", headers=headers(READER)).status_code == 200
    assert refused_with(client, "/ws") == 401


def refusing() -> None:
    raise HTTPException(403, "not today")


@pytest.mark.parametrize(
    "fake", [refusing, lambda: None, lambda: ANONYMOUS], ids=["refusing", "None", "anonymous"]
)
def test_an_override_that_gives_nobody_opens_nothing(fake: Any) -> None:
    """An override that raises or returns no user opens neither a protected path nor a decorated endpoint."""
    app = application(guard(protected_paths=["/admin"]))
    client = TestClient(app)
    app.dependency_overrides[current_user] = fake
    assert client.get("/admin").status_code == client.get("/decorated").status_code == 401
    assert client.get("/optional").json() == "nobody"
    assert client.get("/listed").status_code == (403 if fake is refusing else 200)


def test_an_override_that_fails_is_no_answer() -> None:
    """An error of an override reaches the test, and does not prevent the start of the application."""
    app = application(guard())
    app.dependency_overrides[current_user] = lambda: 1 / 0
    with TestClient(app) as client, pytest.raises(ZeroDivisionError):
        client.get("/admin")


def test_other_overrides_change_nothing() -> None:
    """An override of a dependency that does not belong to the guard opens no path."""
    app = application(guard())
    client = TestClient(app)
    app.dependency_overrides[from_a_database] = lambda: WRITER
    assert client.get("/typed").status_code == 401
    assert client.get("/typed", headers=headers(READER)).json() == "somebody"


def test_a_requirement_and_an_optional_user_are_overridden_by_themselves() -> None:
    """An override of one requirement or of `optional_user` replaces this dependency, and no path rule."""
    app, writer = FastAPI(), requires("write")

    @app.get("/value")
    async def _value(user: Annotated[Any, Depends(writer)], maybe: OptionalUser) -> str:
        return name_of(user) + name_of(maybe)

    @app.websocket("/ws", dependencies=[Depends(writer)])
    async def _ws(websocket: WebSocket, maybe: OptionalUser) -> None:
        await websocket.accept()
        await websocket.send_text(name_of(maybe))
        await websocket.close()

    app.add_api_route("/ruled", lambda: "in", dependencies=[Depends(writer)])
    install(app, guard(protected_paths=["/ruled"]))
    client = TestClient(app)
    assert client.get("/value").status_code == refused_with(client, "/ws") == 401
    app.dependency_overrides[writer] = lambda: WRITER
    app.dependency_overrides[optional_user] = lambda: User("ada")
    assert client.get("/value").json() == "fakeada"
    with client.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "ada"
    assert client.get("/ruled").status_code == 401
    assert client.get("/ruled", headers=headers(READER)).status_code == 200


def test_the_principal_is_overridden_by_a_principal() -> None:
    """An override of `current_principal` that returns another type is an error with advice."""
    app = application(guard())
    app.dependency_overrides[current_principal] = lambda: User("ada")
    with pytest.raises(ConfigurationError, match=r"must be Principal, got User.*: write lambda: Principal"):
        TestClient(app).get("/typed")


@pytest.mark.parametrize("fake", [User("ada"), WRITER, None], ids=["user", "principal", "none"])
@pytest.mark.parametrize("dependency", [current_user, current_principal, optional_user])
def test_an_override_is_a_function(dependency: Any, fake: Any) -> None:
    """An override that is not a function is an error with advice."""
    app = application(guard())
    app.dependency_overrides[dependency] = fake
    with pytest.raises(ConfigurationError, match=r"must be a function, got .*: write lambda: fake$"):
        TestClient(app).get("/typed")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (CurrentUser, "current_user"),
        (CurrentUser[User], "current_user"),
        (OptionalUser[User], "optional_user"),
        (CurrentPrincipal, "current_principal"),
    ],
    ids=["any", "own", "optional", "principal"],
)
def test_the_type_of_a_parameter_is_no_dependency(kind: Any, name: str) -> None:
    """An override for a type such as `CurrentUser` is an error that names the dependency to override."""
    app = application(guard())
    app.dependency_overrides[kind] = lambda: WRITER
    with pytest.raises(ConfigurationError, match=rf"write app.dependency_overrides\[{name}\]$"):
        TestClient(app).get("/typed")


def test_override_of_the_testing_module_comes_first_for_the_guard() -> None:
    """The guard prefers `override` of the testing module, and FastAPI uses its own for the dependency."""
    made = guard()
    app = application(made)
    client = TestClient(app)
    app.dependency_overrides[current_user] = lambda: WRITER
    with override(made, Principal("ada")):
        assert client.get("/typed").json() == "fake"
        assert client.get("/optional").json() == "ada"
        assert client.get("/decorated").status_code == 403


def test_an_override_is_of_one_application() -> None:
    """An override applies to its application and the mounted ones, and to no other behind the same guard."""
    made, sub = guard(), FastAPI()

    @sub.get("/me")
    async def _me(user: CurrentUser) -> str:
        return name_of(user)

    app, other = application(made), application(made)
    app.mount("/sub", sub)
    app.dependency_overrides[current_user] = lambda: WRITER
    assert TestClient(app).get("/sub/me").json() == "fake"
    assert TestClient(other).get("/typed").status_code == 401


def test_a_fake_caller_takes_from_quotas() -> None:
    """An overridden caller takes from the quotas."""
    app = application(guard(quotas=[Quota(2, 60)]))
    app.dependency_overrides[current_user] = lambda: WRITER
    client = TestClient(app)
    assert [client.get("/typed").status_code for _ in range(3)] == [200, 200, 429]


def test_an_override_that_opens_paths_is_seen_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An override that opens a path is logged once as a warning."""
    app = application(guard())
    client = TestClient(app)
    with caplog.at_level(logging.WARNING, "authguard"):
        client.get("/typed")
        assert caplog.messages == []
        app.dependency_overrides[current_user] = lambda: WRITER
        client.get("/typed")
        client.get("/typed")
    assert len(caplog.messages) == 1
    assert "dependency_overrides of current_user" in caplog.messages[0]
