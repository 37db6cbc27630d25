"""Use Authlib's ResourceProtector for Flask, with its validator of RFC 9068 access tokens."""

from typing import Any

import flask
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from benchmarks.apps import Contestant, flask_app
from benchmarks.rivals.starlette_joserfc import KINDS
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


class Validator(JWTBearerTokenValidator):
    def __init__(self, issuer: Issuer) -> None:
        super().__init__(issuer=ISSUER, resource_server=AUDIENCE)
        self.keys = KeySet([KINDS[issuer.algorithm].import_key(issuer.verification)])

    def get_jwks(self) -> Any:
        return self.keys


def build(issuer: Issuer) -> flask.Flask:
    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(Validator(issuer))
    return flask_app(require_oauth())


RIVAL = Contestant(
    "Authlib ResourceProtector", "authlib", flask_app, build, wsgi=True, algorithms=("HS256", "RS256")
)
