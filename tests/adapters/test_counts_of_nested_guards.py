"""Nested guards count a request, and take from its quotas, once: by ASGI, WSGI and websockets."""

import asyncio
from typing import Any

import pytest

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import Guard, MemoryQuotas, Principal, Quota, Rule
from authguard._core.flow import Flow
from authguard._core.model import Credential
from authguard._core.verifier import Verified
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import InvalidAPIKeyError
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware

from .test_nested_guards import answer, asgi_sent
from .test_terms import NOW, Keys

FIELDS = [("x-api-key", b"some-key-of-enough-bytes")]
PUBLIC = ["/private"]


class Silent(Keys):
    """A verifier of the same keys that counts no request."""

    def flow(self, credential: Credential, now: float) -> Verified:
        verified = super().flow(credential, now)
        assert isinstance(verified, Verified)
        return Verified(verified.principal, verified.until)


class Invalid(Keys):
    """A verifier that refuses each key, and counts the refusal."""

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        error = InvalidAPIKeyError("no key", key_id="key_1")
        error.count = self._count
        raise error


def clock() -> float:
    """Return the time."""
    return NOW


def over_asgi(*guards: Guard) -> int:
    """Return the status of a request to an ASGI application in these guards, the first outside."""
    app = raw_asgi(guards[-1], clock)
    for guard in reversed(guards[:-1]):
        app = AuthGuardMiddleware(app, guard=guard, clock=clock)
    return ask_asgi(app, "GET", "/private", FIELDS).status


def over_wsgi(*guards: Guard) -> int:
    """Return the status of a request to a WSGI application in these guards, the first outside."""
    app = raw_wsgi(guards[-1], clock)
    for guard in reversed(guards[:-1]):
        app = WSGIAuthGuardMiddleware(app, guard=guard, clock=clock)
    return ask_wsgi(app, "GET", "/private", FIELDS).status


def over_both(*guards: Guard) -> int:
    """Return the status of a request to a guarded WSGI application inside a guarded ASGI application."""
    wsgi = raw_wsgi(guards[-1], clock)

    async def bridge(scope: Any, receive: Any, send: Any) -> None:
        inner = lambda environ, start: wsgi({**environ, "asgi.scope": scope}, start)  # noqa: E731 (as a2wsgi)
        status = ask_wsgi(inner, "GET", scope["path"], FIELDS).status
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app: Any = bridge
    for guard in reversed(guards[:-1]):
        app = AuthGuardMiddleware(app, guard=guard, clock=clock)
    return ask_asgi(app, "GET", "/private", FIELDS).status


def by_websocket(*guards: Guard) -> int:
    """Return 200 if a websocket in these guards is accepted, and 403 if it is refused."""
    app: Any = answer
    for guard in reversed(guards):
        app = AuthGuardMiddleware(app, guard=guard, clock=clock)
    headers = [(name.encode(), value) for name, value in FIELDS]
    (sent, *_) = asyncio.run(asgi_sent(app, {"type": "websocket", "path": "/private", "headers": headers}))
    return 200 if sent["type"] == "websocket.accept" else 403


send_by = pytest.mark.parametrize("send", [over_asgi, over_wsgi, over_both, by_websocket])


@send_by
@pytest.mark.parametrize("public", [PUBLIC, None], ids=["public", "protected"])
def test_the_inner_guard_counts(send: Any, public: list[str] | None) -> None:
    """The inner guard alone counts the request, by its rule, also for a remembered key."""
    keys = Keys()
    guards = Guard(keys, public_paths=public), Guard(keys, protected_paths=["/private", "/**"])
    for _ in range(3):
        assert send(*guards) == 200
    assert keys.told == [("/private", "ok")] * 3


@send_by
def test_three_guards_count_once(send: Any) -> None:
    """The innermost of three guards counts the request."""
    keys = Keys()
    guards = Guard(keys, public_paths=PUBLIC), Guard(keys), Guard(keys, protected_paths=["/**"])
    for _ in range(2):
        assert send(*guards) == 200
    assert keys.told == [("/**", "ok")] * 2


@send_by
@pytest.mark.parametrize("public", [PUBLIC, None], ids=["public", "protected"])
def test_what_the_inner_guard_refuses_is_no_use(send: Any, public: list[str] | None) -> None:
    """A request that the inner guard refuses is counted once, as forbidden."""
    keys = Keys()
    guards = Guard(keys, public_paths=public), Guard(keys, protected_paths=[Rule("/**", scopes=["admin"])])
    for _ in range(2):
        assert send(*guards) == 403
    assert keys.told == [("/**", "forbidden")] * 2


@pytest.mark.parametrize("send", [over_asgi, over_wsgi, over_both])
def test_a_request_above_a_quota_is_no_use(send: Any) -> None:
    """A request above a quota of the inner guard is counted as rate limited."""
    keys = Keys()
    inner = Guard(keys, protected_paths=["/**"], quotas=[Quota(2, 60)], quota_store=MemoryQuotas(clock=clock))
    guards = Guard(keys, public_paths=PUBLIC), inner
    assert [send(*guards) for _ in range(4)] == [200, 200, 429, 429]
    assert keys.told == [("/**", "ok")] * 2 + [("/**", "rate_limited")] * 2


@send_by
@pytest.mark.parametrize("inner", [PUBLIC, None], ids=["public", "protected"])
def test_an_invalid_key_counts_once(send: Any, inner: list[str] | None) -> None:
    """An invalid key is counted once, also if the outer guard lets it pass as anonymous."""
    keys = Invalid()
    send(Guard(keys, public_paths=PUBLIC), Guard(keys, public_paths=inner))
    assert keys.told == [("/private" if inner else "(default)", "invalid")]


@send_by
@pytest.mark.parametrize("public", [PUBLIC, None], ids=["public", "protected"])
def test_an_inner_guard_that_does_not_count(send: Any, public: list[str] | None) -> None:
    """The outer guard counts if the inner one does not, except on public paths of the outer guard."""
    keys = Keys()
    assert send(Guard(keys, public_paths=public), Guard(Silent())) == 200
    assert keys.told == ([] if public else [("(default)", "ok")])


@send_by
def test_an_inner_guard_that_does_not_count_refuses(send: Any) -> None:
    """A refusal by an inner guard that does not count is counted by the rule of the outer guard."""
    keys = Keys()
    inner = Guard(Silent(), protected_paths=[Rule("/**", scopes=["admin"])])
    assert send(Guard(keys), inner) == 403
    assert keys.told == [("(default)", "forbidden")]


@pytest.mark.parametrize("send", [over_asgi, over_wsgi, over_both])
def test_an_outage_of_an_inner_guard_changes_no_count(send: Any) -> None:
    """A request that the outer guard has counted stays `ok` if the inner guard has an outage."""
    keys = Keys()

    def load(principal: Principal) -> None:
        raise ConnectionError("down")

    assert send(Guard(keys), Guard(Silent(), user_loader=load)) == 503
    assert keys.told == [("(default)", "ok")]


@send_by
def test_an_inner_guard_takes_nothing_on_its_public_paths(send: Any) -> None:
    """An inner guard takes nothing from its quotas on its public paths, where a decorator may take it."""
    store = MemoryQuotas(clock=clock)
    inner = Guard(Keys(), public_paths=PUBLIC, quotas=[Quota(1, 60)], quota_store=store)
    assert [send(Guard(Keys()), inner) for _ in range(3)] == [200] * 3


def limited(store: MemoryQuotas, *quotas: Quota) -> Guard:
    """Return a guard with quotas in a store."""
    return Guard(Keys(), quotas=quotas, quota_store=store)


@send_by
def test_a_quota_in_one_store_is_taken_once(send: Any) -> None:
    """A quota that nested guards share in one store is taken once."""
    store = MemoryQuotas(clock=clock)
    guards = [limited(store, Quota(2, 60)) for _ in range(3)]
    assert [send(*guards) == 200 for _ in range(3)] == [True, True, False]
    same = [limited(MemoryQuotas(clock=clock), Quota(2, 60))] * 2
    assert [send(*same) == 200 for _ in range(3)] == [True, True, False]


@send_by
def test_another_quota_of_the_inner_guard_is_taken(send: Any) -> None:
    """An inner guard takes from a quota that the outer guard does not have, or has in another store."""
    store = MemoryQuotas(clock=clock)
    guards = limited(store, Quota(5, 60)), limited(store, Quota(5, 60), Quota(1, 3600))
    assert [send(*guards) == 200 for _ in range(2)] == [True, False]
    guards = limited(store, Quota(9, 50)), limited(MemoryQuotas(clock=clock), Quota(1, 50))
    assert [send(*guards) == 200 for _ in range(2)] == [True, False]


@pytest.mark.parametrize("send", [over_asgi, over_wsgi, over_both])
def test_what_the_inner_guard_refuses_takes_nothing(send: Any) -> None:
    """The quota of the outer guard gets back the amount of a request that the inner guard refuses."""
    keys = Keys()
    outer = limited(MemoryQuotas(clock=clock), Quota(1, 60))
    inner = Guard(keys, protected_paths=[Rule("/**", scopes=["admin"])])
    assert [send(outer, inner) for _ in range(3)] == [403] * 3
