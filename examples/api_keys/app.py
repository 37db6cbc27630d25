"""Serve an application that accepts the API keys and access tokens of the identity service.

See docs/identity.md. The application reads keys, revocations and tiers from the database of the service. Run
it beside the service:

    authguard serve --dev --database sqlite:///authguard.db
    uvicorn examples.api_keys.app:app --port 8001

Give both the same AUTHGUARD_SECRET.
"""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import SQLAPIKeys, SQLRevocations, tier_quotas

DATABASE = os.environ.get("AUTHGUARD_DATABASE", "sqlite:///authguard.db")
ISSUER = os.environ.get("AUTHGUARD_ISSUER", "http://127.0.0.1:8000")

guard = Guard(
    SQLAPIKeys(DATABASE, issuer=ISSUER),
    JWTVerifier(
        os.environ["AUTHGUARD_SECRET"],
        algorithms=["HS256"],
        issuer=ISSUER,
        audience=ISSUER,
        tier_claim="tier",  # only tokens that were issued for a key have this claim
    ),
    revocations=SQLRevocations(DATABASE),
    # The default limits of tiers; tokens of signed-in users have no tier, and so no limit.
    quotas=tier_quotas(),
)


def projects(request: Request) -> JSONResponse:
    """List the projects of the caller."""
    return JSONResponse({"projects": [{"name": "First project", "owner": request.user.subject}]})


def balance(request: Request) -> JSONResponse:
    """Return the credits of the caller."""
    return JSONResponse({"balance": 100, "owner": request.user.subject})


app = Starlette(
    routes=[
        Route(f"{prefix}{path}", endpoint)
        for prefix in ("/v1", "/api/v1")
        for path, endpoint in (("/database/projects", projects), ("/public/credits/balance", balance))
    ],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
