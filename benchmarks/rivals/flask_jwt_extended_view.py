"""Use Flask-JWT-Extended: `jwt_required` on the view."""

import flask
from flask_jwt_extended import JWTManager, jwt_required

from benchmarks.apps import Contestant, flask_app
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


def build(issuer: Issuer) -> flask.Flask:
    app = flask_app(jwt_required())
    app.config.update(
        JWT_ALGORITHM=issuer.algorithm,
        JWT_SECRET_KEY=issuer.verification,
        JWT_PUBLIC_KEY=issuer.verification,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_ISSUER=ISSUER,
    )
    JWTManager(app)
    return app


RIVAL = Contestant(
    "Flask-JWT-Extended jwt_required", "flask-jwt-extended", flask_app, build, wsgi=True, algorithms=("HS256", "RS256")
)  # fmt: skip
