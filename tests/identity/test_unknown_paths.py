"""Paths that nothing has: 404 for everybody, as a page where a person navigates."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.support import ANN, browser, service_at

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize("path", ["/auth/login", "/users/me", "/v2/auth/login", "/v1/nothing", "/x"])
def test_a_forgotten_prefix_does_not_look_like_a_wrong_password(app, path):
    """An unknown path is 404, whoever asks."""
    response = TestClient(app).post(path, json=ANN)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_bad_token_makes_no_difference(app):
    """A token that is refused elsewhere is not looked at where there is nothing."""
    response = TestClient(app).get("/nothing", headers={"authorization": "Bearer x.y.z"})
    assert response.status_code == 404


def test_a_person_who_navigates_gets_a_page(app):
    """A browser shows a page, and a program gets a problem document."""
    page = browser(app).get("/nothing/here")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert TestClient(app).get("/nothing/here").headers["content-type"] == "application/problem+json"


def test_without_pages_it_is_a_document(url):
    """A service without pages has none for errors either."""
    with service_at(url, pages=False) as service:
        answer = browser(Identity(service)).get("/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_below_a_mount(app):
    """The same holds where the service is mounted."""
    client = TestClient(Starlette(routes=[Mount("/id", app)]))
    assert client.get("/id/nothing").status_code == 404
    assert client.get("/id/v1/users/me").status_code == 401


def test_no_spelling_of_a_protected_path_gets_around_the_guard(app):
    """What is not exactly a path of the service reaches no endpoint."""
    for path in (
        "//v1/users/me",
        "/v1/users/me/",
        "/v1//users/me",
        "/V1/users/me",
        "/v1/users/%6de/",
        "/v1/x/../users/me",
    ):
        response = TestClient(app).get(path)
        assert response.status_code in (401, 404), path


@pytest.mark.parametrize(
    ("issuer", "mount", "warned"),
    [
        ("http://127.0.0.1:8000", "", 0),
        ("http://127.0.0.1:8000/id", "/id", 0),
        ("http://127.0.0.1:8000/id", "", 1),
        ("http://127.0.0.1:8000", "/id", 1),
    ],
)
def test_mails_and_forms_at_different_paths_are_told_of(url, caplog, issuer, mount, warned):
    """Where the service is not at the path of its issuer, a WARNING says so, once."""
    with service_at(url, issuer=issuer) as service:
        client = TestClient(Identity(service), root_path=mount)
        for _ in range(3):
            assert client.get(f"{mount}/login").status_code == 200
    assert caplog.text.count("mails lead to that of the issuer") == warned
