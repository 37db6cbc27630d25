"""The adapters of Starlette, FastAPI, Flask and WSGI, with the features of each framework."""

import enum
import inspect
import secrets
from typing import Annotated, Any

import flask
import flask.views
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security, WebSocket
from fastapi.security import APIKeyCookie
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

import authguard.fastapi
import authguard.flask
import authguard.starlette
import authguard.wsgi
from adapters.faces import ask_asgi, ask_wsgi
from authguard import APIKey, APIKeyVerifier, ConfigurationError, Guard, JWTVerifier, Principal, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import CurrentUser, RefusedHTTPException, current_user, install
from authguard.testing import issue_token
from support import LONG_AFTER

SECRET = secrets.token_urlsafe(40)
TOKEN = issue_token(SECRET, scopes=["read"], exp=LONG_AFTER)
FIELD = ("Authorization", f"Bearer {TOKEN}".encode())
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def guard(**options: Any) -> Guard:
    """Return a guard that accepts TOKEN."""
    return Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), **options)


def open_guard() -> Guard:
    """Return a guard with public paths only, so that the routes require callers."""
    return guard(public_paths=["/**"])


# Starlette


def test_starlette_endpoint_classes() -> None:
    """A decorated endpoint class requires a caller for each method, and a decorated method for itself."""

    @authguard.starlette.requires("read")
    class Whole(HTTPEndpoint):
        async def get(self, request: Any) -> PlainTextResponse:
            return PlainTextResponse("in")

    class Part(HTTPEndpoint):
        async def get(self, request: Any) -> PlainTextResponse:
            return PlainTextResponse("open")

        @authguard.starlette.requires("write")
        async def post(self, request: Any) -> PlainTextResponse:
            return PlainTextResponse("in")

    app = Starlette(routes=[Route("/whole", Whole), Route("/part", Part)])
    app.add_middleware(AuthGuardMiddleware, guard=open_guard())
    assert ask_asgi(app, "GET", "/whole").status == 401
    assert ask_asgi(app, "GET", "/whole", [FIELD]).status == 200
    assert ask_asgi(app, "GET", "/part").status == 200
    assert ask_asgi(app, "POST", "/part", [FIELD]).status == 403


def test_starlette_websocket_decorator() -> None:
    """A decorated websocket is denied before it is accepted."""

    @authguard.starlette.requires("read")
    async def talk(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.subject)
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/ws", talk)])
    app.add_middleware(AuthGuardMiddleware, guard=open_guard())
    client = TestClient(app)
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/ws"):
        pass
    assert denied.value.status_code == 401
    with client.websocket_connect("/ws", headers=HEADERS) as websocket:
        assert websocket.receive_text() == "somebody"


def test_a_websocket_asks_for_a_recent_sign_in() -> None:
    """A handshake that needs a recent sign-in is refused with the challenge, by a rule and by a decorator."""

    @authguard.starlette.requires(max_age=60)
    async def talk(websocket: Any) -> None:
        await websocket.accept()
        await websocket.close()

    async def bank(websocket: Any) -> None:
        raise AssertionError("the guard lets nobody through")

    app = Starlette(routes=[WebSocketRoute("/ws", talk), WebSocketRoute("/bank", bank)])
    app.add_middleware(AuthGuardMiddleware, guard=guard(protected_paths=["/", Rule("/bank", max_age=60)]))
    client = TestClient(app)
    for path in ("/ws", "/bank"):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect(path, headers=HEADERS),
        ):
            pass
        assert denied.value.status_code == 401
        assert denied.value.headers["www-authenticate"].endswith(', max_age="60"')


def test_decorators_keep_name_and_signature() -> None:
    """A decorated endpoint has the name, the docstring and the signature of the function."""

    async def page(request: Any, name: str = "x") -> None:
        """Show it."""

    decorated = authguard.starlette.requires("read")(page)
    assert (decorated.__name__, decorated.__doc__) == ("page", "Show it.")
    assert inspect.signature(decorated) == inspect.signature(page)
    assert inspect.iscoroutinefunction(decorated)


@pytest.mark.parametrize(
    "face", [authguard.starlette, authguard.fastapi, authguard.flask], ids=lambda m: m.__name__
)
def test_decorator_without_parentheses(face: Any) -> None:
    """`requires` without parentheses is an error when the module is loaded."""
    with pytest.raises(ConfigurationError, match="with parentheses"):
        face.requires(lambda request: None)


@pytest.mark.parametrize("scopes", [["read", "write"], ("read",), {"read"}, frozenset({"read"})], ids=repr)
@pytest.mark.parametrize(
    "face", [authguard.starlette, authguard.fastapi, authguard.flask], ids=lambda m: m.__name__
)
def test_decorator_with_a_list_of_scopes(face: Any, scopes: Any) -> None:
    """A list of scopes is an error that shows them as separate arguments."""
    with pytest.raises(
        ConfigurationError, match=r"separate arguments of text, got .*: write @requires\('read'"
    ):
        face.requires(scopes)


class Role(enum.Enum):
    """Name roles."""

    ADMIN = "admin"


@pytest.mark.parametrize(
    ("scopes", "spelling"),
    [
        (("admin write",), "'admin', 'write'"),
        (("read, write", "admin"), "'read', 'write', 'admin'"),
        (("read,write",), "'read', 'write'"),
        ((" admin",), "'admin'"),
        ((Role.ADMIN, "read"), "Role.ADMIN.value, 'read'"),
        (([Role.ADMIN],), "Role.ADMIN.value"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "face", [authguard.starlette, authguard.fastapi, authguard.flask], ids=lambda m: m.__name__
)
def test_decorator_with_scopes_in_another_spelling(face: Any, scopes: Any, spelling: str) -> None:
    """Several scopes in one text, and a member of an Enum, are errors with the call that works."""
    with pytest.raises(ConfigurationError) as raised:
        face.requires(*scopes)
    assert str(raised.value).endswith(f": write @requires({spelling})")


@pytest.mark.parametrize("scopes", [("",), (" ",), (None,), ([],), ((),)], ids=repr)
def test_an_error_about_no_scope_does_not_open_the_route(scopes: Any) -> None:
    """An empty scope or list is an error that does not show a call without scopes."""
    with pytest.raises(ConfigurationError) as raised:
        authguard.fastapi.requires(*scopes)
    assert "write @requires()" not in str(raised.value)


def test_a_flask_application_is_guarded_once_by_one_guard() -> None:
    """A second call with the same guard does not guard the application twice."""
    app, made = flask.Flask(__name__), guard()
    authguard.flask.init_app(app, made)
    once = app.wsgi_app
    authguard.flask.init_app(app, made)
    assert app.wsgi_app is once
    authguard.flask.init_app(app, guard())
    assert app.wsgi_app is not once


@pytest.mark.parametrize("given", [None, "guard", Guard, JWTVerifier], ids=str)
@pytest.mark.parametrize(
    "build",
    [
        lambda given: AuthGuardMiddleware(Starlette(), guard=given),
        lambda given: authguard.wsgi.AuthGuardMiddleware(flask.Flask(__name__).wsgi_app, guard=given),
        lambda given: install(FastAPI(), given),
        lambda given: authguard.flask.init_app(flask.Flask(__name__), given),
    ],
    ids=["asgi", "wsgi", "fastapi", "flask"],
)
def test_something_else_in_the_place_of_the_guard(build: Any, given: Any) -> None:
    """An object that is not a guard is an error when the application is built."""
    with pytest.raises(ConfigurationError, match="guard must be Guard"):
        build(given)


def test_a_verifier_in_the_place_of_the_guard() -> None:
    """A verifier instead of a guard is an error that shows how to build the guard."""
    verifier: Any = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    with pytest.raises(ConfigurationError, match=r"got JWTVerifier: write guard=Guard\(JWTVerifier"):
        AuthGuardMiddleware(Starlette(), guard=verifier)


@pytest.mark.parametrize(
    ("put_on", "app"),
    [
        (install, Starlette()),
        (install, flask.Flask(__name__)),
        (install, APIRouter()),
        (install, None),
        (authguard.flask.init_app, FastAPI()),
        (authguard.flask.init_app, flask.Blueprint("b", __name__)),
        (authguard.flask.init_app, None),
    ],
    ids=["Starlette", "Flask", "APIRouter", "None", "FastAPI", "Blueprint", "None for Flask"],
)
def test_an_application_of_another_framework(put_on: Any, app: Any) -> None:
    """An application of another framework is an error that names the way to guard it."""
    with pytest.raises(ConfigurationError, match="app must be (FastAPI|Flask), got .*: write "):
        put_on(app, guard())


def test_decorator_on_a_function_without_request() -> None:
    """A decorated function without a request or a websocket is an error."""
    with pytest.raises(ConfigurationError, match="must take a request or a websocket, got neither"):
        authguard.starlette.requires("read")(lambda: None)


def test_a_decorator_without_middleware_says_so() -> None:
    """A request to a decorated endpoint without the middleware is an error that says how to add it."""
    app = Starlette(routes=[Route("/", authguard.starlette.requires("read")(lambda request: None))])
    with pytest.raises(RuntimeError, match=r"install\(app, guard\) .*add_middleware"):
        ask_asgi(app, "GET", "/")


# FastAPI


def api(**options: Any) -> FastAPI:
    """Return an application with open and protected routes, and a guard."""
    app = FastAPI()

    @app.get("/open")
    async def _open() -> str:
        return "open"

    @app.get("/items/{item}")
    async def _item(item: str) -> str:
        return item

    @app.get("/me")
    async def _me(user: CurrentUser) -> str:
        return user.subject

    @app.get("/write")
    async def _write(user: Annotated[Principal, Security(current_user, scopes=["write"])]) -> str:
        return user.subject

    @app.websocket("/ws")
    async def _ws(websocket: WebSocket, user: CurrentUser) -> None:
        await websocket.accept()
        await websocket.send_text(user.subject)
        await websocket.close()

    install(app, guard(public_paths=["/open", "/me", "/write", "/ws", "/openapi.json"], **options))
    return app


def test_dependency_on_http() -> None:
    """A refusal of a dependency has the same fields as one of the middleware."""
    app = api()
    refused = ask_asgi(app, "GET", "/me")
    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")
    assert refused.headers["www-authenticate"] == 'Bearer realm="api"'
    assert ask_asgi(app, "GET", "/me", [FIELD]).body == b'"somebody"'


def test_dependency_with_scopes() -> None:
    """`Security(current_user, scopes=…)` requires the scopes."""
    refused = ask_asgi(api(), "GET", "/write", [FIELD])
    assert refused.status == 403
    assert 'scope="write"' in refused.headers["www-authenticate"]


def test_dependency_on_a_websocket() -> None:
    """A dependency on a websocket denies the handshake before it is accepted."""
    client = TestClient(api())
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/ws"):
        pass
    assert denied.value.status_code == 401
    with client.websocket_connect("/ws", headers=HEADERS) as websocket:
        assert websocket.receive_text() == "somebody"


def test_dependency_in_a_mounted_application() -> None:
    """A dependency in a mounted FastAPI application answers in the form of the guard."""
    inner = FastAPI()

    @inner.get("/me")
    async def _me(user: CurrentUser) -> str:
        return user.subject

    app = FastAPI()
    app.mount("/sub", inner)
    app.add_middleware(AuthGuardMiddleware, guard=open_guard())
    refused = ask_asgi(app, "GET", "/sub/me")
    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")


def test_the_application_s_own_handler_comes_first() -> None:
    """An exception handler of the application for refusals answers them."""
    app = api()

    @app.exception_handler(RefusedHTTPException)
    async def _handle(request: Any, error: RefusedHTTPException) -> JSONResponse:
        return JSONResponse({"mine": error.status_code}, error.status_code)

    assert ask_asgi(app, "GET", "/me").body == b'{"mine":401}'


def test_fastapi_decorator_needs_no_request() -> None:
    """A decorated path operation keeps its parameters, and has no new one in the document."""
    app = FastAPI()

    @app.get("/a/{number}")
    @authguard.fastapi.requires("read")
    def _a(number: int, size: int = 1) -> int:
        return number * size

    @app.get("/b")
    @authguard.fastapi.requires("write")
    async def _b() -> str:
        return "in"

    app.add_middleware(AuthGuardMiddleware, guard=open_guard())
    assert ask_asgi(app, "GET", "/a/2?size=3", [FIELD]).body == b"6"
    assert ask_asgi(app, "GET", "/a/2").status == 401
    assert ask_asgi(app, "GET", "/b", [FIELD]).status == 403
    names = [parameter["name"] for parameter in app.openapi()["paths"]["/a/{number}"]["get"]["parameters"]]
    assert names == ["number", "size"]


def test_openapi_marks_what_is_protected() -> None:
    """The document marks paths that are protected by a rule or a dependency, and no public path."""
    app = api()
    document = app.openapi()
    assert set(document["components"]["securitySchemes"]) == {"Bearer"}
    security = {path: operations["get"].get("security") for path, operations in document["paths"].items()}
    assert security["/open"] is None
    assert {"Bearer": []} in security["/items/{item}"]
    assert {"Bearer": []} in security["/me"]
    assert app.openapi() == document
    install(app, app.state.authguard)
    assert len(app.user_middleware) == 1


def test_openapi_says_how_one_must_have_signed_in() -> None:
    """The description of a 401 names the required sign-in, unless the route has a description."""
    app = FastAPI()

    @app.get("/bank")
    async def _bank() -> str:
        return ""

    @app.get("/vault", responses={401: {"description": "Mine."}})
    async def _vault(user: CurrentUser) -> str:
        return ""

    @app.get("/shop")
    async def _shop() -> str:
        return ""

    rules = [Rule("/", scopes=["x"]), Rule("/bank", scopes=["x"], max_age=60), Rule("/vault", acr=["b", "a"])]
    jwt = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer="i", audience="a")
    install(app, Guard(jwt, protected_paths=rules))
    for _ in range(2):
        paths = app.openapi()["paths"]
        assert paths["/bank"]["get"]["responses"]["401"]["description"] == (
            "No user is signed in, or not in the required way: a sign-in at most 60 seconds ago."
        )
        assert paths["/vault"]["get"]["responses"]["401"] == {"description": "Mine."}
        assert "sign-in" not in paths["/shop"]["get"]["responses"]["401"]["description"]


def test_openapi_names_the_field_for_keys() -> None:
    """The document has the configured name of the field for keys."""
    app = FastAPI()

    @app.get("/x")
    async def _x() -> str:
        return ""

    keys = {"sk_live_" + secrets.token_urlsafe(32): APIKey("robot")}
    install(app, Guard(APIKeyVerifier(keys, header="X-Token")))
    assert app.openapi()["components"]["securitySchemes"]["APIKey"]["name"] == "x-token"


def test_openapi_offers_keys_beside_tokens() -> None:
    """Operations of a guard with tokens and keys name both, each together with schemes of the application."""
    app = FastAPI()
    other = APIKeyCookie(name="session")

    @app.get("/mine")
    async def _mine(user: CurrentUser) -> str:
        return user.subject

    @app.get("/theirs")
    async def _theirs(session: Annotated[str, Security(other)]) -> str:
        return session

    keys = {"sk_live_" + secrets.token_urlsafe(32): APIKey("robot")}
    install(app, Guard(APIKeyVerifier(keys)))
    for _ in range(2):
        paths = app.openapi()["paths"]
        assert paths["/mine"]["get"]["security"] == [{"Bearer": []}, {"APIKey": []}]
        both: dict[str, list[str]] = {"APIKeyCookie": []}
        assert paths["/theirs"]["get"]["security"] == [{"Bearer": [], **both}, {"APIKey": [], **both}]


def test_user_loader_in_a_dependency() -> None:
    """The dependency returns the user of `user_loader`."""

    class User:
        name = "Ada"

    app = FastAPI()

    @app.get("/me")
    async def _me(user: Annotated[User, Depends(current_user)]) -> str:
        return user.name

    app.add_middleware(AuthGuardMiddleware, guard=guard(user_loader=lambda principal: User()))
    assert ask_asgi(app, "GET", "/me", [FIELD]).body == b'"Ada"'


def test_http_exceptions_of_the_application_are_left_alone() -> None:
    """The exception handler of the guard does not answer other exceptions of the application."""
    app = api()

    @app.get("/teapot")
    async def _teapot() -> None:
        raise HTTPException(418, "short")

    assert ask_asgi(app, "GET", "/teapot", [FIELD]).body == b'{"detail":"short"}'


# Flask


def site(**options: Any) -> flask.Flask:
    """Return a public Flask application with decorated views of each kind."""
    app = flask.Flask("site")

    @app.get("/async")
    @authguard.flask.requires("read")
    async def _async() -> str:
        return authguard.flask.current_user.subject

    @authguard.flask.requires("read")
    class Whole(flask.views.MethodView):
        def get(self) -> str:
            return "in"

    app.add_url_rule("/class", view_func=Whole.as_view("class"))
    authguard.flask.init_app(app, open_guard(), **options)
    return app


def test_flask_async_views() -> None:
    """An `async def` view is awaited."""
    pytest.importorskip("asgiref")
    assert ask_wsgi(site(), "GET", "/async", [FIELD]).body == b"somebody"
    assert ask_wsgi(site(), "GET", "/async").status == 401


def test_flask_view_classes() -> None:
    """A decorated view class requires a caller for its methods."""
    assert ask_wsgi(site(), "GET", "/class", [FIELD]).status == 200
    assert ask_wsgi(site(), "GET", "/class").status == 401


def test_flask_error_handlers_see_refusals() -> None:
    """With `error_handlers=True`, refusals go through the 401 handler and the `after_request` functions."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, guard(), error_handlers=True)
    app.register_error_handler(401, lambda error: (f"mine: {error.refusal.error.code}", 401))
    app.after_request(lambda response: response.headers.update({"X-After": "yes"}) or response)
    answer = ask_wsgi(app, "GET", "/")
    assert (answer.status, answer.body, answer.headers["x-after"]) == (
        401,
        b"mine: missing_credentials",
        "yes",
    )


def test_a_flask_error_handler_that_raises_lets_nobody_in() -> None:
    """A handler that raises makes the refusal a 500."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, guard(), error_handlers=True)
    app.register_error_handler(401, lambda error: 1 / 0)
    assert ask_wsgi(app, "GET", "/").status == 500


def test_current_user_without_middleware_says_so() -> None:
    """`current_user` without the middleware is an error, and not an anonymous caller."""
    app = flask.Flask("site")
    app.add_url_rule("/", view_func=lambda: authguard.flask.current_user.subject)
    app.testing = True
    with pytest.raises(RuntimeError, match=r"AuthGuardMiddleware .*init_app\(app, guard\)"):
        ask_wsgi(app, "GET", "/")


# WSGI


def test_wsgi_streams_and_closes() -> None:
    """The middleware returns the iterable of the application itself, so that the server can close it."""

    class Body:
        def __iter__(self) -> Any:
            return iter([b"a", b"b"])

        def close(self) -> None: ...

    body = Body()
    middleware = authguard.wsgi.AuthGuardMiddleware(lambda environ, start: body, guard=open_guard())  # type: ignore
    assert middleware({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None) is body


def test_wsgi_remote_user_is_nobody() -> None:
    """A field named `Remote-User` is no credential."""
    middleware = authguard.wsgi.AuthGuardMiddleware(lambda environ, start: [], guard=guard())
    answer = ask_wsgi(middleware, "GET", "/", [("Remote-User", b"root")])
    assert answer.status == 401


def test_wsgi_exc_info_is_passed_on() -> None:
    """The third argument of `start_response` is passed on with the added fields."""
    keys = {"sk_live_" + "k3y" * 12: APIKey("robot")}
    passed: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 Oops", [("Cache-Control", "public")], ("exc", "info", None))
        return []

    middleware = authguard.wsgi.AuthGuardMiddleware(app, guard=Guard(APIKeyVerifier(keys)))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_API_KEY": "sk_live_" + "k3y" * 12}
    middleware(environ, lambda *given: passed.extend(given))
    assert passed == [
        "500 Oops",
        [("Cache-Control", "public"), ("vary", "x-api-key")],
        ("exc", "info", None),
    ]


def test_flask_handlers_may_look_at_the_caller() -> None:
    """The caller is anonymous in a handler of a refusal."""
    app = flask.Flask("site")
    authguard.flask.init_app(app, guard(), error_handlers=True)
    app.register_error_handler(401, lambda error: (f"<{authguard.flask.current_user.subject}>", 401))
    assert ask_wsgi(app, "GET", "/").body == b"<>"
