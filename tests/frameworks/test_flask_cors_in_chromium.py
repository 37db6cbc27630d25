"""Flask-CORS behind the guard, with a page of another origin in a real browser."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from frameworks.support import need

need("flask_cors", "selenium", "uvicorn")

pytestmark = pytest.mark.frameworks

import flask
from flask_cors import CORS, cross_origin
from selenium import webdriver

import authguard.flask
from authguard import Quota, Rule
from authguard.testing import issue_token
from browser.cors import SECRET, empty_page, fetch, guard, wsgi_server
from browser.support import CHROMIUM, DRIVER, Browsers


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{' and '.join(missing)} not installed")
    browsers = Browsers(tmp_path_factory.mktemp("profiles"))
    yield browsers
    browsers.quit()


@pytest.fixture
def browser(browsers: Browsers) -> Iterator[webdriver.Chrome]:
    with browsers.use() as driver:
        yield driver


def _notes() -> Any:
    return flask.jsonify(f"{authguard.flask.current_user.subject}: {flask.request.get_data(as_text=True)}")


def _init_app(app: flask.Flask, origin: str) -> None:
    CORS(app, origins=[origin])
    app.add_url_rule("/notes", "notes", _notes, methods=["PUT"])


def _decorated(app: flask.Flask, origin: str) -> None:
    app.add_url_rule("/notes", "notes", cross_origin(origins=[origin])(_notes), methods=["PUT"])


@pytest.mark.parametrize("preflight", ["answer", "pass"])
@pytest.mark.parametrize("guard_first", [True, False], ids=["guard added first", "CORS added first"])
@pytest.mark.parametrize("cors", [_init_app, _decorated], ids=["init_app", "cross_origin"])
def test_a_page_of_an_allowed_origin_reads_the_answer(
    browser: webdriver.Chrome, cors: Any, guard_first: bool, preflight: Any
) -> None:
    """A page of an allowed origin reads the answer in both orders, and a page of another origin cannot."""
    with empty_page() as page:
        app = flask.Flask("app")
        for step in (True, False):
            if step is guard_first:
                authguard.flask.init_app(app, guard(preflight=preflight))
            else:
                cors(app, page)
        with wsgi_server(app) as api, empty_page("127.0.0.1") as other:
            status, text = fetch(browser, page, f"{api}/notes")
            assert (status, text.strip()) == (200, '"somebody: text"')
            assert fetch(browser, other, f"{api}/notes") == (0, "TypeError")


@pytest.mark.parametrize("guard_first", [True, False], ids=["guard added first", "CORS added first"])
@pytest.mark.parametrize("cors", [_init_app, _decorated], ids=["init_app", "cross_origin"])
def test_a_page_of_an_allowed_origin_reads_refusals(
    browser: webdriver.Chrome, cors: Any, guard_first: bool
) -> None:
    """A page of an allowed origin reads each refusal, and a page of another origin cannot."""

    def load(principal: Any) -> Any:
        if principal.subject == "down":
            raise ConnectionError("down")
        return principal

    rules = {"protected_paths": [Rule("/notes", scopes=["write"])], "quotas": [Quota(1, 60)]}
    with empty_page() as page:
        app = flask.Flask("app")
        for step in (True, False):
            if step is guard_first:
                authguard.flask.init_app(app, guard(user_loader=load, **rules))
            else:
                cors(app, page)
        with wsgi_server(app) as api, empty_page("127.0.0.1") as other:

            def status(
                *, subject: str = "ann", scopes: Any = ("write",), text: str = "", origin: str = page
            ) -> int:
                token = text or issue_token(SECRET, subject=subject, scopes=scopes, expires_in=3600)
                return fetch(browser, origin, f"{api}/notes", token)[0]

            assert status(text="two words") == 400
            assert status(text="forged") == 401
            assert status(scopes=()) == 403
            assert status(subject="down") == 503
            assert [status(), status()] == [200, 429]
            assert status(text="forged", origin=other) == 0
