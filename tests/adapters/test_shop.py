"""A typical FastAPI application: each way to require a caller admits the right callers."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from adapters import shop
from adapters.callers import ADMIN, READER, headers, heard, open_guard, refused_with
from authguard.fastapi import current_principal, current_user, install
from authguard.testing import override

#: Method, path, other options, and the statuses for an anonymous caller, a reader and an admin.
WAYS: list[tuple[str, str, dict[str, Any], tuple[int, int, int]]] = [
    ("POST", "/api/v1/chat/ask", {"json": {"text": "hi"}}, (401, 200, 200)),
    ("POST", "/api/v1/chat/sync", {"json": {"text": "hi"}}, (401, 200, 200)),
    ("GET", "/api/v1/chat/search?request=x", {}, (401, 200, 200)),
    ("GET", "/api/v1/chat/stream", {}, (401, 200, 200)),
    ("GET", "/api/v1/chat/items", {}, (401, 200, 200)),
    ("GET", "/api/v1/internal/admin/users/ada", {}, (401, 403, 200)),
    ("POST", "/orders", {}, (401, 202, 202)),
    ("GET", "/page", {}, (200, 200, 200)),
    ("GET", "/writers", {}, (401, 404, 200)),
    ("GET", "/admins?size=2", {}, (401, 403, 200)),
    ("POST", "/upload", {"files": {"file": b"abc"}, "data": {"note": "n"}}, (401, 200, 200)),
    ("GET", "/many", {}, (401, 403, 200)),
    ("PUT", "/many", {}, (401, 403, 200)),
    ("GET", "/partial", {}, (401, 200, 200)),
    ("GET", "/part/me", {}, (401, 200, 200)),
]


@pytest.fixture
def app() -> FastAPI:
    app = shop.shop()
    install(app, open_guard(user_loader=shop.load))
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, headers={"origin": "https://shop.example"})


@pytest.mark.parametrize(
    ("method", "path", "sent", "expected"), WAYS, ids=[f"{way[0]} {way[1]}" for way in WAYS]
)
def test_each_way_lets_the_right_callers_pass(
    client: TestClient, method: str, path: str, sent: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    """A refusal has the challenge, the handlers and the CORS fields of the application."""
    given = [
        client.request(method, path, headers=caller_headers, **sent)
        for caller_headers in ({}, headers(READER), headers(ADMIN))
    ]
    assert tuple(answer.status_code for answer in given) == expected
    for answer in given:
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        if answer.status_code in (401, 403):
            assert answer.headers["www-authenticate"].startswith("Bearer")
            key = "part" if path.startswith("/part/") else "refused"
            assert answer.json() == {key: answer.status_code}


def test_what_they_are_answered(client: TestClient) -> None:
    """The answers have the bodies, streams, response models and route classes of the application."""
    client.headers.update(headers(ADMIN))
    answer = client.post("/api/v1/chat/ask?websocket=w", json={"text": "hi"})
    assert (answer.json(), answer.headers["x-timed"]) == ("hiw", "yes")
    assert client.get("/api/v1/chat/search?request=x").json() == "xuser somebody"
    assert client.get("/api/v1/chat/stream").text == "data: 0 user somebody\n\ndata: 1 user somebody\n\n"
    assert client.get("/api/v1/chat/items").text == "0\n1\n"
    assert client.get("/api/v1/internal/admin/users/ada").json() == {"name": "ada"}
    assert client.get("/partial").json() == "7 user somebody"
    assert client.get("/admins?size=2").json() == 2
    assert client.post("/upload", files={"file": b"abc"}, data={"note": "n"}).json() == "3 n somebody"


def test_a_session_is_opened_for_callers_alone(app: FastAPI, client: TestClient) -> None:
    """The code of a dependency does not run for a refused caller; a background task runs after it."""
    assert client.post("/orders").status_code == 401
    assert app.state.log.lines == []
    assert client.post("/orders", headers=headers(READER)).json() == {"name": "user somebody"}
    assert sorted(app.state.log.lines) == ["closed", "mail to user somebody", "open"]


def test_websockets_of_routers(client: TestClient) -> None:
    """A websocket of a router is refused by its decorator and by the dependencies of the router."""
    talk, watch = "/api/v1/chat/ws/hall", "/api/v1/internal/admin/ws"
    assert refused_with(client, talk) == refused_with(client, watch) == 401
    assert refused_with(client, watch, READER) == 403
    assert heard(client, talk, READER) == "halluser somebody"
    assert heard(client, watch, ADMIN) == "admin"


@pytest.mark.parametrize(
    ("method", "path", "sent", "expected"), WAYS, ids=[f"{way[0]} {way[1]}" for way in WAYS]
)
def test_each_way_is_overridden_in_tests(
    app: FastAPI,
    client: TestClient,
    method: str,
    path: str,
    sent: dict[str, Any],
    expected: tuple[int, int, int],
) -> None:
    """A test overrides the caller by `override` and by `dependency_overrides`."""
    fake = shop.User(name="fake", scopes=["read", "admin"])
    principal = shop.Principal("7", scopes={"read", "admin"})
    with override(app.state.authguard, fake, principal=principal):
        assert client.request(method, path, **sent).status_code == expected[2]
    app.dependency_overrides[current_user] = lambda: fake
    app.dependency_overrides[current_principal] = lambda: principal
    assert client.request(method, path, **sent).status_code == expected[2]
    if path != "/page":
        app.dependency_overrides.clear()
        assert client.request(method, path, **sent).status_code == 401


def test_the_document_of_the_application(app: FastAPI) -> None:
    """The document marks each operation that requires a caller, and no other one."""
    paths = app.openapi()["paths"]
    for method, path, _, (nobody, reader, _admin) in WAYS:
        if path.startswith("/part/"):
            continue
        template = next(
            each for each in paths if each.partition("{")[0] == path.partition("?")[0].partition("ada")[0]
        )
        operation = paths[template][method.lower()]
        assert ({} in operation["security"]) is (nobody == 200), path
        assert ("401" in operation["responses"]) is (nobody == 401), path
        assert ("403" in operation["responses"]) is (reader == 403 or "read" in str(operation["security"])), (
            path
        )
    assert [each["name"] for each in paths["/api/v1/chat/ask"]["post"]["parameters"]] == ["websocket"]
