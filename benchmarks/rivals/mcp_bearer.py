"""Use the bearer middleware of the mcp SDK; its verifier calls PyJWT."""

from typing import Any

import jwt
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.apps import Contestant
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


class Verifier:
    def __init__(self, issuer: Issuer) -> None:
        self.algorithm = issuer.algorithm
        self.key = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            claims = jwt.decode(
                token, self.key, algorithms=[self.algorithm], audience=AUDIENCE, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
            subject=claims["sub"],
        )


async def endpoint(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("ok")(scope, receive, send)


def build(issuer: Issuer) -> Starlette:
    backend = BearerAuthBackend(Verifier(issuer), resource_server_url=AnyHttpUrl(AUDIENCE))
    return Starlette(
        routes=[Route("/p", RequireAuthMiddleware(endpoint, []))],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend), Middleware(AuthContextMiddleware)],
    )


def bare() -> Starlette:
    class Endpoint:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await endpoint(scope, receive, send)

    return Starlette(routes=[Route("/p", Endpoint())])


RIVAL = Contestant("mcp SDK bearer middleware + PyJWT", "mcp", bare, build)
