"""Use Flask-Login: `login_required`, `user_loader`, and its session cookie; users are in memory."""

from typing import Any

import flask
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user

from benchmarks.traffic import USUAL_FIELDS, Field

SUBJECT = "42"


class User(UserMixin):
    id = SUBJECT


USERS = {SUBJECT: User()}


def build() -> flask.Flask:
    app = flask.Flask("flask_login")
    app.secret_key = "b3nch-0nly-Secret-of-enough-bytes-9Qx"
    manager = LoginManager(app)

    @manager.user_loader
    def load(subject: str) -> Any:
        return USERS.get(subject)

    @app.get("/p")
    @login_required
    def view() -> str:
        return "ok" if current_user.id else ""

    @app.post("/login")
    def login() -> str:
        login_user(USERS[SUBJECT])
        return "ok"

    return app


def cookie(app: flask.Flask) -> Field:
    """Sign in with the browser of `traffic.USUAL_FIELDS`, to which Flask-Login binds the session."""
    agent = dict(USUAL_FIELDS)["user-agent"]
    answer = app.test_client().post("/login", headers={"User-Agent": agent})
    return ("cookie", answer.headers["Set-Cookie"].partition(";")[0])
