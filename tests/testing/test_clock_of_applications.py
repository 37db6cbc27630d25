"""The functions that put a guard around an application accept the clock of a test."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.testclient import TestClient

import authguard.fastapi
import authguard.flask
from authguard import Guard
from authguard.errors import ConfigurationError
from authguard.fastapi import CurrentUser
from authguard.testing import Clock, FakeIssuer

MAX_AGE = 60
Client = Any


def flask_client(guard: Guard, clock: Callable[[], float]) -> Client:
    """Return a client of a Flask application."""
    app = Flask("app")
    authguard.flask.init_app(app, guard, clock=clock)
    app.add_url_rule("/me", "me", lambda: authguard.flask.current_principal.subject)
    app.add_url_rule("/pay", "pay", authguard.flask.requires(max_age=MAX_AGE)(lambda: "paid"))
    return app.test_client()


def fastapi_client(guard: Guard, clock: Callable[[], float]) -> Client:
    """Return a client of a FastAPI application."""
    app = FastAPI()
    authguard.fastapi.install(app, guard, clock=clock)

    @app.get("/me")
    def me(user: CurrentUser) -> str:
        return user.subject

    @app.get("/pay")
    @authguard.fastapi.requires(max_age=MAX_AGE)
    def pay() -> str:
        return "paid"

    return TestClient(app)


@pytest.fixture(name="make", params=[flask_client, fastapi_client], ids=["flask", "fastapi"])
def _make(request: pytest.FixtureRequest) -> Callable[[Guard, Callable[[], float]], Client]:
    make: Callable[[Guard, Callable[[], float]], Client] = request.param
    return make


def test_a_token_grows_old(make: Any) -> None:
    """A token expires by the clock of the test."""
    clock = Clock()
    issuer = FakeIssuer(clock=clock)
    client = make(Guard(issuer.verifier()), clock)
    headers = {"Authorization": f"Bearer {issuer.issue('ada', expires_in=600)}"}
    assert client.get("/me", headers=headers).status_code == 200
    clock.advance(600 + 31)
    assert client.get("/me", headers=headers).status_code == 401


def test_a_sign_in_grows_old_for_decorators(make: Any) -> None:
    """The age of a sign-in in decorators is that of the test's clock."""
    clock = Clock()
    issuer = FakeIssuer(clock=clock)
    client = make(Guard(issuer.verifier()), clock)
    token = issuer.issue("ada", expires_in=6_000, auth_time=int(clock()))
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/pay", headers=headers).status_code == 200
    clock.advance(MAX_AGE + 31)
    assert client.get("/pay", headers=headers).status_code == 401
    assert client.get("/me", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("put", "app"), [(authguard.flask.init_app, Flask), (authguard.fastapi.install, FastAPI)]
)
def test_a_time_is_no_clock(put: Any, app: Any) -> None:
    """A number as the clock is refused when the guard is put around the application."""
    guard = Guard(FakeIssuer().verifier())
    built = app("app") if app is Flask else app()
    with pytest.raises(ConfigurationError, match="clock must be a function.* write clock=time.time"):
        put(built, guard, clock=1_800_000_000.0)
