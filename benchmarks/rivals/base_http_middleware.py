"""Use PyJWT in a BaseHTTPMiddleware, as many applications do."""

from typing import Any

import jwt
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse

from benchmarks.apps import Contestant, starlette
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


class Auth(BaseHTTPMiddleware):
    def __init__(self, app: Any, issuer: Issuer) -> None:
        super().__init__(app)
        self.algorithm = issuer.algorithm
        self.key = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return JSONResponse({"detail": "Not authenticated"}, 401, {"WWW-Authenticate": "Bearer"})
        try:
            claims = jwt.decode(
                token, self.key, algorithms=[self.algorithm], audience=AUDIENCE, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            return JSONResponse({"detail": "Bad token"}, 401, {"WWW-Authenticate": "Bearer"})
        request.state.user = claims
        return await call_next(request)


RIVAL = Contestant(
    "BaseHTTPMiddleware by hand + PyJWT", "starlette", starlette,
    lambda issuer: starlette(Middleware(Auth, issuer=issuer)),
)  # fmt: skip
