"""One guard in event loops, threads, forks and shutdowns, without open connections at the end."""

import asyncio
import gc
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
)
from authguard._core.flow import Channel, Shared
from authguard.asgi import AuthGuardMiddleware
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from remote.heart import beating
from remote.servers import answer, until
from support import AUDIENCE, ISSUER, NOW, bearer, claims, ec_key, jwk, make_token

ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}


def token(**changes):
    return make_token(
        claims(exp=time.time() + 600, iat=time.time(), **changes), algorithm="ES256", key=ec_key(), kid="a"
    )


@pytest.fixture
def guard(server):
    """Return a guard that introspects opaque tokens and fetches keys for JWTs, and is not closed."""
    server.pages["/introspect"] = answer(ACTIVE)
    server.pages["/jwks"] = answer(KEYS)
    return make_guard(server)


def make_guard(server, http=None, cache_ttl=0):
    keys = RemoteKeySet(f"{server.url}/jwks", ttl=1, http=http)
    return Guard(
        JWTVerifier(keys, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE),
        IntrospectionVerifier(
            f"{server.url}/introspect",
            client_id="api",
            client_secret="s",
            audience=AUDIENCE,
            cache_ttl=cache_ttl,
            http=http,
        ),
    )


def status(decision):
    return getattr(decision, "refusal", None) and decision.refusal.status


async def page(request):
    return PlainTextResponse(request.user.subject)


def application(guard):
    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(AuthGuardMiddleware, guard=guard)
    return app


@pytest.fixture(autouse=True)
def nothing_unclosed():
    """Check that no open connection is collected after the test, since its warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tests of other files may have left open connections
        gc.collect()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def test_one_guard_in_three_event_loops(guard):
    """Each event loop has a client of its own, and closes it without a call of `aclose`."""

    async def main():
        return [await run_async(guard.decide(bearer(text), time.time())) for text in ("one", "two", token())]

    for _ in range(3):
        assert [decision.auth.principal.subject for decision in asyncio.run(main())] == ["ann"] * 3


def test_one_guard_in_three_test_clients(guard, server):
    """Requests of a test client are answered with a lifespan, which closes connections, and without one."""
    app = application(guard)
    for _ in range(3):
        with TestClient(app) as client:
            assert client.get("/", headers={"Authorization": "Bearer opaque"}).text == "ann"
    assert TestClient(app).get("/", headers={"Authorization": f"Bearer {token()}"}).text == "ann"


@pytest.mark.slow
def test_connections_are_kept(guard, server):
    """Ten requests in an event loop use one connection, and ten requests without one use another."""
    ports = set()

    def see(seen):
        return answer(ACTIVE)

    server.pages["/introspect"] = see
    handler = server._http.RequestHandlerClass
    setup = handler.setup

    def count(self):
        setup(self)
        ports.add(self.client_address[1])

    handler.setup = count
    try:

        async def main():
            for number in range(10):
                await run_async(guard.decide(bearer(str(number)), time.time()))

        asyncio.run(main())
        assert len(ports) == 1
        for number in range(10):
            run(guard.decide(bearer(str(number)), time.time()))
        assert len(ports) == 2
    finally:
        handler.setup = setup
    guard.close()


def test_lifespan_shutdown_closes_connections(guard):
    """Connections are closed before the server learns that the application has shut down."""
    open_at_end = []
    middleware = AuthGuardMiddleware(application(guard), guard=guard)

    async def main():
        await run_async(guard.decide(bearer("opaque"), time.time()))
        assert guard.remotes.opened()
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(messages)

        async def send(message):
            if message["type"] == "lifespan.shutdown.complete":
                open_at_end.append(guard.remotes.opened())

        await middleware({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

    asyncio.run(main())
    assert open_at_end == [[]]


def test_aclose_closes_and_the_next_request_opens(guard):
    """A guard that was closed by `aclose` opens connections for the next request."""

    async def main():
        for _ in range(2):
            decision = await run_async(guard.decide(bearer("opaque"), time.time()))
            assert decision.auth.principal.subject == "ann"
            await guard.aclose()
            assert guard.remotes.opened() == []

    asyncio.run(main())


def test_close_closes_and_the_next_request_opens(guard):
    """A guard that was closed by `close` opens connections for the next request."""
    for _ in range(2):
        assert run(guard.decide(bearer("opaque"), time.time())).auth.principal.subject == "ann"
        guard.close()
    assert status(run(guard.decide(bearer("opaque"), time.time()))) is None
    guard.close()


def test_close_from_outside_reaches_a_loop_that_runs(guard):
    """`close` in another thread closes the client of a running event loop."""

    async def main():
        await run_async(guard.decide(bearer("opaque"), time.time()))
        clients = [opened._client for opened in guard.remotes.opened()]
        await asyncio.to_thread(guard.close)
        for _ in range(100):
            if all(client is None or client.is_closed for client in clients):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the client is still open")

    asyncio.run(main())


def test_aclose_from_another_loop(guard):
    """`aclose` in another event loop closes the client in its own loop."""

    async def use():
        await run_async(guard.decide(bearer("opaque"), time.time()))
        await asyncio.to_thread(asyncio.run, guard.aclose())
        await asyncio.sleep(0.05)
        assert all(opened._client is None for opened in guard.remotes.opened())

    asyncio.run(use())


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_a_client_of_the_users_is_used_and_not_closed(server, kind):
    """A given client, blocking or async, is used in an event loop, and is not closed by the guard."""
    server.pages["/introspect"] = answer(ACTIVE)

    async def main():
        client = kind(headers={"X-Mine": "1"})
        guard = make_guard(server, HTTPOptions(client=client))
        async with beating():
            decision = await run_async(guard.decide(bearer("opaque"), time.time()))
        await guard.aclose()
        assert decision.auth.principal.subject == "ann"
        assert not client.is_closed
        assert server.seen[0].headers["x-mine"] == "1"
        await client.aclose() if kind is httpx.AsyncClient else client.close()
        assert status(await run_async(guard.decide(bearer("other"), time.time()))) == 503

    asyncio.run(main())


def test_an_async_client_has_no_place_in_a_synchronous_server(server):
    """An async client without an event loop is a 500, and the error advises an `httpx.Client`."""
    guard = make_guard(server, HTTPOptions(client=httpx.AsyncClient()))
    decision = run(guard.decide(bearer("opaque"), time.time()))
    assert decision.refusal.status == 500
    assert "give HTTPOptions an httpx.Client" in str(decision.error.__cause__)


def test_a_blocking_client_of_the_users_in_a_synchronous_server(server):
    """A given blocking client is used without an event loop, and is not closed by the guard."""
    server.pages["/introspect"] = answer(ACTIVE)
    with httpx.Client() as client:
        guard = make_guard(server, HTTPOptions(client=client))
        assert run(guard.decide(bearer("opaque"), time.time())).auth.principal.subject == "ann"
        guard.close()
        assert not client.is_closed


def test_threads_share_one_question(server, guard):
    """Twenty threads with one token share a question, without an event loop."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(0.2)
    server.pages["/introspect"] = page
    barrier = threading.Barrier(20)

    def ask(_):
        barrier.wait()
        return run(guard.decide(bearer("opaque"), time.time())).auth.principal.subject

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == ["ann"] * 20
    assert server.count("/introspect") <= 2
    guard.close()


def test_a_leader_that_is_cancelled_does_not_fail_the_others(server, guard):
    """The cancellation of the first of several waiting requests does not affect the others."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(0.2)
    server.pages["/introspect"] = page

    async def main():
        asks = [asyncio.create_task(run_async(guard.decide(bearer("opaque"), time.time()))) for _ in range(5)]
        await asyncio.sleep(0.05)
        asks[0].cancel()
        decisions = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(decisions[0], asyncio.CancelledError)
        assert [decision.auth.principal.subject for decision in decisions[1:]] == ["ann"] * 4

    asyncio.run(main())
    assert server.count("/introspect") == 1


def test_closing_does_not_cancel_who_still_asks(server, guard):
    """A request that waits while the guard is closed asks again."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(0.2)
    server.pages["/introspect"] = page

    async def main():
        ask = asyncio.create_task(run_async(guard.decide(bearer("opaque"), time.time())))
        await asyncio.sleep(0.05)
        await guard.aclose()
        assert (await ask).auth.principal.subject == "ann"

    asyncio.run(main())
    assert server.count("/introspect") == 2


def test_when_all_have_gone_away_the_question_ends_by_itself(server, guard):
    """A question whose requests are all cancelled leaves no open connection."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(0.2)
    server.pages["/introspect"] = page

    async def main():
        ask = asyncio.create_task(run_async(guard.decide(bearer("opaque"), time.time())))
        await asyncio.sleep(0.05)
        ask.cancel()
        await asyncio.gather(ask, return_exceptions=True)

    asyncio.run(main())


def test_a_thread_that_is_told_to_end_does_not_fail_the_others():
    """A thread that ends by `SystemExit` does not fail the others: a waiting one asks instead."""
    channel = Channel()
    started, go_on = threading.Event(), threading.Event()
    results = []

    def leader():
        started.set()
        go_on.wait(5)
        raise SystemExit

    def make(function):
        def flow():
            return function()
            yield

        return flow

    def lead():
        with pytest.raises(SystemExit):
            run(iter_of(Shared(channel, "key", make(leader))))

    def follow():
        results.append(run(iter_of(Shared(channel, "key", make(lambda: "answer")))))

    first = threading.Thread(target=lead)
    first.start()
    started.wait(5)
    second = threading.Thread(target=follow)
    second.start()
    time.sleep(0.05)
    go_on.set()
    first.join(5)
    second.join(5)
    assert results == ["answer"]


def iter_of(question):
    return (yield from question)


@pytest.mark.parametrize("drive", [run, lambda flow: asyncio.run(run_async(flow))], ids=["sync", "async"])
def test_a_failure_is_everybodys_and_ends_with_the_flight(drive):
    """An error is raised to the waiting request, and the next request asks again."""
    channel = Channel()
    calls = []

    def fail():
        calls.append(1)
        raise KeyError("bug")
        yield

    for _ in range(2):
        with pytest.raises(KeyError):
            drive(iter_of(Shared(channel, "key", fail)))
    assert len(calls) == 2


@pytest.mark.parametrize("loop", [False, True], ids=["sync", "async"])
def test_a_failure_in_the_background_is_logged(loop, caplog):
    """An error of a question in the background is logged."""
    channel = Channel()

    def fail():
        raise KeyError("bug")
        yield

    async def main():
        assert await run_async(iter_of(Shared(channel, "key", fail, wait=False))) is None
        await asyncio.sleep(0.01)

    if loop:
        asyncio.run(main())
    else:
        assert run(iter_of(Shared(channel, "key", fail, wait=False))) is None
    until(lambda: "background" in caplog.text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_has_connections_of_its_own(server, guard):
    """A child of a fork has connections of its own, and the parent keeps its connections."""
    assert run(guard.decide(bearer("parent"), time.time())).auth.principal.subject == "ann"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the server of the test runs in threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            decisions = [run(guard.decide(bearer(str(number)), time.time())) for number in range(3)]
            names = [decision.auth.principal.subject for decision in decisions]
            alone = [opened for opened in guard.remotes.opened() if opened._clients]
            code = 0 if names == ["ann"] * 3 and len(alone) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run(guard.decide(bearer("parent-again"), time.time())).auth.principal.subject == "ann"
    guard.close()


def test_a_wsgi_application_needs_no_loop(server, guard):
    """Keys and introspection work in a WSGI application without an event loop."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["authguard.user"].subject.encode()]

    def ask(text):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_AUTHORIZATION": f"Bearer {text}"}
        return b"".join(WSGIMiddleware(app, guard=guard)(environ, lambda *_: None))

    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    assert [ask("opaque"), ask(token())] == [b"ann", b"ann"]
    guard.close()


def test_a_refresh_in_the_background_is_not_waited_for(server):
    """A request that begins the refresh of the keys is answered with the present ones."""
    server.pages["/jwks"] = answer(KEYS)
    keys = RemoteKeySet(f"{server.url}/jwks", ttl=60, http=HTTPOptions(timeout=20))
    verifier = JWTVerifier(keys, algorithms=["ES256"], issuer=None, audience=AUDIENCE)
    guard = Guard(verifier)
    text = make_token(claims(exp=NOW + 86400), algorithm="ES256", key=ec_key(), kid="a")
    run(guard.decide(bearer(text), NOW))
    slow, go_on = answer(KEYS), threading.Event()
    slow.before = lambda: go_on.wait(20)
    server.pages["/jwks"] = slow
    started = time.monotonic()
    another = make_token(claims(exp=NOW + 86400, jti="2"), algorithm="ES256", key=ec_key(), kid="a")
    assert status(run(guard.decide(bearer(another), NOW + 50))) is None
    assert time.monotonic() - started < 10
    go_on.set()
    until(lambda: guard.health(NOW + 51)[0].fresh_until == NOW + 110)
    assert server.count("/jwks") == 2
    guard.close()


def test_health_tells_of_each_remote(server, guard):
    """The health has the state of each remote, at the present time by default."""
    assert [each.state for each in guard.health()] == ["unused", "unused"]
    run(guard.decide(bearer("opaque"), time.time()))
    server.pages["/introspect"] = answer({}, 500)
    run(guard.decide(bearer("other"), time.time()))
    unused, failing = guard.health()
    assert (unused.state, failing.state) == ("unused", "failing")
    assert "500" in failing.reason
    guard.close()


def test_a_guard_without_remotes_has_nothing_to_tell():
    """A guard without remotes has an empty health, and `close` does nothing."""
    guard = Guard(APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("robot")}))
    assert guard.health() == []
    guard.close()


def test_who_decides_to_fetch_when_somebody_just_has_does_not(server):
    """A second fetch that was decided before the end of the first one is not made."""
    server.pages["/jwks"] = answer(KEYS)
    keys = RemoteKeySet(f"{server.url}/jwks")
    verifier = JWTVerifier(keys, algorithms=["ES256"], issuer=None, audience=AUDIENCE)
    run(verifier._keys._refresh(0, NOW))
    run(verifier._keys._refresh(0, NOW))
    assert server.count("/jwks") == 1
    Guard(verifier).close()
