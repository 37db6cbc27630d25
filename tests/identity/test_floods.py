"""Requests beyond the queue while all threads are busy: 503, until the threads are free again."""

import asyncio
import contextlib
import threading

import httpx
import pytest

from authguard.identity import Identity
from identity.providers import local_providers
from identity.support import ANN, ISSUER, PASSWORD, service_at

pytestmark = pytest.mark.slow

BEYOND = 20  # requests beyond the places of the queue
MISSING = {"token": "a" * 43}
KINDS = {
    "_reading": ("GET", "/v1/users/me/sessions", None, 200),
    "_writing": ("POST", "/v1/auth/logout", None, 200),
    "_counting": ("POST", "/v1/auth/verify-email/decline", MISSING, 400),
    "_hashing": ("POST", "/v1/auth/reset-password", MISSING | {"new_password": PASSWORD}, 400),
}


@contextlib.contextmanager
def held(threads):
    """Keep all threads of a kind busy."""
    go, busy = threading.Event(), threading.Semaphore(0)

    def wait():
        busy.release()
        go.wait()

    for _ in range(threads._max_threads):
        threads.put(wait)
    for _ in range(threads._max_threads):
        assert busy.acquire(timeout=10)
    try:
        yield
    finally:
        go.set()


async def flood(client, threads, request):
    """Send more requests than the queue has places, and return their answers."""
    with held(threads):
        tasks = [asyncio.create_task(client.request(**request)) for _ in range(threads._max_waiting + BEYOND)]
        done = set()
        while len(done) < BEYOND:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        early = [task.result() for task in done]
    return early, await asyncio.gather(*tasks)


def request_of(method, path, body, tokens):
    """Return the arguments of a request."""
    headers = {"Authorization": f"Bearer {tokens.access_token}"}
    return {"method": method, "url": path, "headers": headers} | ({"json": body} if body else {})


def check(early, answers, after, status):
    """Check that requests beyond the queue get 503 with Retry-After, and that all others are answered."""
    assert {response.status_code for response in early} == {503}
    assert all(int(response.headers["retry-after"]) >= 1 for response in early)
    assert all(len(response.content) < 1000 for response in early)
    codes = [response.status_code for response in answers]
    assert codes.count(503) >= BEYOND
    assert set(codes) <= {503, status}
    assert after.status_code == status


@pytest.mark.parametrize("kind", KINDS)
def test_requests_beyond_the_queue_are_refused(sqlite_url, kind):
    """Of a flood while all threads of a kind are busy, the requests beyond the queue get 503 at once."""
    method, path, body, status = KINDS[kind]
    with service_at(sqlite_url, worker_threads=2) as service:
        account = service.accounts.find(ANN["email"]) or service.accounts.create(ANN["email"], PASSWORD)
        tokens = service.accounts.issue_tokens(account.id)
        app = Identity(service)
        threads = getattr(app._web.workers, kind)

        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
                request = request_of(method, path, body, tokens)
                early, answers = await flood(client, threads, request)
                return early, answers, await client.request(**request)

        check(*asyncio.run(main()), status)
        app.close()


def test_requests_beyond_a_provider_s_queue_are_refused(sqlite_url):
    """A provider has a queue of its own, and requests beyond that get 503."""
    with local_providers("github") as providers, service_at(sqlite_url, worker_threads=2) as service:
        app = Identity(service, providers=providers)
        request = {"method": "GET", "url": "/v1/auth/github/authorize"}

        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
                assert (await client.request(**request)).status_code == 303
                early, answers = await flood(client, app._web.workers._remotes["github"], request)
                return early, answers, await client.request(**request)

        check(*asyncio.run(main()), 303)
        app.close()
