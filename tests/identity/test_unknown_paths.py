"""Unknown paths: 404 for each caller, as a page in a browser."""

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.social.github import GitHub
from identity.support import ANN, ISSUER, browser, service_at

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize("path", ["/auth/login", "/users/me", "/v2/auth/login", "/v1/nothing", "/x"])
def test_a_forgotten_prefix_does_not_look_like_a_wrong_password(app, path):
    """A request to a path without its prefix is 404, and not 401."""
    response = TestClient(app).post(path, json=ANN)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_bad_token_makes_no_difference(app):
    """An invalid token at an unknown path is 404."""
    response = TestClient(app).get("/nothing", headers={"authorization": "Bearer x.y.z"})
    assert response.status_code == 404


@pytest.mark.parametrize("path", ["linkedin/callback", "githb/callback", "GitHub/callback", "git/authorize"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_provider_that_is_not_configured(service, ann, path, method):
    """The path of a provider that is mistyped or not configured is 404, with and without a token."""
    callbacks = [f"{ISSUER}{prefix}/auth/github/callback" for prefix in service.settings.prefixes]
    app = Identity(service, providers=[GitHub("id", "s3cret", redirect_uris=callbacks)])
    token = {"authorization": f"Bearer {ann.cookies['access_token']}"}
    for fields in ({}, token, {"authorization": "Bearer x.y.z"}):
        answer = TestClient(app).request(method, f"/v1/auth/{path}", headers=fields)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
    assert TestClient(app).post("/v1/auth/github/callback", json={}).status_code == 422


def test_without_providers_each_of_their_paths_is_unknown(app):
    """Without providers the paths of GitHub are 404, as a page for browsers."""
    assert TestClient(app).post("/v1/auth/github/callback", json={}).status_code == 404
    assert browser(app).get("/v1/auth/github/authorize").headers["content-type"].startswith("text/html")


def test_a_person_who_navigates_gets_a_page(app):
    """A browser at an unknown path gets a page, and a program a problem document."""
    page = browser(app).get("/nothing/here")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert TestClient(app).get("/nothing/here").headers["content-type"] == "application/problem+json"


def test_without_pages_it_is_a_document(url):
    """Without pages a browser at an unknown path gets a problem document."""
    with service_at(url, pages=False) as service:
        answer = browser(Identity(service)).get("/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_below_a_mount(app):
    """In a mounted service an unknown path is 404."""
    client = TestClient(Starlette(routes=[Mount("/id", app)]))
    assert client.get("/id/nothing").status_code == 404
    assert client.get("/id/v1/users/me").status_code == 401


#: Spellings of a path, for which routers, proxies and file systems may have another reading.
_SPELLINGS = (
    "/{}", "{}/", "{}//", "{};x", "{}%20", "{}%0a", "{}%00", "{}.", "{}%3F", "{}%23", "{}%5c", "{}/%2e",
    "/x/%2e%2e{}", "{}%2525", "{}%EF%BC%8F", "{}%FF", "{}" + "%3b" * 2_000,
)  # fmt: skip


@pytest.mark.parametrize("mount", ["", "/id"])
@pytest.mark.parametrize("spelling", _SPELLINGS, ids=range(len(_SPELLINGS)))
def test_an_odd_path_that_is_no_route_is_unknown(app, ann, mount, spelling):
    """Another spelling of a path, of a route or not, is 404 for each caller, and a page for a browser."""
    inner = Starlette(routes=[Mount(mount, app)]) if mount else app
    token = {"authorization": f"Bearer {ann.cookies['access_token']}"}
    bad, key = {"authorization": "Bearer x.y.z"}, {"x-api-key": "sk_live_x"}
    client = TestClient(inner)
    for method, path in (
        ("POST", "/v1/auth/login"),
        ("GET", "/v1/users/me"),
        ("POST", "/v1/api-keys/x/rotate"),
        ("GET", "/x"),
    ):
        url = ISSUER + mount + spelling.format(path)
        for fields in ({}, token, bad, key, token | key, {"cookie": "access_token=x"}):
            answer = client.request(method, url, headers=fields)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, fields)
        page = browser(inner).get(url)
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8"), path


@pytest.mark.parametrize("key_id", ["a;b", "a%00", "%20", "a."])
def test_an_odd_name_in_a_known_path_stays_protected(app, key_id):
    """A route with an odd parameter is 401 without a token."""
    for path in (f"/v1/api-keys/{key_id}", f"/v1/auth/api-keys/{key_id}", f"/v1/users/me/sessions/{key_id}"):
        assert TestClient(app).delete(path).status_code == 401, path


def test_no_spelling_of_a_protected_path_gets_around_the_guard(app):
    """Another spelling of a protected path reaches no endpoint."""
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


@pytest.mark.slow
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
    """A service that is not at the path of its issuer logs one warning."""
    with service_at(url, issuer=issuer) as service:
        client = TestClient(Identity(service), root_path=mount)
        for _ in range(3):
            assert client.get(f"{mount}/login").status_code == 200
    assert caplog.text.count("mails lead to that of the issuer") == warned


@pytest.mark.parametrize(
    ("root_path", "path", "missing"),
    [
        ("/app", "/id/healthz", "/app"),
        ("/a/b", "/id/healthz", "/a/b"),
        ("/app", "/app/id/healthz", None),
        ("", "/id/healthz", None),
    ],
)
def test_paths_without_the_root_path_of_the_outer_application_are_told_of(
    url, caplog, root_path, path, missing
):
    """Paths without the root path of the outer application, which a proxy removes, cause one warning."""
    with service_at(url, issuer=f"http://127.0.0.1:8000{root_path}/id") as service:
        app = FastAPI()
        app.root_path = root_path
        app.mount("/id", Identity(service))
        client = TestClient(app)
        statuses = {client.get(path).status_code for _ in range(3)}
    assert statuses == {404 if missing else 200}
    lines = [line for line in caplog.text.splitlines() if "must begin with the root path" in line]
    assert len(lines) == (1 if missing else 0)
    if missing:
        assert f"got paths without {missing!r}" in lines[0] and f"--root-path {missing}`" in lines[0]


def test_a_service_below_a_path_that_a_proxy_removes_is_not_told_of(url, caplog):
    """A service with a root path whose proxy removes it causes no warning."""
    with service_at(url, issuer="http://127.0.0.1:8000/id") as service:
        client = TestClient(Identity(service), root_path="/id")
        assert client.get("/healthz").status_code == 200
    assert "root path" not in caplog.text
