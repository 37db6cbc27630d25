"""Define an application of another process that accepts the service's tokens; for test_logouts_elsewhere."""

import os
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import SQLRevocations
from authguard.stores import PostgresStore, RedisStore
from authguard.stores.revocations import SharedRevocations

kind, url, issuer = (os.environ[name] for name in ("GUARD_FOLLOWS", "GUARD_URL", "GUARD_ISSUER"))
follows: dict[str, Callable[[], SharedRevocations]] = {
    "redis": lambda: RedisStore(url).revocations,
    "postgresql": lambda: PostgresStore(url).revocations,
    "database": lambda: SQLRevocations(url),
}
guard = Guard(
    JWTVerifier(os.environ["GUARD_SECRET"], algorithms=["HS256"], issuer=issuer, audience=issuer),
    public_paths=["/open"],
    revocations=follows[kind](),
)


async def page(request: Request) -> PlainTextResponse:
    """Answer a caller, with the mode of the store of revocations."""
    return PlainTextResponse(",".join(getattr(part, "mode", "") for part in guard.health()))


app = Starlette(
    routes=[Route("/me", page), Route("/open", page)],
    middleware=[Middleware(AuthGuardMiddleware, guard=guard)],
)
