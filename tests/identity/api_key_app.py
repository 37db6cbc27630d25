"""Define a guarded application with the keys of a service: one of several processes."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from authguard import Guard
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import SQLAPIKeys
from authguard.stores import PostgresStore

url = os.environ["STORE_URL"]
store = PostgresStore(url)
guard = Guard(SQLAPIKeys(url), public_paths=["/open"], revocations=store.revocations)


async def me(request: Request) -> Response:
    """Return the name of the caller's key."""
    return PlainTextResponse(request.user.key_id)


async def opened(request: Request) -> Response:
    """Answer every caller."""
    return PlainTextResponse("open")


app = Starlette(
    routes=[Route("/me", me), Route("/open", opened)],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
