"""Routes and mounts that the `dependencies` of FastAPI do not guard are an error at the start."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import flask
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, headers, open_guard
from adapters.faces import ask_asgi
from authguard import ConfigurationError, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import CurrentUser, current_user, install, requires

ADMINS = Depends(requires("admin"))


async def plain(request: Request) -> PlainTextResponse:
    """Return a text, as an endpoint of Starlette does."""
    return PlainTextResponse("secret")


async def talk(websocket: WebSocket) -> None:
    """Send a text."""
    await websocket.accept()
    await websocket.send_text("secret")


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Answer as an application of ASGI."""
    await PlainTextResponse("secret")(scope, receive, send)


async def secret() -> str:
    """Return a text, as a path operation does."""
    return "secret"


def of_admins(user: CurrentUser, also: Annotated[Any, ADMINS]) -> None:
    """Check the caller by dependencies of its own."""


def included(app: FastAPI, add: Callable[[APIRouter], Any], **options: Any) -> None:
    router = APIRouter(prefix="/own", dependencies=[ADMINS])
    add(router)
    app.include_router(router, prefix="/v1", **options)


def by_add_route(app: FastAPI) -> None:
    included(app, lambda router: router.add_route("/wrong", plain))


def by_route(app: FastAPI) -> None:
    included(app, lambda router: router.route("/wrong")(plain))


def by_websocket_route(app: FastAPI) -> None:
    included(app, lambda router: router.websocket_route("/wrong")(talk))


def by_mount_in_a_router(app: FastAPI) -> None:
    included(app, lambda router: router.mount("/wrong", serve))


def by_class(app: FastAPI) -> None:
    class Page(HTTPEndpoint):
        @authguard.starlette.requires("admin")
        async def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("in")

        async def post(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("secret")

    included(app, lambda router: router.add_route("/wrong", Page))


def by_include_router(app: FastAPI) -> None:
    router = APIRouter()
    router.add_route("/wrong", plain)
    app.include_router(router, prefix="/v1", dependencies=[Security(current_user, scopes=["admin"])])


def by_nested_routers(app: FastAPI) -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/v1", dependencies=[Depends(of_admins)])
    inner.add_route("/wrong", plain)
    outer.include_router(inner)
    app.include_router(outer)


def by_second_include(app: FastAPI) -> None:
    router = APIRouter()
    router.add_route("/wrong", plain)
    app.include_router(router, prefix="/open")
    app.include_router(router, prefix="/v1", dependencies=[ADMINS])


def by_weaker_decorator(app: FastAPI) -> None:
    included(
        app,
        lambda router: router.add_route(
            "/wrong", requires("read")(lambda request: PlainTextResponse("secret"))
        ),
    )


def by_appended_route(app: FastAPI) -> None:
    app.router.dependencies.append(ADMINS)
    app.router.routes.append(Route("/v1/wrong", plain))


def by_appended_websocket(app: FastAPI) -> None:
    app.router.dependencies.append(ADMINS)
    app.router.routes.append(WebSocketRoute("/v1/wrong", talk))


def by_mounted_application(app: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/x")(secret)
    app.router.dependencies.append(ADMINS)
    app.mount("/v1/wrong", sub)


def by_mounted_router(app: FastAPI) -> None:
    sub = APIRouter()
    sub.get("/x")(secret)
    app.router.dependencies.append(ADMINS)
    app.mount("/v1/wrong", sub)


def by_deep_mount(app: FastAPI) -> None:
    app.router.dependencies.append(ADMINS)
    app.mount("/v1/wrong", Starlette(routes=[Mount("/deep", routes=[Route("/x", plain)])]))


def by_static_files(app: FastAPI) -> None:
    app.router.dependencies.append(ADMINS)
    app.mount("/v1/wrong", StaticFiles(directory=Path(__file__).parent))


def by_flask(app: FastAPI) -> None:
    class Wrapped:
        def __init__(self) -> None:
            self.app = flask.Flask("site")

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    app.router.dependencies.append(ADMINS)
    app.mount("/v1/wrong", Wrapped())


WRONG = [
    by_add_route, by_route, by_websocket_route, by_mount_in_a_router, by_class, by_include_router, by_nested_routers,
    by_second_include, by_weaker_decorator, by_appended_route, by_appended_websocket, by_mounted_application,
    by_mounted_router, by_deep_mount, by_static_files, by_flask,
]  # fmt: skip


@pytest.mark.parametrize("how", ["install", "add_middleware", "around"])
@pytest.mark.parametrize("add", WRONG, ids=lambda item: item.__name__)
def test_a_route_that_dependencies_do_not_guard_is_an_error(add: Any, how: str) -> None:
    """FastAPI calls `dependencies` for path operations alone, so that the application does not start."""
    app: Any = FastAPI(openapi_url=None)
    wrapped = app
    if how == "install":
        install(app, open_guard())
    elif how == "add_middleware":
        guarded(app)
    else:
        wrapped = AuthGuardMiddleware(app, guard=open_guard())
    add(app)
    words = (
        r"^the (route|mount) /v1/wrong .*\(scope admin\).* write .*Rule\('/v1/wrong', scopes=\['admin'\]\) "
    )
    with pytest.raises(ConfigurationError, match=words), TestClient(wrapped):
        pass
    with pytest.raises(ConfigurationError, match=words):
        ask_asgi(wrapped, "GET", "/v1/wrong", [field(READER)])


RULES: dict[str, dict[str, Any]] = {
    "a rule that requires as much": {"protected_paths": ["/", Rule("/v1/wrong", scopes=["read", "admin"])]},
    "a rule for a path above": {"protected_paths": ["/", Rule("/v1", scopes=["admin"])]},
    "a rule of its own": {"protected_paths": ["/", Rule("/v1/wrong", roles=["staff"])]},
    "a public path": {"public_paths": ["/", "/v1/wrong"]},
}


@pytest.mark.parametrize("add", WRONG, ids=lambda item: item.__name__)
@pytest.mark.parametrize("name", RULES)
def test_a_rule_for_the_route_makes_it_right(name: str, add: Any) -> None:
    """A rule that requires as much guards the route, and a rule for just its path was written on purpose."""
    app = FastAPI(openapi_url=None)
    install(app, open_guard(**{"public_paths": None, **RULES[name]}))
    add(app)
    with TestClient(app):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"public_paths": ["/v1"]},
        {"public_paths": None},
        {"public_paths": None, "protected_paths": ["/v1/wrong"]},
        {"public_paths": None, "protected_paths": ["/", Rule("/v1/wrong", methods=["POST"], scopes=["admin"])]},
        {"public_paths": None, "protected_paths": [Rule("/v1", optional="lenient")]},
    ],
    ids=str,
)  # fmt: skip
def test_a_weaker_rule_does_not_make_it_right(options: dict[str, Any]) -> None:
    """A rule for less, for other methods or for a path above, which lets readers pass, is not sufficient."""
    app = FastAPI(openapi_url=None)
    by_add_route(app)
    install(app, open_guard(**options))
    with pytest.raises(ConfigurationError, match="^the route /v1/wrong "), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("mount", "public"),
    [
        ("/files", ["/files"]),
        ("/files", ["/files/**"]),
        ("/files", ["/files/*"]),
        ("/", ["/", "/**"]),
        ("/{tenant}/files", ["/*/files/**"]),
    ],
)
def test_a_mount_that_is_opened_on_purpose(mount: str, public: list[str]) -> None:
    """A mount starts if its own path is public, with or without a wildcard below it."""
    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.get("/operation")(secret)
    app.mount(mount, serve)
    install(app, open_guard(public_paths=public))
    path = mount.replace("{tenant}", "a").rstrip("/")
    assert ask_asgi(app, "GET", f"{path}/x").status == 200
    assert ask_asgi(app, "GET", "/operation").status == 401


@pytest.mark.parametrize("public", [["/sub"], ["/sub/**"], ["/sub/*"]], ids=str)
def test_a_mounted_application_that_is_opened_on_purpose(public: list[str]) -> None:
    """A mounted application with routes starts if its mount is public, with or without a wildcard."""
    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.mount("/sub", Starlette(routes=[Route("/x", plain)]))
    install(app, open_guard(public_paths=public))
    assert ask_asgi(app, "GET", "/sub/x").status == 200


@pytest.mark.parametrize("public", [["/**"], ["/*"], ["/*", "/other/**"], ["/*/**"]], ids=str)
@pytest.mark.parametrize("mount", ["/files", "/"])
def test_a_wider_pattern_does_not_open_a_mount(mount: str, public: list[str]) -> None:
    """A public pattern that stands for all paths, whose checks are in the routes, opens no mount."""
    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.mount(mount, serve)
    install(app, open_guard(public_paths=public))
    with pytest.raises(ConfigurationError, match=f"^the mount {mount} "), TestClient(app):
        pass


def test_any_caller_is_what_the_default_requires() -> None:
    """Under `Depends(current_user)`, the guard's own default guards plain routes and mounts."""
    app = FastAPI(dependencies=[Depends(current_user)])
    app.add_route("/plain", plain)
    app.mount("/files", serve)
    install(app, open_guard(public_paths=None))
    assert [ask_asgi(app, "GET", path).status for path in ("/plain", "/files/x", "/docs")] == [401] * 3


def test_what_is_right_starts() -> None:
    """Path operations, decorated endpoints, other dependencies and applications with a guard start."""

    async def shown(request: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    async def heard(websocket: WebSocket) -> None: ...

    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.get("/operation")(secret)
    app.add_route("/decorated", requires("admin", "read")(shown))
    router = APIRouter(dependencies=[Depends(of_admins)])
    router.get("/routed")(secret)
    router.add_websocket_route("/talk", requires("admin")(heard))
    app.include_router(router, prefix="/v1")
    sub = FastAPI(openapi_url=None)
    sub.get("/x")(secret)
    install(sub, open_guard(public_paths=["/x"]))
    app.mount("/sub", sub)
    app.mount("/around", AuthGuardMiddleware(serve, guard=open_guard(public_paths=["/x"])))
    site = flask.Flask("site")
    site.before_request(authguard.flask.requires("admin"))
    app.mount("/site", WSGI(site))
    other = APIRouter(dependencies=[Depends(of_nobody)])
    other.add_route("/other", plain)
    install(app, open_guard())
    paths = ["/operation", "/decorated", "/v1/routed", "/sub/x", "/around/x"]
    with TestClient(app) as client:
        answers = [client.get(path, headers=headers(READER)).status_code for path in paths]
        assert client.get("/decorated", headers=headers(ADMIN)).text == "secret"
    assert answers == [403, 403, 403, 200, 200]


def of_nobody() -> None:
    """Check nothing."""


class WSGI:
    """Hold an application of WSGI, as a2wsgi does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""


def test_the_root_path_may_be_in_the_rule() -> None:
    """A rule may contain the root path that the application sets itself."""
    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.root_path = "/api"  # as the parameter does, which is deprecated
    app.add_route("/plain", plain)
    install(app, open_guard(public_paths=["/open"], protected_paths=[Rule("/api/plain", scopes=["admin"])]))
    assert TestClient(app).get("/plain", headers=headers(READER)).status_code == 403


def test_a_path_with_parameters() -> None:
    """The error names the pattern for a path with parameters, and that pattern makes it right."""
    for pattern in (None, "/{tenant}/raw/{rest:path}"):
        app = FastAPI(openapi_url=None, dependencies=[ADMINS])
        app.add_route("/{tenant}/raw/{name}", plain)
        if pattern is None:
            guarded(app)
            with pytest.raises(ConfigurationError, match=r"Rule\('/\*/raw/\*', scopes"), TestClient(app):
                pass
        else:
            guarded(app, public_paths=None, protected_paths=["/", Rule("/*/raw/*", scopes=["admin"])])
            assert ask_asgi(app, "GET", "/acme/raw/x", [field(READER)]).status == 403


def test_a_host_in_a_guarded_application() -> None:
    """Routes of a host are mounted, too."""
    app = FastAPI(openapi_url=None, dependencies=[ADMINS])
    app.router.routes.append(Host("a.example", Starlette(routes=[Route("/x", plain)])))
    guarded(app)
    with pytest.raises(ConfigurationError, match="^the mount / "), TestClient(app):
        pass


def test_requirements_of_several_dependencies() -> None:
    """The error names each missing requirement, and one rule with all of them."""
    listed = [ADMINS, Depends(requires("write", roles=["staff"])), Depends(current_user)]
    app = FastAPI(openapi_url=None, dependencies=listed)
    app.add_route("/plain", plain)
    words = (
        r"\(scope admin and scope write and one of the roles staff\).*"
        r"@requires\('admin'\) and @requires\('write', roles=\['staff'\]\) below .*"
        r"Rule\('/plain', scopes=\['admin', 'write'\], roles=\['staff'\]\)"
    )
    with pytest.raises(ConfigurationError, match=words), TestClient(guarded(app)):
        pass


def test_pages_of_fastapi_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The pages that FastAPI serves are a usual exception, so that the application starts with a warning."""
    app = FastAPI(dependencies=[ADMINS])
    install(app, open_guard())
    with TestClient(app):
        pass
    [warning] = [record.getMessage() for record in caplog.records if "of FastAPI" in record.getMessage()]
    assert warning.startswith(
        "the pages '/openapi.json', '/docs', '/redoc' of FastAPI must be guarded by rules"
    )
    assert "write Rule('/openapi.json', scopes=['admin']), Rule('/docs', scopes=['admin']), " in warning


@pytest.mark.parametrize(
    "options",
    [
        {"public_paths": ["/docs", "/openapi.json", "/redoc", "/**"]},
        {"public_paths": None, "protected_paths": [Rule("/", scopes=["admin"])]},
    ],
    ids=str,
)
def test_pages_of_fastapi_with_rules_are_no_warning(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A public path for each page, or rules that require as much, silence the warning."""
    app = FastAPI(dependencies=[ADMINS])
    install(app, open_guard(**options))
    with TestClient(app):
        pass
    assert not [record for record in caplog.records if "of FastAPI" in record.getMessage()]


# Dependencies that are added too late


def by_list_of_the_application(app: FastAPI) -> None:
    app.get("/late")(secret)
    app.router.dependencies.append(ADMINS)


def by_list_of_a_router(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/late")(secret)
    router.dependencies.append(ADMINS)
    app.include_router(router)


def by_list_of_an_included_router(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/late")(secret)
    app.include_router(router)
    router.dependencies.append(Security(current_user, scopes=["admin"]))


def by_list_of_a_route(app: FastAPI) -> None:
    app.get("/late", dependencies=[Depends(current_user)])(secret)
    route = app.router.routes[-1]
    assert isinstance(route, APIRoute)
    route.dependencies.append(Depends(of_admins))


def by_websocket(app: FastAPI) -> None:
    app.websocket("/late")(talk)
    app.router.dependencies.append(ADMINS)


@pytest.mark.parametrize(
    "add",
    [
        by_list_of_the_application,
        by_list_of_a_router,
        by_list_of_an_included_router,
        by_list_of_a_route,
        by_websocket,
    ],
    ids=lambda item: item.__name__,
)
def test_a_dependency_that_is_listed_after_the_route_is_an_error(add: Any) -> None:
    """FastAPI reads the lists of dependencies when a route is added, so that a later one guards nothing."""
    app = FastAPI(openapi_url=None)
    add(app)
    install(app, open_guard())
    words = r"^the route /late .*\(scope admin\) .*write dependencies=\[Depends\(requires\('admin'\)\)\]"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


def test_late_dependencies_that_work_start() -> None:
    """FastAPI reads the list of an included route late, and other lists may repeat a requirement."""
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.get("/late")(secret)
    route = router.routes[-1]
    assert isinstance(route, APIRoute)
    app.include_router(router)
    route.dependencies.append(ADMINS)
    app.get("/again", dependencies=[Depends(of_admins)])(secret)
    app.router.dependencies.append(ADMINS)
    app.router.dependencies.append(Depends(of_nobody))
    install(app, open_guard())
    with TestClient(app) as client:
        answers = [client.get(path, headers=headers(READER)).status_code for path in ("/late", "/again")]
    assert answers == [403, 403]
