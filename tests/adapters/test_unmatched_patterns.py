"""The guard warns of a rule that matches no route, if a route has nearly the same path, or other methods."""

import logging
import secrets
from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import authguard.flask
from adapters.faces import ask_wsgi
from authguard import Guard, JWTVerifier, Quota, Rule
from authguard._routes.paths import can_meet
from authguard._routes.unmatched import _spelled, _template
from authguard.asgi import AuthGuardMiddleware, Receive, Scope, Send

Warnings = Callable[..., list[str]]


def page(*_: Any, **__: Any) -> PlainTextResponse:
    return PlainTextResponse("")


async def mounted_page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("")(scope, receive, send)


def guard(*protected: Any, **options: Any) -> Guard:
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, protected_paths=protected, **options)


def starlette(*paths: str) -> Starlette:
    return Starlette(routes=[Route(path, page) for path in paths])


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "authguard"]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warnings:
    """Return a function that gives the warnings of two requests to a guarded application."""

    def call(app: Any, *protected: Any, **options: Any) -> list[str]:
        app.add_middleware(AuthGuardMiddleware, guard=guard(*protected, **options))
        with caplog.at_level(logging.WARNING, "authguard"):
            client = TestClient(app)
            client.get("/nothing")
            client.get("/nothing")
        return logged(caplog)

    return call


def test_many_patterns_are_one_short_line(warned: Warnings) -> None:
    """The warning names ten of many patterns, and the number of the others."""
    words = [f"{number}thing" for number in range(40)]
    [warning] = warned(starlette(*(f"/api/{word}" for word in words)), *(f"/{word}" for word in words))
    assert warning.count("; got ") == 9
    assert warning.endswith("write '/api/9thing'; and 30 more patterns")


@pytest.mark.parametrize(
    ("routes", "pattern", "path", "spelling"),
    [
        (["/api/admin"], "/admin", "/api/admin", "/api/admin"),
        (["/", "/api/v1/admin/users"], "/admin", "/api/v1/admin/users", "/api/v1/admin"),
        (["/api/admin/{id:int}"], "/admin/*", "/api/admin/{id:int}", "/api/admin/*"),
        (["/api/admin/{id}"], "/Admin/**", "/api/admin/{id}", "/api/Admin/**"),
        (["/t/{tenant}/admin"], "/admin", "/t/{tenant}/admin", "/t/*/admin"),
        (["/{tenant}/admin"], "/admin", "/{tenant}/admin", "/*/admin"),
        (["/{tenant}", "/{tenant}/keys", "/{tenant}/admin"], "/admin", "/{tenant}/admin", "/*/admin"),
        (["/{a}/{b}/admin/{id}"], "/admin/*", "/{a}/{b}/admin/{id}", "/*/*/admin/*"),
        (["/{tenant:int}/admin"], "/admin", "/{tenant:int}/admin", "/*/admin"),
        (["/users"], "/user", "/users", "/users"),
        (["/api/dashboard/{id}"], "/api/dashbord", "/api/dashboard/{id}", "/api/dashboard"),
        (["/users/{id}/keys"], "/users/*/key", "/users/{id}/keys", "/users/*/keys"),
        (["/users/{id}/keys/{key}"], "/users/*/key/*", "/users/{id}/keys/{key}", "/users/*/keys/*"),
        (["/{tenant}/admin"], "/*/admins", "/{tenant}/admin", "/*/admin"),
        (["/{tenant}/settings/mail"], "/*/setting/**", "/{tenant}/settings/mail", "/*/settings/**"),
    ],
)
def test_the_nearest_route_is_named_with_the_spelling(
    routes: list[str], pattern: str, path: str, spelling: str, warned: Warnings
) -> None:
    """The warning has the route and a pattern, with a prefix or another word, that covers it."""
    [warning] = warned(starlette(*routes), pattern)
    assert warning == (
        f"patterns of a guard must match routes of the application, got {pattern!r} in protected_paths, which "
        f"matches none and does not protect {path!r}: write {spelling!r}"
    )
    assert guard(spelling).explain("GET", path.replace("{id:int}", "7")).protected


def test_all_patterns_are_in_one_warning(warned: Warnings) -> None:
    """One warning names all patterns."""
    [warning] = warned(starlette("/api/admin", "/api/keys"), "/admin", "/keys")
    assert "write '/api/admin'; got '/keys' in protected_paths, which" in warning


@pytest.mark.parametrize(
    ("routes", "patterns"),
    [
        (["/admin", "/api/admin"], ["/admin"]),
        (["/api/admin"], ["/admin", "/api/admin"]),
        (["/api/admin"], ["/admin", "/api/*"]),
        (["/{page}", "/api/admin"], ["/admin"]),
        (["/{page:path}", "/api/admin"], ["/admin"]),
        (["/admin"], ["/api/admin"]),  # the mount point may be in the pattern
        (["/v1/users"], ["/v2/users"]),
        (["/home"], ["/dashboard"]),  # a path of another service with the same guard
        (["/{a}/{b}"], ["/admin"]),
        (["/admin", "/{tenant}/admin"], ["/admin"]),
        (["/{tenant}/admin"], ["/*/admin"]),
        (["/{page}", "/{tenant}/admin"], ["/admin"]),  # a page may have that name
        (["/{tenant}/admin", "/{name}"], ["/admin", "/*/admin"]),
        (["/api/x"], ["/**", "/*/y"]),
        (["/users/{id}/keys"], ["/users/*/mails"]),
        (["/users/{id}/keys"], ["/**/key"]),  # the word may be at any place
        (["/users/{id}/keys/{key}/names"], ["/users/*/key/*/name"]),  # two words differ
        (["/users"], ["/user/*"]),  # no spelling of the pattern covers the route
        (["/users/{id}/keys"], ["/user/*/other"]),
        (["/api/login", "/a"], ["/login"]),
    ],
)
def test_no_alarm(routes: list[str], patterns: list[str], warned: Warnings) -> None:
    """A pattern without an unprotected route of nearly the same path is not warned of."""
    options = {"login_path": "/login"} if "/login" in patterns else {}
    assert warned(starlette(*routes), *patterns, **options) == []


@pytest.mark.parametrize(
    "path",
    ["/a", "/A/b", "/a/{b}", "/a/<int:b>", "/{a}/{b:path}", "/{a:path}/b", "/a-{b}.json/c", "/*/b", "/**/b"],
)
def test_a_pattern_that_is_spelled_like_a_route_meets_it(path: str) -> None:
    """A pattern with the spelling of a route meets it, so that it can be looked up."""
    segments = _template(path)
    assert can_meet(segments, _spelled(segments), below=True, any_case=True, unlisted=True)


@pytest.mark.parametrize(
    "mounted", [mounted_page, StaticFiles(directory="."), None], ids=["asgi", "files", "default"]
)
def test_no_alarm_if_some_routes_cannot_be_read(mounted: Any, warned: Warnings) -> None:
    """A pattern is not warned of if a mounted application, files or a default may have its page."""
    app = starlette("/api/admin")
    if mounted is None:
        app.router.default = mounted_page
    else:
        app.router.routes.append(Mount("/", app=mounted))
    assert warned(app, "/admin") == []


def test_no_alarm_for_a_frontend(warned: Warnings, tmp_path: Any) -> None:
    """A pattern is not warned of if FastAPI's frontend may have its page."""
    (tmp_path / "index.html").write_text("")
    app = FastAPI()
    app.get("/api/admin")(page)
    app.frontend("/", directory=tmp_path)
    assert warned(app, "/admin") == []


def test_mounts_and_routers_with_prefixes_are_read(warned: Warnings) -> None:
    """The warning has the prefixes of mounts and routers."""
    router, sub = APIRouter(prefix="/v1"), FastAPI()
    router.get("/admin")(lambda: 1)
    sub.include_router(router)
    app = FastAPI()
    app.mount("/api", sub)
    [warning] = warned(app, "/admin")
    assert "write '/api/v1/admin'" in warning


def test_the_scope_of_a_rule_is_missed_in_silence_too(warned: Warnings) -> None:
    """A rule that matches no route is warned of also if another list protects the path."""
    [warning] = warned(starlette("/api/admin"), Rule("/admin", scopes=["admin"]), public_paths=["/"])
    assert "write '/api/admin'" in warning


def test_a_public_pattern_opens_nothing_then(caplog: pytest.LogCaptureFixture) -> None:
    """A public pattern that matches no route is warned of, since the path stays protected."""
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    app = starlette("/api/health", "/docs")
    app.add_middleware(
        AuthGuardMiddleware, guard=Guard(verifier, public_paths=["/health", "/docs", "/favicon.ico"])
    )
    with caplog.at_level(logging.WARNING, "authguard"):
        assert TestClient(app).get("/api/health").status_code == 401
    [warning] = logged(caplog)
    assert "'/health' in public_paths, which matches none and does not open '/api/health'" in warning
    assert warning.count("got") == 1


def test_a_guard_around_the_whole_application_sees_later_routes(caplog: pytest.LogCaptureFixture) -> None:
    """The routes are read at the first call of the application."""
    app = starlette("/api/admin")
    whole = AuthGuardMiddleware(app, guard=guard("/admin", "/key"))
    app.router.routes.append(Route("/admin", page))
    app.router.routes.append(Route("/keys", page))
    with caplog.at_level(logging.WARNING, "authguard"):
        TestClient(whole).get("/")
    [warning] = logged(caplog)
    assert "'/admin'" not in warning
    assert "write '/keys'" in warning


@pytest.mark.parametrize("prefix", ["/api", None])
def test_a_blueprint_of_flask_with_a_prefix(prefix: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A pattern without the prefix of a blueprint, which is registered later, is warned of."""
    app = flask.Flask("site", static_folder=None)
    authguard.flask.init_app(app, guard("/admin"))
    blueprint = flask.Blueprint("shop", "shop")
    blueprint.add_url_rule("/admin/<int:id>", view_func=lambda **_: "")
    app.register_blueprint(blueprint, url_prefix=prefix)
    app.add_url_rule("/", "home", lambda: "")
    with caplog.at_level(logging.WARNING, "authguard"):
        assert [ask_wsgi(app, "GET", "/").status for _ in range(2)] == [200, 200]
    assert ["write '/api/admin'" in each for each in logged(caplog)] == [True] * (prefix is not None)


@pytest.mark.parametrize("prefix", ["/<tenant>", "/<int:tenant>", "/<any(acme, 'other'):tenant>"])
def test_a_prefix_with_a_parameter_is_named(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """A pattern without the parameter before it is warned of on Flask, too."""
    app = flask.Flask("site", static_folder=None)
    blueprint = flask.Blueprint("shop", "shop", url_prefix=prefix)
    blueprint.add_url_rule("/reports", view_func=lambda **_: "", endpoint="reports")
    app.register_blueprint(blueprint)
    authguard.flask.init_app(app, guard("/reports"))
    with caplog.at_level(logging.WARNING, "authguard"):
        ask_wsgi(app, "GET", "/")
    [warning] = logged(caplog)
    assert warning.endswith(f"does not protect {prefix + '/reports'!r}: write '/*/reports'")


def test_a_mount_and_a_router_with_a_parameter_are_named(warned: Warnings) -> None:
    """A pattern without the parameter of a mount or of a router is warned of."""
    router, sub = APIRouter(prefix="/{tenant}"), FastAPI()
    router.get("/reports")(lambda: 1)
    sub.get("/invoices")(lambda: 1)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    app.mount("/{customer}", sub)
    [warning] = warned(app, "/reports", "/invoices")
    assert "write '/*/reports'" in warning
    assert "write '/*/invoices'" in warning


def reports(*methods: str, path: str = "/reports") -> Route:
    return Route(path, page, methods=list(methods))


@pytest.mark.parametrize("framework", ["starlette", "flask"])
def test_a_rule_with_methods_that_no_route_has_is_named(
    framework: str, warned: Warnings, caplog: Any
) -> None:
    """The warning names the method that is open, and the methods of the route."""
    rule = Rule("/reports", methods=["POST"])
    if framework == "starlette":
        [warning] = warned(Starlette(routes=[reports("GET"), reports("PUT")]), rule)
    else:
        app = flask.Flask("site", static_folder=None)
        app.add_url_rule("/reports", "reports", lambda: "", methods=["GET", "PUT"])
        authguard.flask.init_app(app, guard(rule))
        assert ask_wsgi(app, "PUT", "/reports").status == 200
        [warning] = logged(caplog)
    assert warning == (
        "patterns of a guard must match routes of the application, got '/reports' with methods=['POST'] in "
        "protected_paths, which matches none and does not protect GET '/reports': write methods=['GET', 'PUT']"
    )


def test_a_public_rule_with_methods_that_no_route_has(caplog: pytest.LogCaptureFixture) -> None:
    """A public rule opens nothing then, and callers get 401."""
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    closed = Guard(verifier, public_paths=[Rule("/hooks/*", methods=["POST"])])
    app = AuthGuardMiddleware(Starlette(routes=[reports("PUT", path="/hooks/{name}")]), guard=closed)
    with TestClient(app) as client:
        assert client.put("/hooks/mail").status_code == 401
    [warning] = logged(caplog)
    assert "in public_paths, which matches none and does not open PUT '/hooks/{name}'" in warning


@pytest.mark.parametrize(
    ("routes", "rule"),
    [
        ([reports("GET"), reports("POST")], Rule("/reports", methods=["POST"])),
        ([reports("GET"), reports("POST", path="/reports/{id}")], Rule("/reports", methods=["POST"])),
        ([reports("GET")], Rule("/reports", methods=["GET", "DELETE"])),
        ([reports("HEAD")], Rule("/reports", methods=["GET"])),
        ([reports("PUT")], Rule("/reports", methods=["OPTIONS"])),
        ([reports("GET")], Rule("/**", methods=["DELETE"])),  # for routes that come later
        ([Route("/reports", HTTPEndpoint)], Rule("/reports", methods=["POST"])),  # any method
        ([WebSocketRoute("/reports", mounted_page)], Rule("/reports", methods=["GET"])),
        ([reports("GET"), Mount("/reports", mounted_page)], Rule("/reports", methods=["POST"])),
    ],
)
def test_no_alarm_for_methods(routes: list[Any], rule: Rule, warned: Warnings) -> None:
    """Nothing is logged if a route has one of the methods, or may have it."""
    assert warned(Starlette(routes=routes), rule) == []


def test_no_alarm_if_another_rule_protects_the_route(warned: Warnings) -> None:
    """The rule for other methods has no effect, and the route is protected."""
    assert warned(Starlette(routes=[reports("GET")]), "/reports", Rule("/reports", methods=["POST"])) == []


@pytest.mark.parametrize(
    ("rule", "spelling"),
    [
        (Rule("/users", scopes=["admin"]), "/api/users"),
        (Rule("/user", roles=["admin"]), "/users"),
        (Rule("/users", max_age=300), "/api/users"),
        (Rule("/users", credentials=["bearer"]), "/api/users"),
        (Rule("/users", quota=Quota(1, 60)), "/api/users"),
    ],
)
@pytest.mark.parametrize("broad", ["/", "/**", Rule("/", scopes=["read"])])
def test_a_broader_rule_does_not_hide_a_missing_requirement(
    rule: Rule, spelling: str, broad: Any, warned: Warnings
) -> None:
    """A rule with requirements that matches no route is warned of also if a broader rule protects the route."""
    [line] = [line for line in warned(starlette(spelling), broad, rule) if "must match routes" in line]
    assert line.endswith(f"does not protect {spelling!r}: write {spelling!r}")


def test_a_broader_rule_does_not_hide_methods_that_no_route_has(warned: Warnings) -> None:
    """A rule with requirements for methods that no route has is warned of beside a broader rule."""
    app = Starlette(routes=[Route("/items", page, methods=["POST"])])
    [line] = warned(app, "/", Rule("/items", methods=["PUT"], scopes=["write"]))
    assert line.endswith("does not protect POST '/items': write methods=['POST']")


def test_a_broader_rule_that_opens_does_not_hide_a_missing_protection(warned: Warnings) -> None:
    """A rule that protects and matches no route is warned of if a broader rule opens the route."""
    [line] = warned(starlette("/api/users"), "/", "/users", public_paths=["/api"])
    assert line.endswith("does not protect '/api/users': write '/api/users'")


def test_a_public_pattern_below_a_broader_protected_rule_is_named(warned: Warnings) -> None:
    """A public pattern that matches no route is warned of if a broader rule protects the route."""
    [line] = warned(starlette("/api/docs"), "/", public_paths=["/docs"])
    assert line.endswith("does not open '/api/docs': write '/api/docs'")


@pytest.mark.parametrize(
    ("path", "protected", "public"),
    [
        ("/api/users", ["/", "/users"], None),  # asks nothing more than the rule that decides
        ("/api/users", ["/", Rule("/users", scopes=["a"]), Rule("/api/users", scopes=["b"])], None),
        ("/api/users", [Rule("/api", scopes=["a"]), Rule("/users", scopes=["a"])], None),
        ("/static/logo", ["/"], ["/static", "/logo"]),  # open already
    ],
)
def test_no_alarm_if_the_rule_that_decides_is_as_strict(
    path: str, protected: list[Any], public: list[str] | None, warned: Warnings
) -> None:
    """Nothing is logged if the spelling that works would change nothing, or has a rule of its own."""
    assert warned(starlette(path), *protected, public_paths=public) == []
