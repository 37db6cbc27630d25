"""Build a guard with quotas and two clocks, and a store that must be awaited; read quotas from answers."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from adapters.answering import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
)
from adapters.faces import ASGI, DECORATED, WSGI, Answer, ask_asgi, ask_wsgi
from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    JWTVerifier,
    MemoryQuotas,
    Quota,
    Rule,
    digest_api_key,
)
from authguard.stores import Take, Taken

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]
EACH_FACE = pytest.mark.parametrize(("ask", "make"), [pytest.param(*face[1:], id=face[0]) for face in FACES])
EACH_DECORATED = pytest.mark.parametrize(("make", "ask"), DECORATED.values(), ids=DECORATED)

KEYS = {name: f"sk_live_0123456789-{name}" for name in ("ann", "ann2", "bob", "pro", "own", "none", "gold")}
PER_MINUTE, PER_DAY = Quota(3, 60), Quota(5, "day")
ITEM = re.compile(r'"([^"\\]*)"((?:;[a-z*][a-z0-9_.*-]*(?:=-?\d{1,15})?)*)\Z')


_KEYS_BY_DIGEST = {
    digest_api_key(KEYS[name]): key
    for name, key in {
        "ann": APIKey("ann", ["read"], tier="free"),
        "ann2": APIKey("ann", ["read"], tier="free"),
        "bob": APIKey("bob", ["read"], tier="free"),
        "pro": APIKey("pro", tier="pro"),
        "own": APIKey("own", tier="free", quotas=[Quota(1, 60)]),
        "none": APIKey("none"),
        "gold": APIKey("gold", tier="gold"),
    }.items()
}


def find_key(digest: str) -> APIKey | None:
    """Look a key up, so that no guard knows them in advance."""
    return _KEYS_BY_DIGEST.get(digest)


class World:
    """Hold two clocks, and a guard that counts by them."""

    def __init__(self, quotas: Any, *, store: Any = None, **options: Any) -> None:
        self.now = 1000.0
        self.wall = NOW
        self.store = store or MemoryQuotas(monotonic=lambda: self.now, clock=lambda: self.wall)
        self.guard = Guard(
            JWTVerifier(
                SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, tier_claim="plan.tier"
            ),
            APIKeyVerifier(find_key),
            quotas=quotas,
            quota_store=self.store,
            **options,
        )

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def by_tier() -> dict[str | None, list[Quota]]:
    return {"free": [PER_MINUTE, PER_DAY], "pro": [Quota(100, 60)], None: []}


def fields(answer: Answer) -> dict[str, dict[str, dict[str, int]]]:
    """Return the RateLimit fields: Lists of Strings with integers (RFC 9651)."""
    parsed: dict[str, dict[str, dict[str, int]]] = {}
    for field in ("ratelimit-policy", "ratelimit"):
        items = answer.headers[field].split(", ")
        parsed[field] = {}
        for item in items:
            match = ITEM.match(item)
            assert match, item
            pairs = [parameter.split("=") for parameter in match[2].split(";")[1:]]
            parsed[field][match[1]] = {name: int(value) for name, value in pairs}
    return parsed


def remaining(answer: Answer) -> dict[str, int]:
    return {name: parameters["r"] for name, parameters in fields(answer)["ratelimit"].items()}


def rules() -> list[Any]:
    return [
        "/private",
        Rule("/admin", scopes=["admin"]),
        Rule("/roles", quota=Quota(2, 60), cost=2),
        Rule("/lenient", cost=0),
        Rule("/maybe", optional="lenient"),
    ]


class Slow:
    """Count in a store that must be awaited."""

    def __init__(self, error: Exception | None = None) -> None:
        self.inner = MemoryQuotas()
        self.error = error
        self.given_back: list[Taken] = []
        self.has_gone = False  # the time at which an amount was taken

    async def take(self, takes: Sequence[Take]) -> Taken:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.inner.take(takes)

    async def give_back(self, taken: Taken) -> None:
        await asyncio.sleep(0)
        if self.has_gone:
            raise ConnectionError("the store is down")
        self.given_back.append(taken)
        self.inner.give_back(taken)
