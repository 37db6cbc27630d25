"""A page of another origin that calls a guarded API with a token, with the preflights of the browser."""

from typing import Any

import flask
import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from selenium import webdriver

import authguard.flask
from authguard.asgi import AuthGuardMiddleware
from browser.cors import asgi_server, empty_page, fetch, guard, wsgi_server

pytestmark = pytest.mark.slow

ORDERS = pytest.mark.parametrize("guard_first", [True, False], ids=["guard added first", "CORS added first"])


def _fastapi(origin: str, *, guard_first: bool) -> FastAPI:
    app = FastAPI()

    @app.put("/notes")
    async def notes(request: Request) -> str:
        return f"{request.user.subject}: {(await request.body()).decode()}"

    for step in (True, False):
        if step is guard_first:
            app.add_middleware(AuthGuardMiddleware, guard=guard())
        else:
            app.add_middleware(
                CORSMiddleware, allow_origins=[origin], allow_methods=["PUT"], allow_headers=["authorization"]
            )
    return app


def _flask(origin: str, *, guard_first: bool) -> flask.Flask:
    app = flask.Flask("app")

    def cors(response: flask.Response) -> flask.Response:
        if flask.request.headers.get("Origin") == origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = "PUT"
            response.headers["Access-Control-Allow-Headers"] = "authorization"
        response.vary.add("Origin")
        return response

    @app.put("/notes")
    def notes() -> Any:
        return flask.jsonify(
            f"{authguard.flask.current_user.subject}: {flask.request.get_data(as_text=True)}"
        )

    for step in (True, False):
        if step is guard_first:
            authguard.flask.init_app(app, guard())
        else:
            app.after_request(cors)
    return app


FACES = pytest.mark.parametrize(
    ("make", "serve"), [(_fastapi, asgi_server), (_flask, wsgi_server)], ids=["fastapi", "flask"]
)


@ORDERS
@FACES
def test_a_page_of_an_allowed_origin_reads_the_answer(
    browser: webdriver.Chrome, make: Any, serve: Any, guard_first: bool
) -> None:
    """A page of an allowed origin reads the answer, in both orders of guard and CORS layer."""
    with empty_page() as page, serve(make(page, guard_first=guard_first)) as api:
        status, text = fetch(browser, page, f"{api}/notes")
    assert (status, text.strip()) == (200, '"somebody: text"')


@ORDERS
@FACES
def test_a_page_of_another_origin_does_not(
    browser: webdriver.Chrome, make: Any, serve: Any, guard_first: bool
) -> None:
    """A page of another origin cannot read the answer."""
    with empty_page() as page, serve(make("https://spa.example", guard_first=guard_first)) as api:
        assert fetch(browser, page, f"{api}/notes") == (0, "TypeError")


@ORDERS
def test_a_page_of_an_allowed_origin_reads_a_refusal(browser: webdriver.Chrome, guard_first: bool) -> None:
    """A page of an allowed origin reads the refusal of an invalid token."""
    with empty_page() as page, asgi_server(_fastapi(page, guard_first=guard_first)) as api:
        status, text = fetch(browser, page, f"{api}/notes", "bad")
    assert (status, "invalid_token" in text) == (401, True)


@FACES
def test_without_a_cors_layer_no_page_of_another_origin_calls(
    browser: webdriver.Chrome, make: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a CORS layer a page cannot read the answer, and the log has one warning with advice."""
    app = FastAPI() if make is _fastapi else flask.Flask("app")
    if isinstance(app, FastAPI):
        app.add_middleware(AuthGuardMiddleware, guard=guard())
    else:
        authguard.flask.init_app(app, guard())
    with empty_page() as page, serve(app) as api:
        assert fetch(browser, page, f"{api}/notes") == (0, "TypeError")
    warnings = [record.getMessage() for record in caplog.records if record.name == "authguard"]
    assert len(warnings) == 1
    assert 'preflight="pass"' in warnings[0]
