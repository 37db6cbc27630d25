"""Use Flask-HTTPAuth: `login_required` on the view; its callback calls PyJWT."""

from typing import Any

import flask
import jwt
from flask_httpauth import HTTPTokenAuth

from benchmarks.apps import Contestant, flask_app
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


def build(issuer: Issuer) -> flask.Flask:
    auth = HTTPTokenAuth(scheme="Bearer")
    key = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)

    @auth.verify_token
    def verify_token(token: str) -> Any:
        try:
            return jwt.decode(token, key, algorithms=[issuer.algorithm], audience=AUDIENCE, issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None

    return flask_app(auth.login_required)


RIVAL = Contestant("Flask-HTTPAuth login_required + PyJWT", "flask-httpauth", flask_app, build, wsgi=True)
