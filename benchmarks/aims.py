"""Compare the results with the aims."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.report import Table, number


@dataclass(frozen=True)
class Aim:
    """Define a bound on one value.

    Attributes:
        name: its name in the table.
        key: the name of the value in the findings.
        bound: the greatest, or the smallest, allowed value.
        least: whether the bound is a lower bound.
        floor: the name of the value of the cheapest possible solution, if it was measured.
    """

    name: str
    key: str
    bound: float
    least: bool = False
    floor: str = ""


_FLOOR = "the floor: no guard, see benchmarks/floor.py, HS256"
_DEPENDENCY = "bare FastAPI, a dependency that does nothing, HS256"

#: Aims for configurations of users, in comparison with a row of the same run; see
#: `benchmarks.configurations.ratios`. One aim is for an option that does not exist yet, and is not measured.
_CONFIGURED = {
    1.10: [
        "Starlette: known Bearer, × the least",
        "Flask: known Bearer, × the least",
        "Starlette: introspection, remembered, × known Bearer",
        "Flask: introspection, remembered, × known Bearer",
        "FastAPI: typed dependency, × an empty dependency",
        "Starlette: user_loader with user_ttl, × known Bearer",
        "Flask: user_loader with user_ttl, × known Bearer",
    ],
    1.15: [
        "Starlette: user_loader, async, × known Bearer",
        "Flask: user_loader, plain, × known Bearer",
        "Starlette: revocations, async, × known Bearer",
        "Flask: revocations, plain, × known Bearer",
        "Starlette: revocations, memory, × known Bearer",
        "Flask: revocations, memory, × known Bearer",
        "Starlette: revocations, shared store, × known Bearer",
        "Flask: revocations, shared store, × known Bearer",
        "Starlette: API key: Bearer sk_…, × known X-API-Key",
        "Flask: API key: Bearer sk_…, × known X-API-Key",
        "Starlette: API key: identity store, remembered, × known X-API-Key",
        "Flask: API key: identity store, remembered, × known X-API-Key",
        "Starlette: user_loader, in memory, × known Bearer",
        "Starlette: revocations, own, in memory, × known Bearer",
    ],
    1.25: [
        "Starlette: cookie, × known Bearer",
        "Flask: cookie, × known Bearer",
        "Starlette: cookie, POST, × known Bearer",
        "Flask: cookie, POST, × known Bearer",
    ],
    1.30: [
        "Starlette: user_loader, plain, × known and the cheapest thread",
        "Starlette: revocations, plain, × known and the cheapest thread",
        "Starlette: API key: plain function, cache_ttl=0, × known and the cheapest thread",
    ],
}  # fmt: skip


AIMS = [
    Aim("known token on Starlette, × bare", "authguard on Starlette, HS256, known ×", 1.25, floor=f"{_FLOOR}, known ×"),
    Aim("known token on Starlette, added µs", "authguard on Starlette, HS256, known µs", 2.5, floor=f"{_FLOOR}, known µs"),
    Aim("known token on FastAPI, typed dependency, × bare", "authguard on FastAPI, typed dependency, HS256, known ×", 1.25, floor=f"{_DEPENDENCY}, known ×"),
    Aim("known token on Flask, × bare", "authguard on Flask, HS256, known ×", 1.06),
    Aim("known API key on Starlette, × bare", "API key, authguard on Starlette, known ×", 1.35),
    Aim("known API key with two quotas on Starlette, added µs", "quotas, authguard, two quotas, µs", 12),
    Aim("first-seen HS256, × PyJWT alone", "cold, HS256, × PyJWT", 0.35, floor="cold, HS256, floor"),
    Aim("first-seen HS256 with authguard[fast], × PyJWT alone", "cold, HS256, authguard[fast], × PyJWT", 0.33, floor="cold, HS256, floor"),
    Aim("first-seen RS256, × PyJWT alone", "cold, RS256, × PyJWT", 0.55, floor="cold, RS256, floor"),
    Aim("first-seen ES256, × PyJWT alone", "cold, ES256, × PyJWT", 0.75, floor="cold, ES256, floor"),
    Aim("first-seen EdDSA, × PyJWT alone", "cold, EdDSA, × PyJWT", 0.90, floor="cold, EdDSA, floor"),
    Aim("401 without credential, × a bare 200", "none, HS256, × bare", 1.0),
    Aim("401 for an expired HS256 token, × accepting", "expired, HS256, × accepting", 1.0),
    Aim("401 for a forged HS256 token, × accepting", "forged, HS256, × accepting", 1.0),
    Aim("KB for each remembered token", "memory KB", 1.2),
    Aim("requests a second, uvicorn with httptools, × bare", "sockets, httptools, authguard", 0.90, least=True),
    Aim("requests a second, uvicorn with h11, × bare", "sockets, h11, authguard", 0.93, least=True),
    Aim("known token: the best ASGI rival adds, × authguard", "best rival, × ours", 15, least=True),
    Aim("known token: the best WSGI rival adds, × authguard", "best WSGI rival, × ours", 15, least=True),
    Aim("10,000 rules, added beside 1 rule", "rules, 10,000 beside 1", 1.1),
    Aim("1,000,000 keys in a mapping: a first-seen one, added beside 1,000 keys", "keys, most beside 1,000", 1.1),
    Aim("1,000 callers at a time, added beside 1 caller", "callers, 1,000 beside 1", 1.5),
    *(Aim(f"the longest turn of the loop in a burst of 10,000 first-seen {algorithm} tokens of {callers:,} callers: added ms", f"burst, {algorithm}, {callers}, added ms", 20)
      for algorithm in ("HS256", "ES256", "EdDSA") for callers in (100, 1000)),
    Aim("a full garbage collection with 10,000 remembered tokens: ms", "full collection, ms", 20),
    Aim("cached entries lost to 100,000 forged tokens", "flood, lost entries", 0),
    Aim("200 callers with one unknown token: calls of introspection", "crowd, authguard, 200, calls", 1),
    Aim("1,000 callers with one unknown token: calls of introspection", "crowd, authguard, 1000, calls", 1),
    Aim("200 callers with one unknown token: p99 above the endpoint's time, ms", "crowd, authguard, 200, p99", 15),
    Aim("1,000 callers with one unknown token: p99 above the endpoint's time, ms", "crowd, authguard, 1000, p99", 15),
    Aim("known token, keys by URL, × local keys", "remote keys, × local keys", 1.1),
    Aim("good tokens beside a flood of unknown keys: p99, ms", "unknown keys, authguard, p99", 15),
    Aim("a stranger's request, the dearest of all: ms", "hostile, dearest ms", 20),
    Aim("identity: users/me, requests a second", "authguard.identity, users/me", 1500, least=True),
    Aim("identity: refresh by body, requests a second", "authguard.identity, refresh by body", 1500, least=True),
    Aim("identity: refresh by bearer, requests a second", "authguard.identity, refresh by bearer", 1500, least=True),
    Aim("identity: login outside of argon2, ms", "authguard.identity, login, outside of the hash", 3),
    Aim("median of valid traffic under a flood, × what the flood's share of the processor explains", "flood, × share", 1.1),
    *(Aim(name, f"configurations, {name}", bound) for bound, names in _CONFIGURED.items() for name in names),
]  # fmt: skip


def table(values: Mapping[str, float], *, measured_alone: bool = False) -> Table:
    """Return the aims with the measured values; a missing value is named as missing, or left out."""
    result = Table(
        "Aims",
        "From the medians below. *Least* is what remains if one leaves out the guard: the floor, or on FastAPI a dependency that does nothing.",
        ("", "aim", "least", "here", ""),
    )  # fmt: skip
    for aim in AIMS:
        if measured_alone and aim.key not in values:
            continue
        value = values.get(aim.key, float("nan"))
        met = value >= aim.bound if aim.least else round(value, 2) <= aim.bound
        sign = "≥" if aim.least else "≤"
        verdict = "not measured" if value != value else "reached" if met else "not reached"  # noqa: PLR0124
        floor = number(values[aim.floor]) if aim.floor in values else ""
        result.rows.append((aim.name, f"{sign} {aim.bound:g}", floor, number(value), verdict))
    return result
