"""The guard under trio: blocking functions run in threads, and a run has one client for each remote."""

import asyncio
import threading
import time
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import trio

from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard._core.flow import Call, Channel, Flow, Shared
from authguard.drivers.asynchronous import run
from authguard.drivers.limits import time_limit
from remote.servers import answer
from support import AUDIENCE, ISSUER, claims, ec_key, jwk, make_token

ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
API_KEY = "sk_live_0123456789abcdef"
asked_for: ContextVar[str] = ContextVar("asked_for", default="nobody")


def token() -> str:
    """Return a token that the remote keys verify."""
    times = {"exp": time.time() + 600, "iat": time.time()}
    return make_token(claims(**times), algorithm="ES256", key=ec_key(), kid="a")


def make_guard(server: Any, **options: Any) -> Guard:
    """Return a guard with remote keys, an introspection endpoint and a function for API keys."""
    http = options.pop("http", None)
    server.pages["/introspect"] = answer(ACTIVE)
    server.pages["/jwks"] = answer(KEYS)

    def find_key(digest: str) -> APIKey:
        threads.append(threading.current_thread())
        return APIKey("kay")

    return Guard(
        JWTVerifier(
            RemoteKeySet(f"{server.url}/jwks", http=http),
            algorithms=["ES256"],
            issuer=ISSUER,
            audience=AUDIENCE,
        ),
        IntrospectionVerifier(
            f"{server.url}/introspect",
            client_id="api",
            client_secret="s",
            audience=AUDIENCE,
            cache_ttl=0,
            http=http,
        ),
        APIKeyVerifier(find_key, cache_ttl=0),
        **options,
    )


threads: list[threading.Thread] = []


async def ask(guard: Guard, credential: str) -> str:
    """Return the subject of a credential."""
    return (await guard.averify(credential)).subject


def test_remote_keys_introspection_and_key_functions(server: Any) -> None:
    """Remote keys, introspection and a key function work, and the function runs in a worker thread."""

    async def main() -> list[str]:
        return [await ask(guard, credential) for credential in (token(), "opaque", API_KEY)]

    guard = make_guard(server)
    threads.clear()
    assert trio.run(main) == ["ann", "ann", "kay"]
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_user_loader(server: Any, kind: str) -> None:
    """A plain loader and an async one run with the context of the request."""
    seen: list[str] = []

    def load(principal: Any) -> Any:
        seen.append(asked_for.get())
        return principal

    async def aload(principal: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return load(principal)

    async def main() -> str:
        asked_for.set("ann")
        return await ask(guard, token())

    guard = make_guard(server, user_loader=load if kind == "sync" else aload)
    assert trio.run(main) == "ann"
    assert seen == ["ann"]


def test_a_crowd_asks_once(server: Any) -> None:
    """A hundred concurrent requests with one token cause one introspection."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask, guard, "opaque")

    guard = make_guard(server)
    trio.run(main)
    assert len([seen for seen in server.seen if seen.path == "/introspect"]) == 1


def test_a_cancelled_leader_does_not_fail_the_others(server: Any) -> None:
    """The cancellation of the first of two requests does not affect the other."""
    server.pages["/introspect"] = answer(ACTIVE)
    guard = make_guard(server)
    results: list[str] = []

    async def follow() -> None:
        results.append(await ask(guard, "opaque"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(follow)
                scope.cancel()
                await ask(guard, "opaque")
            nursery.start_soon(follow)

    trio.run(main)
    assert results == ["ann", "ann"]


def test_a_blocking_client_of_the_user(server: Any) -> None:
    """A given blocking client is used."""
    with httpx.Client(trust_env=False) as client:
        guard = make_guard(server, http=HTTPOptions(client=client))
        assert trio.run(ask, guard, token()) == "ann"


def test_an_async_client_of_the_user(server: Any) -> None:
    """A given async client is used, and is not closed by the guard."""

    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            guard = make_guard(server, http=HTTPOptions(client=client))
            assert await ask(guard, token()) == "ann"
            await guard.aclose()
            assert not client.is_closed

    trio.run(main)


def test_an_answer_that_comes_too_late(server: Any) -> None:
    """An answer after the timeout is an outage at the time of the timeout."""
    ended = threading.Event()
    guard = make_guard(server, http=HTTPOptions(timeout=0.1))
    server.pages["/jwks"] = lambda seen: ended.wait(60) and answer(KEYS)
    started = time.monotonic()
    with pytest.raises(VerificationUnavailableError):
        trio.run(ask, guard, token())
    ended.set()
    assert time.monotonic() - started < 30


def test_a_blocking_client_that_is_too_late(server: Any) -> None:
    """A blocking client without a timeout of its own is an outage at the time of the guard's timeout."""
    ended = threading.Event()

    def wait(request: httpx.Request) -> httpx.Response:
        ended.wait(60)
        return httpx.Response(200, json=KEYS)

    with httpx.Client(transport=httpx.MockTransport(wait)) as client:
        guard = make_guard(server, http=HTTPOptions(timeout=0.1, client=client))
        started = time.monotonic()
        with pytest.raises(VerificationUnavailableError):
            trio.run(ask, guard, token())
        ended.set()
    assert time.monotonic() - started < 30


def test_a_cancelled_request_does_not_wait_for_a_function() -> None:
    """A request that is cancelled does not wait for its callback."""
    began, ended = threading.Event(), threading.Event()

    def find_key(digest: str) -> APIKey:
        began.set()
        ended.wait(60)
        return APIKey("kay")

    guard = Guard(APIKeyVerifier(find_key))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, guard, API_KEY)
            await trio.to_thread.run_sync(began.wait, 60)
            nursery.cancel_scope.cancel()

    started = time.monotonic()
    trio.run(main)
    ended.set()
    assert began.is_set()
    assert time.monotonic() - started < 30


def test_one_guard_in_several_runs(server: Any) -> None:
    """Each run has a client of its own, and closes it."""
    guard = make_guard(server)
    channels = [channel for verifier in guard._verifiers for channel in verifier.channels()]
    for _ in range(3):
        assert trio.run(ask, guard, "opaque") == "ann"
        assert [dict(channel.opened) for channel in channels] == [{}] * len(channels)


def test_closing_from_inside_and_from_outside(server: Any) -> None:
    """A guard that was closed, also from another thread, opens connections for the next request."""
    guard = make_guard(server)

    async def main() -> None:
        for close in (guard.aclose, partial(trio.to_thread.run_sync, guard.close)):
            assert await ask(guard, "opaque") == "ann"
            await close()
            assert not any(c.opened for verifier in guard._verifiers for c in verifier.channels())
        assert await ask(guard, "opaque") == "ann"

    trio.run(main)


def test_who_waits_while_it_is_closed_is_answered() -> None:
    """A request that waits while its client is closed begins again with a new one."""
    channel, began, runs = Channel(), trio.Event(), []

    def make() -> Flow[str]:
        runs.append(1)
        yield from Call(wait)
        return "answer"

    async def wait() -> None:
        began.set()
        if len(runs) == 1:
            await trio.sleep_forever()

    def flow() -> Flow[str]:
        return (yield from Shared(channel, "key", make))

    async def main() -> None:
        results: list[str] = []

        async def follow() -> None:
            results.append(await run(flow()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await began.wait()
            await next(iter(channel.opened.values())).aclose()
        assert results == ["answer"]

    trio.run(main)


def test_a_shared_flow_has_the_context_of_who_asked_first() -> None:
    """A shared flow has the context of the first request, as under asyncio."""

    def make() -> Flow[str]:
        return (yield from Call(asked_for.get))

    def flow() -> Flow[str]:
        return (yield from Shared(Channel(), "key", make))

    async def main() -> str:
        asked_for.set("ann")
        return await run(flow())

    assert trio.run(main) == asyncio.run(main()) == "ann"


@pytest.mark.parametrize("drive", [lambda main: asyncio.run(main()), trio.run], ids=["asyncio", "trio"])
def test_a_time_limit(drive: Any) -> None:
    """A time limit raises `TimeoutError` after its seconds, and has no effect before."""

    async def main() -> None:
        async with time_limit(60) as soon:
            pass
        late = time_limit(0)
        with pytest.raises(TimeoutError):
            async with late:
                await anyio.sleep(60)
        with pytest.raises(LookupError):
            async with time_limit(60):
                raise LookupError
        assert (soon.expired(), late.expired()) == (False, True)

    drive(main)


@pytest.mark.parametrize("wait", [True, False], ids=["who waits", "in the background"])
def test_a_shared_flow_that_raises(wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An error of a shared flow is raised to a waiting request, and logged in the background."""
    channel = Channel()

    def make() -> Flow[None]:
        yield from ()
        raise LookupError("unforeseen")

    def flow() -> Flow[None]:
        yield from Shared(channel, "key", make, wait=wait)

    async def main() -> None:
        if wait:
            with pytest.raises(LookupError):
                await run(flow())
            return
        await run(flow())
        while not caplog.records:
            await trio.lowlevel.checkpoint()

    trio.run(main)
    assert ["failed" in record.getMessage() for record in caplog.records] == ([] if wait else [True])
