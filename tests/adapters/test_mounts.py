"""Mount points over ASGI and WSGI: a protected path stays protected in each framework's reading of them."""

import secrets
import sys
import types
import warnings
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

import authguard.asgi
import authguard.wsgi
from adapters.faces import Answer, ask_wsgi
from authguard import Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import install
from authguard.testing import issue_token
from support import LONG_AFTER

SECRET = secrets.token_urlsafe(40)
READER = {"Authorization": f"Bearer {issue_token(SECRET, scopes=['read'], exp=LONG_AFTER)}"}
ADMIN = {"Authorization": f"Bearer {issue_token(SECRET, scopes=['admin'], exp=LONG_AFTER)}"}
LISTS: dict[str, dict[str, Any]] = {
    "both": {"protected_paths": [Rule("/admin", scopes=["admin"])], "public_paths": ["/public"]},
    "narrow": {"protected_paths": [Rule("/admin", scopes=["admin"])]},
    "strict": {"public_paths": ["/public"]},
}


def guard(**options: Any) -> Guard:
    """Return a guard that accepts both callers."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def get(app: Any, path: str, root_path: str = "", headers: Any = None, method: str = "GET") -> Any:
    """Send one request to an ASGI application, with the path as it is given."""

    async def server(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["path"], scope["root_path"] = path, root_path
        await app(scope, receive, send)

    return TestClient(server).request(method, "http://site.example/", headers=headers, follow_redirects=False)


def routed_by(route: Any) -> Any:
    """Return a bare application that routes as a framework does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        page = route(scope["root_path"], scope["path"])
        body = b"SECRET" if page == "/admin" else b"page"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


ROUTERS = {
    "litestar": lambda root, path: "/" + (path.split(root, maxsplit=1)[-1] if root else path).strip("/"),
    "last": lambda root, path: "/" + (path.split(root)[-1] if root else path).strip("/"),
    "quart": lambda root, path: path.split(root, 1)[1] if root and root in path else path,
    "django": lambda root, path: path.removeprefix(root),
    "replaced": lambda root, path: path.replace(root, "", 1) if root else path,
    "whole": lambda root, path: path,
}
MOUNTED = [
    ("/app", "/public/app/admin"),
    ("/app", "/public/appadmin"),
    ("/app", "/app/public/app/admin"),
    ("/app", "/app/app/admin"),
    ("/app", "/app/admin"),
    ("/app", "/admin"),
    ("/app/", "/app/admin"),
    ("/app/", "/public/app/admin"),
    ("/app", "/APP/admin"),
    ("app", "/public/app/admin"),
    ("/", "/admin"),
]


@pytest.mark.parametrize("lists", LISTS)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize(("root_path", "path"), MOUNTED)
def test_no_mount_point_leads_around_the_guard(router: str, lists: str, root_path: str, path: str) -> None:
    """An anonymous caller, or one without the scope of the rule, does not get the protected page."""
    app = AuthGuardMiddleware(routed_by(ROUTERS[router]), guard=guard(**LISTS[lists]))
    assert b"SECRET" not in get(app, path, root_path).content
    if lists != "strict":
        assert b"SECRET" not in get(app, path, root_path, READER).content
        assert get(app, path, root_path, ADMIN).status_code == 200


@pytest.mark.parametrize("lists", LISTS)
@pytest.mark.parametrize(
    "path", ["/app/admin", "/public/app/admin", "/app/app/admin", "/admin", "/APP/admin"]
)
def test_script_name_in_the_path_is_read_in_both_ways(lists: str, path: str) -> None:
    """The path is checked with and without the script name, as proxies and frameworks differ."""
    assert mounted_wsgi(guard(**LISTS[lists]), "/app", path).status == 401


@pytest.mark.parametrize("path", ["/public", "/public/apple", "/public/x"])
@pytest.mark.parametrize("lists", LISTS)
def test_public_pages_of_a_mounted_application_stay_public(lists: str, path: str) -> None:
    """A public page stays public on ASGI and WSGI, with and without the mount point in the path."""
    protecting = guard(**LISTS[lists])
    app = AuthGuardMiddleware(routed_by(ROUTERS["whole"]), guard=protecting)
    assert mounted_wsgi(protecting, "/app", path).status == 200
    assert get(app, "/app" + path, "/app").status_code == 200
    if "app" not in path:
        assert get(app, path, "/app").status_code == 200


def mounted_wsgi(protecting: Guard, script_name: str, path: str, **environ: Any) -> Answer:
    """Send one request to a mounted WSGI application."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"page"]

    guarded = authguard.wsgi.AuthGuardMiddleware(app, guard=protecting)

    def server(given: Any, start_response: Any) -> Any:
        given |= {"SCRIPT_NAME": script_name, "PATH_INFO": path, **environ}
        return guarded(given, start_response)

    return ask_wsgi(server, "GET", "/")


# FastAPI replaces the root_path of the server by its own


def fastapi(root_path: str) -> FastAPI:
    """Return an application that sets its own mount point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # later versions call it deprecated
        app = FastAPI(root_path=root_path)

    @app.get("/admin")
    def admin() -> str:
        return "SECRET"

    @app.get("/public")
    def public() -> str:
        return "page"

    @app.websocket("/admin")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("SECRET")

    return app


def outside(app: FastAPI, protecting: Guard) -> Any:
    """Put the guard around the whole application."""
    return AuthGuardMiddleware(app, guard=protecting)


def outside_of_more(app: FastAPI, protecting: Guard) -> Any:
    """Put the guard around middleware around the application."""
    return AuthGuardMiddleware(GZipMiddleware(app), guard=protecting)


def outside_of_a_function(app: FastAPI, protecting: Guard) -> Any:
    """Put the guard around a function that calls the application."""

    async def function(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return AuthGuardMiddleware(function, guard=protecting)


def outside_of_another_name(app: FastAPI, protecting: Guard) -> Any:
    """Put the guard around middleware that keeps the application under another name, as Socket.IO does."""

    class Other:
        def __init__(self) -> None:
            self.other_asgi_app = app
            self.kind = FastAPI
            self.proxy = flask.current_app  # raises an error for each attribute

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.other_asgi_app(scope, receive, send)

    return AuthGuardMiddleware(Other(), guard=protecting)


def inside(app: FastAPI, protecting: Guard) -> Any:
    """Add the guard as middleware of the application."""
    app.add_middleware(AuthGuardMiddleware, guard=protecting)
    return app


def installed(app: FastAPI, protecting: Guard) -> Any:
    """Add the guard by `install`."""
    install(app, protecting)
    return app


PLACES = {
    "outside": outside,
    "outside-of-more": outside_of_more,
    "outside-of-a-function": outside_of_a_function,
    "outside-of-another-name": outside_of_another_name,
    "inside": inside,
    "installed": installed,
}


@pytest.mark.parametrize("lists", LISTS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/admin", "/api/admin"])
@pytest.mark.parametrize("server", ["", "/api", "/other"])
def test_the_rules_of_a_fastapi_application_hold_below_its_root_path(
    place: str, lists: str, path: str, server: str
) -> None:
    """The rules apply below the root path for each place of the guard and each root path of the server."""
    app = PLACES[place](fastapi("/api"), guard(**LISTS[lists]))
    assert get(app, path, server).status_code == 401
    assert get(app, path, server, ADMIN).text == '"SECRET"'
    if lists != "strict":
        assert get(app, path, server, READER).status_code == 403


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/public", "/api/public"])
def test_public_pages_of_a_fastapi_application_are_open_below_its_root_path(place: str, path: str) -> None:
    """A public path is compared without the root path of the application."""
    app = PLACES[place](fastapi("/api"), guard(public_paths=["/public"]))
    assert get(app, path).text == '"page"'


@pytest.mark.parametrize("place", PLACES)
def test_rules_with_the_root_path_of_a_fastapi_application_hold(place: str) -> None:
    """A rule with the root path also applies to a path without it."""
    app = PLACES[place](fastapi("/api"), guard(protected_paths=["/api/admin"]))
    assert [get(app, path).status_code for path in ("/admin", "/api/admin")] == [401, 401]


@pytest.mark.parametrize("place", PLACES)
def test_the_login_page_is_below_the_root_path_of_a_fastapi_application(place: str) -> None:
    """The redirect to the login page includes the root path."""
    app = PLACES[place](fastapi("/api"), guard(login_path="/login"))
    answer = get(app, "/admin", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/login?next=%2Fapi%2Fadmin")


@pytest.mark.parametrize("place", ["outside", "installed"])
@pytest.mark.parametrize("path", ["/admin", "/api/admin"])
def test_a_websocket_below_the_root_path_of_a_fastapi_application(place: str, path: str) -> None:
    """A handshake below the root path is decided by the same rules."""
    app = PLACES[place](fastapi("/api"), guard(protected_paths=["/admin"]))
    with pytest.raises(WebSocketDenialResponse) as refused, TestClient(app).websocket_connect(path):
        pass
    assert refused.value.status_code == 401
    with TestClient(app).websocket_connect(path, headers=ADMIN) as socket:
        assert socket.receive_text() == "SECRET"


@pytest.mark.parametrize("path", ["/admin", "/public/admin"])
def test_a_folder_called_root_path_is_no_mount_point(path: str) -> None:
    """The attribute `root_path` of a Flask or Quart application is a folder, and no mount point."""

    class Quart:
        root_path = "/public"

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError

    protecting = guard(login_path="/login")
    answer = get(AuthGuardMiddleware(Quart(), guard=protecting), path, headers={"Accept": "text/html"})
    assert answer.headers["location"].startswith("/login?")


@pytest.mark.parametrize(("forced", "status"), [("/api", 401), (None, 200), ("/other", 200)])
def test_the_script_name_that_django_forces_is_a_mount_point(
    monkeypatch: pytest.MonkeyPatch, forced: str | None, status: int
) -> None:
    """Django removes a forced script name from the path on ASGI, so that the guard does so, too."""
    django = types.ModuleType("django.conf")
    django.settings = types.SimpleNamespace(FORCE_SCRIPT_NAME=forced)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django.conf", django)

    class ASGIHandler:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("page")(scope, receive, send)

    ASGIHandler.__module__, ASGIHandler.__qualname__ = "django.core.handlers.asgi", "ASGIHandler"
    app = AuthGuardMiddleware(GZipMiddleware(ASGIHandler()), guard=guard(protected_paths=["/admin"]))
    assert get(app, "/api/admin").status_code == status
    assert get(app, "/admin").status_code == 401


def test_middleware_that_wraps_itself_ends() -> None:
    """The search for the application ends at middleware that wraps itself."""

    class Circle:
        def __init__(self) -> None:
            self.app = self

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("page")(scope, receive, send)

    assert get(AuthGuardMiddleware(Circle(), guard=guard(public_paths=["/"])), "/").text == "page"


def test_an_application_among_several_is_not_taken_for_all() -> None:
    """A function that chooses between applications has no root path; one of its cells may be empty."""
    api, web = fastapi("/api"), Starlette()

    async def choose(scope: Any, receive: Any, send: Any) -> None:
        await (api if scope["path"].startswith("/api") else web)(scope, receive, send)
        later()

    assert AuthGuardMiddleware(choose, guard=guard()).root_path == ""

    def later() -> None: ...


def test_rules_for_a_mount_are_written_with_its_path() -> None:
    """A rule for a mounted application has the path of the mount, also if the application has a root path."""
    app = Starlette(routes=[Mount("/api", fastapi("/api"))])
    protecting = guard(protected_paths=["/api/admin"], public_paths=["/api/public"])
    guarded = AuthGuardMiddleware(app, guard=protecting)
    assert [get(guarded, path).status_code for path in ("/api/admin", "/api/public")] == [401, 200]
    assert get(guarded, "/api/admin", headers=ADMIN).text == '"SECRET"'


def test_a_guard_around_a_mount_leaves_its_root_path_alone() -> None:
    """The root path of an application in a mount is not the root path of the mount."""
    guarded = AuthGuardMiddleware(Mount("/v1", fastapi("/api")), guard=guard(protected_paths=["/v1/admin"]))
    assert guarded.root_path == ""
    assert get(guarded, "/v1/admin").status_code == 401


@pytest.mark.parametrize("path", ["/v1/admin", "/v1/public/v1/admin", "/v1//admin", "/v1/ADMIN"])
def test_a_guard_inside_a_mount_decides_below_it(path: str) -> None:
    """A guard inside of a Starlette mount compares the path below the mount."""
    inner = Starlette(routes=[Route("/{rest:path}", lambda request: PlainTextResponse("in"))])
    inner.add_middleware(AuthGuardMiddleware, guard=guard(**LISTS["both"]))
    app = Starlette(routes=[Mount("/v1", inner)])
    assert get(app, path).status_code == 401
    assert get(app, path, headers=READER).status_code == 403
    assert get(app, "/v1/public/x").text == "in"


# Locations


@pytest.mark.parametrize("path", ["//evil.example/admin", "///evil.example/admin", "/\\evil.example/admin"])
def test_a_mount_with_a_parameter_makes_no_foreign_location(path: str) -> None:
    """A mount point that a caller can choose makes no redirect to another origin."""
    inner = Starlette(routes=[Route("/admin", lambda request: PlainTextResponse("in"))])
    inner.add_middleware(AuthGuardMiddleware, guard=guard(login_path="/login"))
    app = Starlette(routes=[Mount("/{tenant:path}", inner)])
    for fields in ({"Accept": "text/html"}, {"HX-Request": "true"}):
        answer = get(app, path, headers=fields)
        assert answer.status_code == 401
        assert not {"location", "hx-redirect"} & set(answer.headers)


@pytest.mark.parametrize(
    "root_path", ["//evil.example", "/\\evil.example", "https://evil.example", "/a/..", "/\t/evil"]
)
@pytest.mark.parametrize(
    "fields", [{"HTTP_ACCEPT": "text/html"}, {"HTTP_HX_REQUEST": "true"}], ids=["html", "htmx"]
)
def test_a_script_name_makes_no_foreign_location(root_path: str, fields: dict[str, str]) -> None:
    """A script name, as from `X-Forwarded-Prefix`, makes no redirect to another origin."""
    answer = mounted_wsgi(guard(login_path="/login"), root_path, "/admin", **fields)
    assert (answer.status, answer.headers.keys() & {"location", "hx-redirect"}) == (401, set())


@pytest.mark.parametrize(("root_path", "path"), MOUNTED)
def test_a_handshake_is_read_in_every_way_too(root_path: str, path: str) -> None:
    """The path of a handshake is read with and without the mount point, as that of a request."""
    protecting = guard(**LISTS["both"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("reached")

    guarded = AuthGuardMiddleware(app, guard=protecting)

    async def server(scope: Any, receive: Any, send: Any) -> None:
        await guarded(scope | {"path": path, "root_path": root_path}, receive, send)

    with pytest.raises(WebSocketDenialResponse) as refused, TestClient(server).websocket_connect("/"):
        pass
    assert refused.value.status_code == 401


# Methods


@pytest.mark.parametrize("method", ["WEBSOCKET", "websocket", "WebSocket", "websocket handshake"])
@pytest.mark.parametrize("path", ["/open", "/narrow"])
def test_an_http_method_is_no_handshake(method: str, path: str) -> None:
    """A rule for handshakes opens no path for an HTTP request with the method WEBSOCKET."""
    rule = Rule("/open", methods=["WEBSOCKET"])
    narrow = Rule("/narrow", scopes=["admin"])
    protecting = guard(protected_paths=[narrow, Rule("/narrow", methods=["WEBSOCKET"])], public_paths=[rule])
    app = AuthGuardMiddleware(routed_by(ROUTERS["whole"]), guard=protecting)
    for _ in range(2):
        assert get(app, path, method=method).status_code == 401
        assert mounted_wsgi(protecting, "", path, REQUEST_METHOD=method).status == 401
        if path == "/narrow":
            field = READER["Authorization"]
            answer = mounted_wsgi(protecting, "", path, REQUEST_METHOD=method, HTTP_AUTHORIZATION=field)
            assert (get(app, path, headers=READER, method=method).status_code, answer.status) == (403, 403)
        with pytest.raises(RuntimeError, match="reached"):
            socket(protecting, "/open")


def socket(protecting: Guard, path: str) -> None:
    """Open a websocket to an application that raises when it is reached."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("reached")

    with TestClient(AuthGuardMiddleware(app, guard=protecting)).websocket_connect(path):
        pass
