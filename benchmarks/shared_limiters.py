"""Build limiters that use Redis, each as in its documentation: functions that take a cost, or refuse."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

#: The amount, and the seconds.
Limit = tuple[int, int]
#: A function that takes a cost from all limits of one caller, and returns whether it was admitted.
Hit = Callable[[int], bool]


def authguard(url: str, prefix: str, limits: Sequence[Limit]) -> Hit:
    from authguard import Quota
    from authguard.stores import RedisQuotas, Take

    store = RedisQuotas(url, prefix=prefix)
    quotas = [Quota(count, seconds) for count, seconds in limits]
    takes: dict[int, list[Take]] = {}

    def hit(cost: int) -> bool:
        takes_of_cost = takes.get(cost)
        if takes_of_cost is None:
            takes_of_cost = takes[cost] = [
                Take((quota.policy, "issuer", "ann"), quota, cost) for quota in quotas
            ]
        return (store.take_at_once(takes_of_cost) or store.take(takes_of_cost)).admitted

    return hit


def by_limits(strategy: str) -> Callable[[str, str, Sequence[Limit]], Hit]:
    """Return `limits`: a hit for each limit, because it cannot hit several."""

    def build(url: str, prefix: str, limits: Sequence[Limit]) -> Hit:
        from limits import RateLimitItemPerSecond, strategies
        from limits.storage import RedisStorage

        limiter = getattr(strategies, strategy)(RedisStorage(url))
        items = [RateLimitItemPerSecond(count, seconds, namespace=prefix) for count, seconds in limits]
        return lambda cost: all(limiter.hit(item, "ann", cost=cost) for item in items)

    return build


def slowapi(url: str, prefix: str, limits: Sequence[Limit]) -> Hit:
    """Return slowapi with its decorator; its limits are those of `limits`, with fixed windows."""
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from benchmarks.traffic import receive, scope

    limiter = Limiter(key_func=lambda: "ann", storage_uri=url, key_prefix=prefix)
    texts = ";".join(f"{count}/{seconds} seconds" for count, seconds in limits)

    @limiter.limit(texts, cost=lambda request: int(request.headers["x-cost"]))
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/p", page)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    loop = asyncio.new_event_loop()

    def hit(cost: int) -> bool:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        loop.run_until_complete(app(scope(("x-cost", str(cost))), receive, send))
        return statuses == [200]

    return hit


def fastapi_limiter(url: str, prefix: str, limits: Sequence[Limit]) -> Hit:
    """Return pyrate-limiter, with its bucket in Redis, which fastapi-limiter 0.2 uses."""
    from pyrate_limiter import Limiter, Rate, RedisBucket
    from redis import Redis

    rates = [Rate(count, seconds * 1000) for count, seconds in limits]
    limiter = Limiter(RedisBucket.init(rates, Redis.from_url(url), prefix))
    return lambda cost: bool(limiter.try_acquire("ann", cost, blocking=False))


def throttled(algorithm: str) -> Callable[[str, str, Sequence[Limit]], Hit]:
    """Return throttled-py: a hit for each limit."""

    def build(url: str, prefix: str, limits: Sequence[Limit]) -> Hit:
        from throttled import Throttled, rate_limiter, store

        shared = store.RedisStore(server=url)
        throttles = [
            Throttled(
                key=f"{prefix}:{seconds}",
                using=algorithm,
                quota=rate_limiter.per_duration(timedelta(seconds=seconds), limit=count),
                store=shared,
            )
            for count, seconds in limits
        ]
        return lambda cost: not any(throttle.limit(cost=cost).limited for throttle in throttles)

    return build


LIMITERS: dict[str, Callable[[str, str, Sequence[Limit]], Hit]] = {
    "authguard": authguard,
    "limits, fixed window": by_limits("FixedWindowRateLimiter"),
    "limits, sliding window counter": by_limits("SlidingWindowCounterRateLimiter"),
    "limits, moving window": by_limits("MovingWindowRateLimiter"),
    "slowapi": slowapi,
    "fastapi-limiter": fastapi_limiter,
    "throttled-py, fixed window": throttled("fixed_window"),
    "throttled-py, sliding window": throttled("sliding_window"),
    "throttled-py, token bucket": throttled("token_bucket"),
    "throttled-py, leaking bucket": throttled("leaking_bucket"),
    "throttled-py, GCRA": throttled("gcra"),
}
