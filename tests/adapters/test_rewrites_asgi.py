"""Middleware between the guard and a router of Starlette or FastAPI, which must not change method or path."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from adapters.answering import ADMIN, AUDIENCE, GOOD, ISSUER, NOW, SECRET
from authguard import Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import install

METHODS = ["GET", "POST", "DELETE"]
RULES: dict[str, Any] = {
    "protected_paths": [
        Rule("/admin", scopes=["admin"]),
        Rule("/items", methods=["DELETE"], scopes=["admin"]),
    ],
    "public_paths": ["/v1", "/v2", "/items", "/open", "/sub"],
}
LOW, HIGH = ({"Authorization": f"Bearer {token}"} for token in (GOOD, ADMIN))
DELETE = {"X-HTTP-Method-Override": "DELETE"}


def guard(**options: Any) -> Guard:
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(verifier, **(options or RULES))


def clock() -> float:
    return NOW


def changed(scope: Any) -> dict[str, Any]:
    """Return the changed path and mount point: the version `/v1` is removed, `/v2` becomes a mount point."""
    path, fields = scope["path"], dict(scope.get("headers", ()))
    changes: dict[str, Any] = {"path": path.replace("/v1/", "/", 1)}
    if "/v2/" in path:
        changes["root_path"] = path.partition("/v2/")[0] + "/v2"
    if method := fields.get(b"x-http-method-override"):
        changes["method"] = method.decode()
    return changes


async def by_function(request: Request, call_next: Any) -> Any:
    request.scope.update(changed(request.scope))
    return await call_next(request)


class Copying:
    """Pass on a changed copy of the scope; the application is stored under a name of its own."""

    def __init__(self, app: Any) -> None:
        self.wrapped = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        inner = scope if scope["type"] == "lifespan" else {**scope, **changed(scope)}
        await self.wrapped(inner, receive, send)


def closing(app: Any) -> Any:
    """Return middleware that is a function."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, **changed(scope)}, receive, send)

    return call


LAYERS = {
    "function": Middleware(BaseHTTPMiddleware, dispatch=by_function),
    "copying": Middleware(Copying),
    "closure": Middleware(closing),
}


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.method)


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("opened")
    await websocket.close()


def routes() -> list[Any]:
    return [
        WebSocketRoute("/admin/ws", socket),
        WebSocketRoute("/open/ws", socket),
        *(Route(path, page, methods=METHODS) for path in ("/admin/page", "/items", "/open/page")),
    ]


def with_install(layer: Middleware) -> Any:
    app = FastAPI(routes=routes(), openapi_url=None)
    app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    install(app, guard(), clock=clock)
    return app


def with_add_middleware(layer: Middleware) -> Any:
    app = Starlette(routes=routes(), middleware=[layer])
    app.add_middleware(AuthGuardMiddleware, guard=guard(), clock=clock)
    return app


def around_the_whole(layer: Middleware) -> Any:
    app = Starlette(routes=routes())
    guarded = AuthGuardMiddleware(app, guard=guard(), clock=clock)
    app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    return guarded


def around_a_layer(layer: Middleware) -> Any:
    app = layer.cls(FastAPI(routes=routes()), *layer.args, **layer.kwargs)
    return AuthGuardMiddleware(app, guard=guard(), clock=clock)


def around_a_router(layer: Middleware) -> Any:
    return AuthGuardMiddleware(Router(routes(), middleware=[layer]), guard=guard(), clock=clock)


SITES = {
    each.__name__: each
    for each in (with_install, with_add_middleware, around_the_whole, around_a_layer, around_a_router)
}


def ask(app: Any, method: str, path: str, headers: Any = None, **options: Any) -> int:
    response = TestClient(app, raise_server_exceptions=False, **options).request(
        method, path, headers=headers
    )
    return int(response.status_code)


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Callable[[Middleware], Any]:
    return SITES[request.param]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_path_that_is_changed_meets_no_other_rule(site: Any, layer: str) -> None:
    """A layer that changes the path is a 500 if the new path has another rule."""
    app = site(LAYERS[layer])
    assert ask(app, "GET", "/v1/admin/page") == 500
    assert ask(app, "GET", "/v1/admin/page", HIGH) == 500
    assert ask(app, "GET", "/admin/page", LOW) == 403
    assert ask(app, "GET", "/admin/page", HIGH) == 200


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mount_point_that_is_changed_meets_no_other_rule(site: Any, layer: str) -> None:
    """A layer that changes the mount point is a 500 if the rest of the path has another rule."""
    app = site(LAYERS[layer])
    assert ask(app, "GET", "/v2/admin/page") == 500
    assert ask(app, "GET", "/v2/open/page") == 200


@pytest.mark.parametrize("layer", LAYERS)
def test_a_method_that_is_changed_meets_no_other_rule(site: Any, layer: str) -> None:
    """A layer that changes the method is a 500 if another rule would apply to the new method."""
    app = site(LAYERS[layer])
    assert ask(app, "POST", "/items", DELETE) == 500
    assert ask(app, "POST", "/items") == 200
    assert ask(app, "DELETE", "/items", LOW) == 403


@pytest.mark.parametrize("layer", LAYERS)
def test_a_change_under_the_same_rules_is_passed_on(site: Any, layer: str) -> None:
    """A layer may change the path and the method if the same rules apply."""
    app = site(LAYERS[layer])
    assert ask(app, "GET", "/v1/open/page") == 200
    assert ask(app, "POST", "/open/page", DELETE) == 200


@pytest.mark.parametrize("layer", ["copying", "closure"])
def test_a_handshake_that_is_changed_meets_no_other_rule(site: Any, layer: str) -> None:
    """A layer that changes the path of a websocket is an error before the handshake is accepted."""
    client = TestClient(site(LAYERS[layer]))
    text = "middleware inside of the guard must not make"
    with pytest.raises(RuntimeError, match=text), client.websocket_connect("/v1/admin/ws"):
        pass
    with client.websocket_connect("/v1/open/ws") as websocket:
        assert websocket.receive_text() == "opened"


def test_the_error_names_the_right_order(site: Any) -> None:
    """The error tells the developer to put the layer around the guard."""
    client = TestClient(site(LAYERS["copying"]))
    text = r"must not make GET '/admin/page' .* put it around the guard, by app\.add_middleware"
    with pytest.raises(RuntimeError, match=text):
        client.get("/v1/admin/page")


def test_a_layer_around_the_guard_is_seen_by_the_guard() -> None:
    """The guard decides about the path that a layer around it has made."""
    app = FastAPI(routes=routes())
    install(app, guard(), clock=clock)
    app.add_middleware(Copying)
    assert ask(app, "GET", "/v1/admin/page") == 401
    assert ask(app, "GET", "/v1/admin/page", HIGH) == 200


def sub_application(layer: Middleware) -> Any:
    return Mount("/sub", FastAPI(routes=routes(), middleware=[layer]))


def sub_router(layer: Middleware) -> Any:
    return Mount("/sub", Router(routes(), middleware=[layer]))


def sub_mount(layer: Middleware) -> Any:
    return Mount("/sub", routes=routes(), middleware=[layer])


def sub_wrapped(layer: Middleware) -> Any:
    return Mount("/sub", layer.cls(Starlette(routes=routes()), *layer.args, **layer.kwargs))


def sub_host(layer: Middleware) -> Any:
    return Host("testserver", Router([Mount("/sub", Router(routes()))], middleware=[layer]))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("mounted", [sub_application, sub_router, sub_mount, sub_wrapped, sub_host])
def test_a_layer_of_a_mounted_application_meets_no_other_rule(mounted: Any, layer: str) -> None:
    """A layer of a mounted application that changes path or method is a 500 if other rules apply."""
    app = FastAPI(openapi_url=None)
    app.router.routes.append(mounted(LAYERS[layer]))
    rules = guard(
        protected_paths=[Rule("/sub/admin", scopes=["admin"]), Rule("/sub/items", methods=["DELETE"])],
        public_paths=["/sub"],
    )
    install(app, rules, clock=clock)
    assert ask(app, "GET", "/sub/v1/admin/page") == 500
    assert ask(app, "POST", "/sub/items", DELETE) in (401, 500)
    assert ask(app, "GET", "/sub/v1/open/page") == 200
    assert ask(app, "GET", "/sub/open/page") == 200
    assert ask(app, "GET", "/sub/admin/page", HIGH) == 200
    assert ask(app, "GET", "/sub/admin/page", LOW) == 403


def test_a_mount_of_an_included_router_is_checked() -> None:
    """A mount of a router that FastAPI includes is checked like another one."""
    router = APIRouter()
    router.routes.append(sub_application(LAYERS["copying"]))
    app = FastAPI(openapi_url=None)
    app.include_router(router, prefix="/api")
    install(app, guard(protected_paths=["/", Rule("/*/sub/admin", scopes=["admin"])]), clock=clock)
    assert ask(app, "GET", "/api/sub/v1/admin/page", LOW) == 500
    assert ask(app, "GET", "/api/sub/open/page", LOW) == 200


def test_a_layer_between_two_guards_is_checked_for_the_outer_one() -> None:
    """A layer between two guards that changes the request of the outer one is a 500."""
    app = FastAPI(routes=routes(), openapi_url=None)
    app.add_middleware(AuthGuardMiddleware, guard=guard(protected_paths=["/x"]), clock=clock)
    app.add_middleware(Copying)
    app.add_middleware(AuthGuardMiddleware, guard=guard(), clock=clock)
    assert ask(app, "GET", "/v1/admin/page") == 500
    assert ask(app, "GET", "/open/page") == 200


@pytest.mark.parametrize("root_path", ["", "/api"])
def test_other_requests_are_as_before(root_path: str) -> None:
    """Mounts, hosts, redirects of slashes, root paths and HEAD pass the check."""
    sub = FastAPI(
        routes=[Route("/page", page), WebSocketRoute("/ws", socket)], middleware=[LAYERS["copying"]]
    )
    inner = Mount("/inner", sub)
    app = FastAPI(openapi_url=None)
    app.router.routes += [Mount("/sub", routes=[inner]), Host("other.example", Router([inner]))]
    app.router.routes.append(Route("/slash/", page))
    app.add_middleware(Copying)
    install(app, guard(public_paths=["/sub/inner/page", "/inner", "/slash"]), clock=clock)
    at: Any = {"root_path": root_path}
    assert ask(app, "GET", f"{root_path}/sub/inner/page", **at) == 200
    assert ask(app, "HEAD", f"{root_path}/sub/inner/page", **at) == 200
    assert ask(app, "GET", f"{root_path}/inner/page", {"Host": "other.example"}, **at) == 200
    assert ask(app, "GET", f"{root_path}/slash", **at) == 200
    assert ask(app, "GET", f"{root_path}/sub/inner/other", **at) == 401
    assert ask(app, "GET", f"{root_path}/sub/inner/other", LOW, **at) == 404
    client = TestClient(app, **at)
    with client.websocket_connect(f"{root_path}/sub/inner/ws", headers=LOW) as websocket:
        assert websocket.receive_text() == "opened"
    refused = client.websocket_connect(f"{root_path}/sub/inner/ws")
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)), refused:
        pass


@pytest.mark.parametrize("layered", [False, True])
def test_a_router_without_layers_of_the_application_pays_nothing(layered: bool) -> None:
    """Only a router with layers that might change a request has the check, and has it once."""
    app = FastAPI(routes=routes(), middleware=[Middleware(GZipMiddleware)])
    if layered:
        app.add_middleware(Copying)
    install(app, guard(), clock=clock)
    with TestClient(app) as client:
        assert client.get("/open/page").status_code == 200
    checked: Any = app.router.middleware_stack
    assert (checked != app.router.app) is layered
    assert getattr(checked, "app", app.router.app) == app.router.app
