"""Options of the client's classes that were accepted, and had no effect or the wrong one; and trio."""

import asyncio
import functools
import logging
import time

import httpx
import pytest
import trio
import trio.testing

from authguard.client import APIKeyAuth, BearerAuth
from authguard.errors import ConfigurationError, LoginError
from identity.support import PASSWORD

from .test_client import BOTH, EMAIL, KEY, world
from .waiting import Time

__all__ = ["world"]  # a fixture

URL = "https://api.example.com/v1"
MAKE = pytest.mark.parametrize(
    "make",
    [lambda url: BearerAuth(url, EMAIL, PASSWORD), lambda url: APIKeyAuth(url, KEY)],
    ids=["BearerAuth", "APIKeyAuth"],
)


class AsyncSleeper:
    """Sleep when called in an event loop."""

    async def __call__(self, seconds):
        """Sleep."""


@pytest.mark.parametrize(
    "sleep",
    [asyncio.sleep, trio.sleep, AsyncSleeper(), functools.partial(asyncio.sleep, result=1)],
    ids=["asyncio", "trio", "object", "partial"],
)
def test_an_async_sleep_for_threads_is_refused(sleep):
    """An async function as `sleep` is refused, because it would never wait."""
    with pytest.raises(
        ConfigurationError, match="sleep must be a plain function, got an async one: .*async_sleep"
    ):
        APIKeyAuth(URL, KEY, sleep=sleep)
    assert APIKeyAuth(URL, KEY, async_sleep=sleep)


@pytest.mark.parametrize(
    "sleep", [time.sleep, lambda seconds: None, Time().sleep], ids=["C", "lambda", "method"]
)
def test_a_plain_sleep_for_event_loops_is_refused(sleep):
    """A plain function as `async_sleep` is refused, because it would block the event loop."""
    with pytest.raises(ConfigurationError, match="async_sleep must be an async function, got a plain one"):
        APIKeyAuth(URL, KEY, async_sleep=sleep)
    assert APIKeyAuth(URL, KEY, sleep=sleep)


def test_a_sleep_takes_seconds():
    """A function to sleep that takes no argument is refused."""

    async def sleep():
        """Take no argument."""

    with pytest.raises(ConfigurationError, match="async_sleep must be a function of one argument"):
        APIKeyAuth(URL, KEY, async_sleep=sleep)
    with pytest.raises(ConfigurationError, match="sleep must be a function of one argument"):
        APIKeyAuth(URL, KEY, sleep=lambda: None)


@MAKE
@pytest.mark.parametrize("query", ["?x=1", "?", "/?x=1"])
def test_a_query_is_refused(make, query):
    """A base URL with a query is refused, because the paths of the API are put after it."""
    with pytest.raises(
        ConfigurationError, match=r"base_url must have no query.*write 'https://api.example.com/v1"
    ):
        make(URL + query)


def send(auth, url, asynchronous, **options):
    """Send a request from a thread or an event loop."""

    async def asend():
        async with httpx.AsyncClient(auth=auth, **options) as client:
            return await client.get(url)

    if asynchronous:
        return asyncio.run(asend())
    with httpx.Client(auth=auth, **options) as client:
        return client.get(url)


@BOTH
@MAKE
def test_the_first_request_to_another_origin_is_logged(make, asynchronous, caplog):
    """One warning for each object names both origins, without the credential and the path."""
    transport = httpx.MockTransport(lambda request: httpx.Response(401))
    for count in (1, 2):
        auth = make("https://auth.example.com/v1")
        for path in ("/a", "/b"):
            other = f"https://user:pa55word@api.example.com:8443{path}?token=t0ken"
            assert send(auth, other, asynchronous, transport=transport).status_code == 401
        records = [record for record in caplog.records if record.name == "authguard"]
        assert [record.levelno for record in records] == [logging.WARNING] * count
    told = "\n".join(record.getMessage() for record in records)
    assert "https://api.example.com:8443 " in told and "https://auth.example.com " in told
    assert type(auth).__name__ in told
    for secret in (KEY, PASSWORD, "pa55word", "t0ken"):
        assert secret not in told


@MAKE
def test_requests_to_the_origin_are_not_logged(make, caplog):
    """Requests to the origin of the base URL are not logged, however it is written."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    if isinstance(auth := make(URL), APIKeyAuth):
        send(auth, "https://API.example.com:443/", False, transport=transport)
    assert not [record for record in caplog.records if record.name == "authguard"]


def test_the_tokens_work_under_trio(world):
    """Tasks of trio sign in once and send the token, and log out."""
    answers = []

    async def main():
        async with httpx.AsyncClient(auth=world.auth, timeout=30) as client, trio.open_nursery() as nursery:

            async def one():
                answers.append((await client.get(world.base + "/users/me")).status_code)

            for _ in range(10):
                nursery.start_soon(one)
        await world.auth.alogout()

    trio.run(main)
    assert answers == [200] * 10
    assert (world.recorder.count("/v1/auth/login"), world.recorder.count("/v1/auth/logout")) == (1, 1)


def test_trio_and_asyncio_share_one_object(world):
    """A token that was obtained under trio is used under asyncio."""

    async def main():
        async with httpx.AsyncClient(auth=world.auth) as client:
            return (await client.get(world.base + "/users/me")).status_code

    assert [trio.run(main), asyncio.run(main()), trio.run(main)] == [200] * 3
    assert world.recorder.count("/v1/auth/login") == 1


def test_an_outage_under_trio_is_a_login_error(world):
    """A failed sign-in under trio is a LoginError."""
    world.recorder.answers["/v1/auth/login"] = (503, {})

    async def main():
        async with httpx.AsyncClient(auth=world.auth) as client:
            with pytest.raises(LoginError, match="503"):
                await client.get(world.base + "/users/me")

    trio.run(main)


def test_the_key_waits_under_trio():
    """Without `async_sleep`, the client sleeps by the clock of trio."""
    answers = [httpx.Response(429, headers={"Retry-After": "60"}), httpx.Response(200)]

    async def main():
        transport = httpx.MockTransport(lambda request: answers.pop(0))
        async with httpx.AsyncClient(auth=APIKeyAuth(URL, KEY), transport=transport) as client:
            began = trio.current_time()
            answer = await client.get(URL)
            return answer.status_code, trio.current_time() - began

    assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == (200, 60.0)
