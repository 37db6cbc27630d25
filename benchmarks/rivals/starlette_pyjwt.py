"""Use Starlette's AuthenticationMiddleware with PyJWT in the backend, and `requires` on the endpoint."""

from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
    requires,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route

from benchmarks.apps import ALL, Contestant, page, starlette
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


class Backend(AuthenticationBackend):
    def __init__(self, issuer: Issuer) -> None:
        self.algorithm = issuer.algorithm
        # The key object is faster than PEM text, which PyJWT parses for each token.
        self.key = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)

    def decode(self, token: str) -> dict[str, Any]:
        return jwt.decode(token, self.key, algorithms=[self.algorithm], audience=AUDIENCE, issuer=ISSUER)

    async def authenticate(self, conn: Any) -> Any:
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self.decode(token)
        except Exception as error:
            raise AuthenticationError("bad token") from error
        return AuthCredentials(["authenticated", *claims.get("scope", "").split()]), SimpleUser(claims["sub"])


def guarded(backend: AuthenticationBackend) -> Starlette:
    return Starlette(
        routes=[Route("/p", requires("authenticated")(page))],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    )


RIVAL = Contestant(
    "Starlette AuthenticationMiddleware + PyJWT", "pyjwt", starlette,
    lambda issuer: guarded(Backend(issuer)), algorithms=ALL,
)  # fmt: skip
