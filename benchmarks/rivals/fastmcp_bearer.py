"""Use fastmcp's JWTVerifier behind its bearer middleware."""

from fastmcp.server.auth.middleware import RequireAuthMiddleware
from fastmcp.server.auth.providers.jwt import JWTVerifier
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.apps import Contestant
from benchmarks.rivals.mcp_bearer import bare, endpoint
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


def build(issuer: Issuer) -> Starlette:
    verifier = JWTVerifier(
        public_key=issuer.verification, algorithm=issuer.algorithm, issuer=ISSUER, audience=AUDIENCE
    )
    return Starlette(
        routes=[Route("/p", RequireAuthMiddleware(endpoint, []))], middleware=verifier.get_middleware()
    )


RIVAL = Contestant("fastmcp JWTVerifier", "fastmcp", bare, build, algorithms=("HS256", "RS256"))
