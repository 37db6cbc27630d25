"""Serve an application on several machines that share logouts by Redis; see docs/machines.md.

Run this file as a program to print an access token that is valid for an hour.
"""

import os
import sys

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.stores import RedisStore
from authguard.testing import issue_token

SECRET = os.environ.get("JWT_SECRET", "an example's own secret, which nobody else uses: 8f21")
TOKEN_LIFETIME = 3600.0
LEEWAY = 30.0

store = RedisStore(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
guard = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], issuer="https://auth.example.com", audience="machines"),
    public_paths=["/health"],
    revocations=store.revocations,
)


def me(request: Request) -> JSONResponse:
    """Return the subject of the caller."""
    return JSONResponse({"user": request.user.subject})


def log_out(request: Request) -> JSONResponse:
    """Refuse the caller's token on every machine, from the next request on."""
    caller = request.user
    receipt = store.revocations.revoke(
        token_id=caller.token_id, issuer=caller.issuer, until=caller.expires_at + LEEWAY, wait=True
    )
    return JSONResponse({"sequence": receipt.sequence})


def health(request: Request) -> JSONResponse:
    """Return the state of the stores and remotes of the guard."""
    return JSONResponse({part.name: part.state for part in guard.health()})


app = Starlette(
    routes=[Route("/me", me), Route("/logout", log_out, methods=["POST"]), Route("/health", health)],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)

if __name__ == "__main__":
    claims = {"iss": "https://auth.example.com", "aud": "machines", "jti": os.urandom(16).hex()}
    sys.stdout.write(issue_token(SECRET, subject="ada", expires_in=TOKEN_LIFETIME, **claims) + "\n")
