"""Define a guarded application, run by uvicorn as one of several processes."""

import os
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.stores import PostgresStore, RedisStore
from stores.servers import SECRET

_OFFSET = float(os.environ["CLOCK_OFFSET"])
_real_time = time.time
time.time = lambda: _real_time() + _OFFSET  # simulates a machine with a wrong clock

url = os.environ["STORE_URL"]
store = RedisStore(url) if url.startswith("redis") else PostgresStore(url)
guard = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], audience=None, issuer=None),
    public_paths=["/open"],
    revocations=store.revocations,
)


async def me(request: Request) -> Response:
    """Answer a caller."""
    return JSONResponse(request.user.subject)


async def health(request: Request) -> Response:
    """Return the state of the follower of the log."""
    told = store.revocations.health()
    return JSONResponse({"mode": told.mode, "sequence": told.sequence, "lag": told.lag})


app = Starlette(
    routes=[Route("/me", me), Route("/open", health)],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
