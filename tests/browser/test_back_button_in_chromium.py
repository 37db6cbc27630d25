"""The back button after signing out, on a page that a cookie has opened, in a real browser."""

from typing import Any

import flask
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from selenium import webdriver
from selenium.webdriver.common.by import By

from authguard import AccessCookie, Guard, TokenIssuer
from authguard.fastapi import install
from authguard.flask import current_user, init_app
from browser.cors import SECRET, asgi_server, wsgi_server
from browser.support import leave, press

pytestmark = pytest.mark.slow

TOKENS = TokenIssuer(SECRET, issuer="https://site.example", audience="site")
FORM = '<form method="post" action="/{0}"><button>{0}</button></form>'


def _guard(cookie: AccessCookie) -> Guard:
    return Guard(TOKENS.verifier(), cookie=cookie, login_path="/login", public_paths=["/logout"])


def _flask(cookie: AccessCookie) -> flask.Flask:
    app = flask.Flask("app")
    init_app(app, _guard(cookie))

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if flask.request.method == "GET":
            return FORM.format("login")
        response = flask.redirect("/page", 303)
        response.headers.add("Set-Cookie", cookie.issue(TOKENS.issue("ann"), max_age=60))
        return response

    @app.post("/logout")
    def logout() -> Any:
        response = flask.redirect("/login", 303)
        response.headers.add("Set-Cookie", cookie.clear())
        return response

    @app.get("/page")
    def page() -> str:
        return f"secret of {current_user.subject}" + FORM.format("logout")

    return app


def _fastapi(cookie: AccessCookie) -> FastAPI:
    app = FastAPI()
    install(app, _guard(cookie))

    @app.get("/login")
    async def form() -> Response:
        return HTMLResponse(FORM.format("login"))

    @app.post("/login")
    async def login() -> Response:
        set_cookie = {"Set-Cookie": cookie.issue(TOKENS.issue("ann"), max_age=60)}
        return RedirectResponse("/page", 303, set_cookie)

    @app.post("/logout")
    async def logout() -> Response:
        return RedirectResponse("/login", 303, {"Set-Cookie": cookie.clear()})

    @app.get("/page")
    async def page(request: Request) -> Response:
        return HTMLResponse(f"secret of {request.user.subject}" + FORM.format("logout"))

    return app


@pytest.mark.parametrize(
    ("make", "serve"), [(_fastapi, asgi_server), (_flask, wsgi_server)], ids=["fastapi", "flask"]
)
@pytest.mark.parametrize("no_store", [True, False], ids=["no-store", "without"])
def test_the_back_button_after_signing_out(
    browser: webdriver.Chrome, make: Any, serve: Any, no_store: bool
) -> None:
    """With `no_store` the back button leads to the login page, and without it to the cached page."""
    with serve(make(AccessCookie(secure=False, no_store=no_store))) as url:
        browser.get(f"{url}/page")
        press(browser)
        assert "secret of ann" in browser.find_element(By.TAG_NAME, "body").text
        press(browser)
        leave(browser, browser.back)
        assert browser.current_url.startswith(f"{url}/{'login?next=' if no_store else 'page'}")
        assert ("secret" in browser.page_source) is not no_store
