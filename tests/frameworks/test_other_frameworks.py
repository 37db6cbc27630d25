"""The CORS layers of Litestar, Quart, Falcon and Bottle are not found, and work by `preflight="pass"`."""

from collections.abc import Callable
from typing import Any

import pytest

from frameworks.support import need

need("litestar", "quart", "quart_cors", "falcon", "bottle")

pytestmark = pytest.mark.frameworks

import bottle
import falcon
import falcon.asgi
import litestar
import quart
import quart_cors
from litestar.config.cors import CORSConfig

from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_asgi, preflight_wsgi
from authguard import asgi, wsgi

BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])
Ask = Callable[..., Any]


def _litestar(ran: list[str]) -> Any:
    @litestar.get("/private")
    async def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    return litestar.Litestar(
        [page], cors_config=CORSConfig(allow_origins=[SPA]), openapi_config=None, logging_config=None
    )


def _litestar_mount(ran: list[str]) -> Any:
    @litestar.asgi("/private", is_mount=True, copy_scope=True)
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        ran.append("plain")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": SECRET_TEXT.encode()})

    return litestar.Litestar(
        [plain], cors_config=CORSConfig(allow_origins=[SPA]), openapi_config=None, logging_config=None
    )


def _quart(ran: list[str]) -> Any:
    app = quart.Quart("app")

    @app.get("/private")
    async def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    return quart_cors.cors(app, allow_origin=[SPA], allow_headers=["authorization"])


def _quart_by_hand(ran: list[str]) -> Any:
    app = quart.Quart("app")

    @app.get("/private")
    async def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    @app.after_request
    async def cors(response: Any) -> Any:
        response.headers["Access-Control-Allow-Origin"] = SPA
        response.headers["Set-Cookie"] = "tracker=1"
        return response

    return app


class _Resource:
    def __init__(self, ran: list[str]) -> None:
        self.ran = ran

    def on_get(self, request: Any, response: Any) -> None:
        self.ran.append("page")
        response.text = SECRET_TEXT


class _AsyncResource(_Resource):
    async def on_get(self, request: Any, response: Any) -> None:
        self.ran.append("page")
        response.text = SECRET_TEXT


def _falcon(ran: list[str]) -> Any:
    app = falcon.App(middleware=[falcon.CORSMiddleware(allow_origins=SPA)])
    app.add_route("/private", _Resource(ran))
    return app


def _falcon_asgi(ran: list[str]) -> Any:
    app = falcon.asgi.App(middleware=[falcon.CORSMiddleware(allow_origins=SPA)])
    app.add_route("/private", _AsyncResource(ran))
    return app


def _bottle(ran: list[str]) -> Any:
    app = bottle.Bottle()

    @app.hook("after_request")
    def cors() -> None:
        bottle.response.set_header("Access-Control-Allow-Origin", SPA)
        bottle.response.set_header("X-Secret", SECRET_TEXT)

    @app.route("/private", method="GET")
    def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    @app.route("/private", method="OPTIONS")
    def options() -> str:
        return SECRET_TEXT

    return app


def _wsgi(app: Any, body: bytes = b"", **options: Any) -> Any:
    return preflight_wsgi(wsgi.AuthGuardMiddleware(app, guard=guard(**options)), "/private", body)


def _asgi(app: Any, body: bytes = b"", **options: Any) -> Any:
    return preflight_asgi(asgi.AuthGuardMiddleware(app, guard=guard(**options)), "/private", body)


CORS: dict[str, tuple[Callable[[list[str]], Any], Ask]] = {
    "Litestar": (_litestar, _asgi),
    "Litestar with a mount": (_litestar_mount, _asgi),
    "Quart": (_quart, _asgi),
    "Quart, by hand": (_quart_by_hand, _asgi),
    "Falcon on WSGI": (_falcon, _wsgi),
    "Falcon on ASGI": (_falcon_asgi, _asgi),
    "Bottle": (_bottle, _wsgi),
}


@BODIES
@pytest.mark.parametrize("name", CORS)
def test_passed_on_the_cors_layer_answers(name: str, body: bytes, ran: list[str]) -> None:
    """With `preflight="pass"` the CORS layer answers with CORS fields alone."""
    make, ask = CORS[name]
    answer = ask(make(ran), body, preflight="pass")
    assert answer.allows, answer
    assert (answer.body, ran) == (b"", [])
    assert SECRET_TEXT not in str(answer.headers)
    assert "set-cookie" not in answer.headers


@BODIES
@pytest.mark.parametrize("name", CORS)
def test_a_layer_that_is_not_found_is_warned_of(
    name: str, body: bytes, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A layer that is not found gets a warning that names `preflight="pass"`."""
    make, ask = CORS[name]
    answer = ask(make(ran), body)
    assert (answer.status, answer.headers, answer.body, answer.read, ran) == (204, {}, b"", [], [])
    warnings = [record.getMessage() for record in caplog.records if record.name == "authguard"]
    assert len(warnings) == 1
    assert 'Guard(preflight="pass")' in warnings[0]


def _bottle_any(ran: list[str]) -> Any:
    app = bottle.Bottle()

    @app.route("/private", method="ANY")
    def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    return app


def _litestar_route(ran: list[str]) -> Any:
    @litestar.route("/private", http_method=["GET", "OPTIONS"])
    async def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    return litestar.Litestar([page], openapi_config=None, logging_config=None)


def _quart_route(ran: list[str]) -> Any:
    app = quart.Quart("app")

    @app.route("/private", methods=["GET", "OPTIONS"])
    async def page() -> str:
        ran.append("page")
        return SECRET_TEXT

    return app


def _falcon_sink(ran: list[str]) -> Any:
    app = falcon.App()

    def sink(request: Any, response: Any, **_: Any) -> None:
        ran.append("sink")
        response.text = SECRET_TEXT

    app.add_sink(sink, "/private")
    return app


ATTACKED: dict[str, tuple[Callable[[list[str]], Any], Ask]] = {
    "Bottle with ANY": (_bottle_any, _wsgi),
    "Litestar": (_litestar_route, _asgi),
    "Quart": (_quart_route, _asgi),
    "Falcon's sink": (_falcon_sink, _wsgi),
}


@BODIES
@pytest.mark.parametrize("name", ATTACKED)
def test_no_handler_runs(name: str, body: bytes, ran: list[str]) -> None:
    """A handler of any method does not run for a preflight, and its body is not read."""
    make, ask = ATTACKED[name]
    answer = ask(make(ran), body)
    assert (answer.status, answer.headers, answer.body, answer.read, ran) == (204, {}, b"", [], [])


@pytest.mark.parametrize("name", ATTACKED)
def test_an_open_path_is_as_before(name: str, ran: list[str]) -> None:
    """The same handlers run on a public path, as a control of these tests."""
    make, ask = ATTACKED[name]
    assert ask(make(ran), public_paths=["/private"]).body == SECRET_TEXT.encode()
    assert len(ran) == 1
