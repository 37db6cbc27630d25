"""Use PyJWT in a `before_request` function, as many applications do."""

from typing import Any

import flask
import jwt

from benchmarks.apps import Contestant, flask_app
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


def build(issuer: Issuer) -> flask.Flask:
    app = flask_app()
    key = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)

    @app.before_request
    def authenticate() -> Any:
        scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return {"detail": "Not authenticated"}, 401, {"WWW-Authenticate": "Bearer"}
        try:
            flask.g.user = jwt.decode(
                token, key, algorithms=[issuer.algorithm], audience=AUDIENCE, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            return {"detail": "Bad token"}, 401, {"WWW-Authenticate": "Bearer"}
        return None

    return app


RIVAL = Contestant(
    "before_request by hand + PyJWT", "flask", flask_app, build, wsgi=True, algorithms=("HS256", "RS256")
)
