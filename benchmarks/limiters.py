"""Build alternatives to quotas: each as in its documentation, with two limits in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks import apps

#: The limits a minute and a day, by the variant: more than is sent, or two.
Amounts = tuple[int, int]


def _key(request: Any) -> str:
    key: str = request.headers.get("x-api-key", "")
    return key


def limits_by_hand(amounts: Amounts) -> Starlette:
    """Return `limits` with fixed windows in an ASGI middleware, with one hit for each limit."""
    from limits import RateLimitItemPerDay, RateLimitItemPerMinute
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    limiter = FixedWindowRateLimiter(MemoryStorage())
    items = (RateLimitItemPerMinute(amounts[0]), RateLimitItemPerDay(amounts[1]))

    class Limited:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            key = next((value for name, value in scope["headers"] if name == b"x-api-key"), b"").decode()
            app = self.app
            hits = [limiter.hit(item, key) for item in items]
            if not all(hits):
                app = PlainTextResponse("too many", 429)
            await app(scope, receive, send)

    return apps.starlette(Middleware(Limited))


def slowapi(amounts: Amounts) -> Starlette:
    """Return slowapi with a decorator, and its handler for exceeded limits."""
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded

    limiter = Limiter(key_func=_key)

    @limiter.limit(f"{amounts[0]}/minute;{amounts[1]}/day")
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/p", page)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return app


def fastapi_limiter(amounts: Amounts) -> FastAPI:
    """Return fastapi-limiter, a dependency that uses pyrate-limiter in memory."""
    from fastapi_limiter.depends import RateLimiter
    from pyrate_limiter import Duration, Limiter, Rate

    async def identifier(request: Any) -> str:
        return _key(request)

    limiter = Limiter([Rate(amounts[0], Duration.MINUTE), Rate(amounts[1], Duration.DAY)])
    app = FastAPI(openapi_url=None)

    @app.get("/p", dependencies=[Depends(RateLimiter(limiter, identifier=identifier))])
    async def operation() -> dict[str, bool]:
        return {"ok": True}

    return app


def keyshield() -> tuple[FastAPI, str]:
    """Return an application with keyshield and its cache, which verifies keys without limits, and a key."""
    import aiocache
    from keyshield.api import create_depends_api_key
    from keyshield.hasher.argon2 import Argon2ApiKeyHasher
    from keyshield.repositories.in_memory import InMemoryApiKeyRepository
    from keyshield.services.cached import CachedApiKeyService

    service = CachedApiKeyService(
        repo=InMemoryApiKeyRepository(),
        hasher=Argon2ApiKeyHasher(pepper="a pepper of the benchmark, which is no secret"),
        cache=aiocache.SimpleMemoryCache(),
        # By default, it waits for 0.1 to 0.3 seconds for each key.
        min_delay=0,
        max_delay=0,
    )
    _, key = asyncio.run(service.create(name="bench"))

    async def services() -> Any:
        return service

    app = FastAPI(openapi_url=None)

    @app.get("/p", dependencies=[Depends(create_depends_api_key(services))])
    async def operation() -> dict[str, bool]:
        return {"ok": True}

    return app, key


#: The name, the bare application, and the function that creates the limited one.
LIMITERS: tuple[tuple[str, Callable[[], Any], Callable[[Amounts], Any]], ...] = (
    ("limits by hand, fixed windows", apps.starlette, limits_by_hand),
    ("slowapi", apps.starlette, slowapi),
    ("fastapi-limiter", apps.fastapi, fastapi_limiter),
)
