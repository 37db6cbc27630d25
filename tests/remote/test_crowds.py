"""Many requests at once: shared questions to remotes, no blocked event loop, and no secret in a log."""

import asyncio
import logging
import secrets
import threading
import time

import pytest

from authguard import ClientAuth, Guard, HTTPOptions, IntrospectionVerifier, JWTVerifier, RemoteKeySet, Rule
from authguard._core.flow import Call, Channel, Shared
from authguard.asgi import AuthGuardMiddleware
from authguard.drivers import run
from authguard.drivers.asynchronous import ask as ask_async
from authguard.drivers.asynchronous import run as run_async
from authguard.wsgi import AuthGuardMiddleware as WSGIMiddleware
from remote.heart import beating
from remote.servers import Answer, answer, hang, raw, until
from support import AUDIENCE, ISSUER, NOW, bearer, claims, ec_key, jwk, make_token

ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE}
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}


def introspection(url, **options):
    options = {"client_id": "api", "client_secret": "s"} | options
    if "auth" in options:
        options = {name: value for name, value in options.items() if not name.startswith("client_")}
    return IntrospectionVerifier(url, audience=AUDIENCE, **options)


def keys(url, http=None):
    return JWTVerifier(RemoteKeySet(url, http=http), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)


def token(kid="a", **changes):
    return make_token(claims(**changes), algorithm="ES256", key=ec_key(), kid=kid)


def guarded(guard):
    """Return the guard around an application that answers by 200."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return AuthGuardMiddleware(app, guard=guard)


async def send(app, path="/"):
    """Send a request with a token, and return its status."""
    sent = []

    async def keep(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer opaque")]
    await app({"type": "http", "method": "GET", "path": path, "headers": headers}, None, keep)
    return sent[0]["status"]


async def arrive(flows):
    """Run flows as they come from sockets: twenty in each turn of the event loop."""
    tasks = []
    for number, flow in enumerate(flows):
        tasks.append(asyncio.create_task(flow))
        if number % 20 == 0:
            await asyncio.sleep(0)
    return await asyncio.gather(*tasks)


def subject(decision):
    return decision.auth.principal.subject


@pytest.mark.slow
def test_1000_requests_with_one_token_ask_once(server):
    """A thousand requests with one token cause one introspection, also if its answer is slow."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(1)
    server.pages["/"] = page
    guard = Guard(introspection(f"{server.url}/"))

    async def main():
        async with beating():
            decisions = await arrive(run_async(guard.decide(bearer("opaque"), NOW)) for _ in range(1000))
        assert {subject(decision) for decision in decisions} == {"ann"}
        assert subject(await run_async(guard.decide(bearer("opaque"), NOW + 29))) == "ann"

    asyncio.run(main())
    assert server.count("/") == 1


@pytest.mark.parametrize(
    ("page", "status"),
    [(answer(ACTIVE), 200), (answer({"active": False}), 401), (answer({}, 500), 503), (Answer(b"?"), 503)],
    ids=["active", "inactive", "error", "garbage"],
)
@pytest.mark.parametrize("cache_ttl", [30, 0])
def test_a_crowd_shares_whatever_the_answer_is(server, page, status, cache_ttl):
    """Concurrent requests share each kind of answer of one introspection, with and without a cache."""
    page = Answer(page.body, page.status, page.headers, lambda: time.sleep(0.2))
    server.pages["/"] = page
    app = guarded(Guard(introspection(f"{server.url}/", cache_ttl=cache_ttl)))

    async def main():
        assert await asyncio.gather(*[send(app) for _ in range(200)]) == [status] * 200

    asyncio.run(main())
    assert server.count("/") == 1


@pytest.mark.slow
def test_each_of_a_crowd_is_held_to_the_rules(server):
    """Requests that share one introspection are each checked against their own rule."""
    page = answer(ACTIVE | {"scope": "read"})
    page.before = lambda: time.sleep(0.2)
    server.pages["/"] = page
    rules = [Rule("/read", scopes=["read"]), Rule("/write", scopes=["write"])]
    app = guarded(Guard(introspection(f"{server.url}/"), protected_paths=rules, public_paths=["/"]))

    async def main():
        paths = ["/read", "/write", "/other"]
        assert await asyncio.gather(*[send(app, path) for path in paths]) == [200, 403, 200]

    asyncio.run(main())
    assert server.count("/") == 1


@pytest.mark.slow
def test_a_crowd_in_threads_asks_once(server):
    """Concurrent requests in threads cause one introspection."""
    page = answer(ACTIVE)
    page.before = lambda: time.sleep(0.3)
    server.pages["/"] = page
    guard = Guard(introspection(f"{server.url}/", cache_ttl=0))
    app = WSGIMiddleware(lambda _, start: [start("200 OK", []) or b""], guard=guard)
    statuses = []

    def ask():
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_AUTHORIZATION": "Bearer opaque"}
        app(environ, lambda status, *_: statuses.append(status))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == ["200 OK"] * 20
    assert server.count("/") == 1
    guard.close()


def test_who_waits_is_resumed_some_at_a_time():
    """At most twenty waiting requests are resumed in one turn of the event loop."""
    channel, go_on, resumed, most = Channel(), asyncio.Event(), [], []

    def wait():
        yield from Call(go_on.wait)

    async def ask():
        await ask_async(Shared(channel, "key", wait))
        resumed.append(1)

    async def main():
        asks = [asyncio.create_task(ask()) for _ in range(500)]
        await asyncio.sleep(0)
        go_on.set()
        while len(resumed) < 500:
            before = len(resumed)
            await asyncio.sleep(0)
            most.append(len(resumed) - before)
        await asyncio.gather(*asks)

    asyncio.run(main())
    assert 0 < max(most) <= 20


@pytest.mark.slow
def test_200_cold_requests_discover_once(server):
    """Concurrent first requests cause one request for the metadata and one for the keys."""
    slow = answer({"issuer": server.url, "jwks_uri": f"{server.url}/jwks"})
    slow.before = lambda: time.sleep(0.5)
    server.pages = {"/.well-known/openid-configuration": slow, "/jwks": answer(KEYS)}
    guard = Guard(JWTVerifier.from_issuer(server.url, audience=AUDIENCE))
    tokens = [token(iss=server.url, sub=str(number)) for number in range(200)]

    async def main():
        async with beating():
            decisions = await arrive(run_async(guard.decide(bearer(text), NOW)) for text in tokens)
        assert [subject(decision) for decision in decisions] == [str(number) for number in range(200)]

    asyncio.run(main())
    assert [seen.path for seen in server.seen] == ["/.well-known/openid-configuration", "/jwks"]


def test_200_requests_with_a_rotated_key_fetch_once(server):
    """Concurrent requests with a new key cause one more request for the keys, and all are accepted."""
    server.pages["/jwks"] = answer(KEYS)
    guard = Guard(keys(f"{server.url}/jwks"))
    tokens = [token("b", sub=str(number)) for number in range(200)]

    async def main():
        await run_async(guard.decide(bearer(token()), NOW))
        server.pages["/jwks"] = answer({"keys": [jwk(ec_key(), kid="b", alg="ES256")]})
        decisions = await asyncio.gather(
            *[run_async(guard.decide(bearer(each), NOW + 0.1)) for each in tokens]
        )
        assert [subject(decision) for decision in decisions] == [str(number) for number in range(200)]

    asyncio.run(main())
    assert server.count("/jwks") == 2


def test_failures_are_shared_too(server):
    """A hundred concurrent requests while the issuer is down cause one attempt, and are each a 503."""
    page = Answer(b"", 500, {}, lambda: time.sleep(0.1))
    server.pages["/jwks"] = page
    guard = Guard(keys(f"{server.url}/jwks"))

    async def main():
        flows = [run_async(guard.decide(bearer(token(jti=str(number))), NOW)) for number in range(100)]
        assert {decision.refusal.status for decision in await asyncio.gather(*flows)} == {503}

    asyncio.run(main())
    assert server.count("/jwks") == 1


@pytest.mark.slow
def test_good_tokens_do_not_wait_beside_a_flood(server):
    """Tokens with a known key are verified while tokens with an unknown `kid` wait for a slow key set."""
    server.pages["/jwks"] = answer(KEYS)
    guard = Guard(keys(f"{server.url}/jwks", HTTPOptions(timeout=20)))
    go_on = threading.Event()
    flood = [token(secrets.token_hex(8), jti=str(number)) for number in range(500)]
    good = [token(jti=str(number)) for number in range(200)]

    async def main():
        await run_async(guard.decide(bearer(token()), NOW))
        slow = answer(KEYS)
        slow.before = lambda: go_on.wait(20)
        server.pages["/jwks"] = slow
        try:
            waiting = [asyncio.create_task(run_async(guard.decide(bearer(each), NOW + 1))) for each in flood]
            await asyncio.sleep(0.05)
            decisions = [await run_async(guard.decide(bearer(each), NOW + 1)) for each in good]
            assert {subject(decision) for decision in decisions} == {"ann"}
            assert not any(each.done() for each in waiting)
        finally:
            go_on.set()
        assert {each.refusal.status for each in await asyncio.gather(*waiting)} == {401}

    asyncio.run(main())
    assert server.count("/jwks") == 2


@pytest.mark.slow
def test_a_flood_in_threads_costs_three_fetches(server):
    """Hundreds of tokens with an unknown `kid`, without an event loop, cause at most three more requests."""
    server.pages["/jwks"] = answer(KEYS)
    guard = Guard(keys(f"{server.url}/jwks"))
    for number in range(300):
        assert (
            run(guard.decide(bearer(token(secrets.token_hex(8))), NOW + number / 1000)).refusal.status == 401
        )
    assert server.count("/jwks") <= 4
    guard.close()


@pytest.mark.slow
@pytest.mark.parametrize("loop", [True, False], ids=["async", "sync"])
def test_a_dead_endpoint_costs_one_timeout(loop):
    """After one timeout of the endpoint the following requests are a 503 at once."""
    with raw(hang) as url:
        guard = Guard(introspection(url, http=HTTPOptions(timeout=0.4)))

        def ask(number):
            flow = guard.decide(bearer(str(number)), time.time())
            return asyncio.run(run_async(flow)) if loop else run(flow)

        assert ask(0).refusal.status == 503
        started = time.perf_counter()
        for number in range(1, 20):
            answered = ask(number)
            assert answered.refusal.status == 503
            assert dict(answered.refusal.fields())["retry-after"] == "1"
        assert time.perf_counter() - started < 7  # 19 timeouts of 0.4 seconds are more
        guard.close()


def test_a_key_that_is_known_is_not_waited_for_in_an_outage(server):
    """Stale keys verify tokens at once while attempts to fetch the keys run in the background."""
    server.pages["/jwks"] = answer(KEYS)
    guard, go_on = Guard(keys(f"{server.url}/jwks", HTTPOptions(timeout=20))), threading.Event()
    texts = [token(exp=NOW + 86400, jti=str(number)) for number in range(20)]
    assert subject(run(guard.decide(bearer(texts[0]), NOW))) == "ann"
    slow = answer(KEYS, 500)
    server.pages["/jwks"] = slow
    assert subject(run(guard.decide(bearer(texts[0]), NOW + 300))) == "ann"
    slow.before = lambda: go_on.wait(20)
    started = time.perf_counter()
    for number, text in enumerate(texts[1:]):
        assert subject(run(guard.decide(bearer(text), NOW + 302 + number))) == "ann"
    assert time.perf_counter() - started < 10
    go_on.set()
    until(lambda: guard.health(NOW + 330)[0].failures >= 2)
    guard.close()


@pytest.mark.slow
def test_no_secret_is_seen_on_the_way(server, caplog):
    """No secret is in the logs, URLs, health, errors and representations of connections."""
    mark = "MARKER" + secrets.token_hex(8)
    caplog.set_level(logging.DEBUG)
    pages = [answer(ACTIVE), answer({"active": False}), answer({}, 500), Answer(b"garbage"), answer({}, 429)]
    auths = [
        ClientAuth.basic("api", mark),
        ClientAuth.post("api", mark),
        ClientAuth.bearer(mark),
        ClientAuth.private_key_jwt("api", ec_key(), algorithm="ES256"),
    ]
    texts = []
    for auth in auths:
        http = HTTPOptions(headers={"X-Token": mark})
        guard = Guard(introspection(f"{server.url}/", auth=auth, http=http))
        for number, page in enumerate(pages):
            server.pages["/"] = page
            for drive in (run, lambda flow: asyncio.run(run_async(flow))):
                decision = drive(guard.decide(bearer(f"{mark}{number}"), NOW + 60 * number))
                texts.append(repr(getattr(decision, "error", None)))
        texts += [repr(guard.health(NOW)), repr(guard), repr(http), repr(auth)]
        texts += [repr(channel) for verifier in guard._verifiers for channel in verifier.channels()]
        guard.close()
    assert server.seen and all(mark not in seen.path for seen in server.seen)
    everything = caplog.text + "".join(texts)
    for secret in (mark, "s3cret"):
        assert secret not in everything


def test_a_bug_in_a_verifier_is_an_error_on_open_pages_too(server):
    """A bug of a verifier is a 500, also on a public path."""

    class Broken(IntrospectionVerifier):
        def flow(self, credential, now):
            yield from Call(time.sleep, 0)
            raise RuntimeError("broken")

    broken = Broken(f"{server.url}/", client_id="api", client_secret="s", audience=AUDIENCE)
    app = guarded(Guard(broken, public_paths=["/open"]))

    async def main():
        assert [await send(app), await send(app, "/open")] == [500, 500]

    asyncio.run(main())
