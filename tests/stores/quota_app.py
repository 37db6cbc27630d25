"""Define an application with quotas in Redis, run by uvicorn as one of several processes."""

import os
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authguard import Guard, JWTVerifier, Quota, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.stores import RedisQuotas
from stores.servers import SECRET

_down: Any = os.environ["QUOTAS_DOWN"]
store = RedisQuotas(
    os.environ["STORE_URL"], quotas_down=_down, processes=2 if _down == "local" else None, timeout=0.2
)
guard = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], audience=None, issuer=None),
    public_paths=["/open"],
    protected_paths=["/", Rule("/free", cost=0)],
    quotas=[Quota(100_000, 60), Quota(10_000_000, "day")],
    quota_store=store,
)


async def page(request: Request) -> Response:
    """Answer a caller."""
    return JSONResponse(request.user.display_name)


async def health(_: Request) -> Response:
    """Return the state of the store."""
    told = store.health()
    counts = {"unavailable": told.unavailable, "by_share": told.by_share}
    return JSONResponse({"state": told.state, "reason": told.reason, **counts})


app = Starlette(
    routes=[Route("/me", page), Route("/free", page), Route("/open", health)],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
