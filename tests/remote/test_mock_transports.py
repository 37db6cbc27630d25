"""Clients of httpx with transports for tests, and with hooks, as the client of a guard."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from authguard import Guard, HTTPOptions, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import InvalidTokenError, VerificationUnavailableError
from authguard.testing import issue_token
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, jwk, make_token, no_more_threads

KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
TOKEN = make_token(claims(), algorithm="ES256", key=ec_key(), kid="a")

JSON = {"content-type": "application/json"}

Handler = Callable[[httpx.Request], httpx.Response]


def keys(request: httpx.Request) -> httpx.Response:
    """Answer with the key set."""
    return httpx.Response(200, json=KEYS)


def guard_by(client: Any) -> Guard:
    """Return a guard that fetches keys by a client."""
    key_set = RemoteKeySet("https://issuer.example/jwks", http=HTTPOptions(client=client))
    return Guard(JWTVerifier(key_set, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE))


def by_client(handler: Handler, **options: Any) -> str:
    """Verify a token by a blocking client, in this thread."""
    with httpx.Client(transport=httpx.MockTransport(handler), **options) as client:
        return guard_by(client).verify(TOKEN, now=NOW).subject


def by_client_in_a_loop(handler: Handler, **options: Any) -> str:
    """Verify a token by a blocking client, in an event loop."""
    with httpx.Client(transport=httpx.MockTransport(handler), **options) as client:
        return asyncio.run(guard_by(client).averify(TOKEN, now=NOW)).subject


def by_async_client(handler: Handler, **options: Any) -> str:
    """Verify a token by an async client."""

    async def main() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), **options) as client:
            return (await guard_by(client).averify(TOKEN, now=NOW)).subject

    return asyncio.run(main())


each = pytest.mark.parametrize(
    "verify",
    [by_client, by_client_in_a_loop, by_async_client],
    ids=["client", "client in a loop", "async client"],
)


def test_keys_are_fetched_where_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are fetched in the thread of the request if the system cannot start a thread."""
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    assert by_client(keys) == "ann"


@each
def test_a_mock_transport(verify: Any) -> None:
    """A mock transport, whose answers are already read, works."""
    assert verify(keys) == "ann"


@each
def test_a_mock_transport_that_streams(verify: Any) -> None:
    """A mock transport whose answers are streams works."""
    text = httpx.Response(200, json=KEYS).content

    class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Any:
            yield text

        async def __aiter__(self) -> Any:
            yield text

    assert verify(lambda request: httpx.Response(200, stream=Stream(), headers=JSON)) == "ann"


def test_a_hook_that_reads_the_answer() -> None:
    """An answer that a hook has read is not read again."""
    assert by_client(keys, event_hooks={"response": [lambda response: response.read()]}) == "ann"


def test_a_hook_that_reads_too_much() -> None:
    """An answer without a length that a hook has read is checked against the limit of its size."""

    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([b" " * 70_000]), headers=JSON)

    with pytest.raises(VerificationUnavailableError, match="larger than"):
        by_client(endless, event_hooks={"response": [lambda response: response.read()]})


def test_an_async_hook_that_reads_the_answer() -> None:
    """An answer that an async hook has read is not read again."""

    async def read(response: httpx.Response) -> None:
        await response.aread()

    assert by_async_client(keys, event_hooks={"response": [read]}) == "ann"


@each
@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx.Response(200, content=b" " * 70_000),
        lambda: httpx.Response(500),
        lambda: httpx.Response(200, content=b"no JSON"),
        lambda: httpx.Response(200, content=b"", headers={"content-encoding": "gzip"}),
    ],
    ids=["too large", "500", "no JSON", "compressed"],
)
def test_bad_answers(verify: Any, response: Callable[[], httpx.Response]) -> None:
    """An answer that is already read has the same limits as a stream."""
    with pytest.raises(VerificationUnavailableError):
        verify(lambda request: response())


@each
def test_a_transport_that_fails(verify: Any) -> None:
    """An error of a transport is an outage."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    with pytest.raises(VerificationUnavailableError):
        verify(fail)


def test_an_application_in_the_process() -> None:
    """The transport for an ASGI application works."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": httpx.Response(200, json=KEYS).content})

    async def main() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return (await guard_by(client).averify(TOKEN, now=NOW)).subject

    assert asyncio.run(main()) == "ann"


def test_introspection() -> None:
    """Introspection by a mock transport accepts an active token, and refuses an inactive one."""

    def introspect(request: httpx.Request) -> httpx.Response:
        active = b"token=good" in request.content
        return httpx.Response(200, json={"active": active, "sub": "ann"} if active else {"active": False})

    with httpx.Client(transport=httpx.MockTransport(introspect)) as client:
        options = HTTPOptions(client=client)
        verifier = IntrospectionVerifier(
            "https://issuer.example/introspect",
            client_id="api",
            client_secret="s",
            audience=None,
            http=options,
        )
        guard = Guard(verifier)
        assert guard.verify("good").subject == "ann"
        with pytest.raises(InvalidTokenError):
            guard.verify(issue_token("k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz"))


@pytest.mark.parametrize("kind", ["keys", "introspection"])
def test_a_client_that_is_cancelled_from_inside_is_an_outage(kind: str) -> None:
    """A request that its client cancels is a 503, and is not sent again."""
    sent = []

    async def cancelled(request: httpx.Request) -> httpx.Response:
        sent.append(request.url)
        raise asyncio.CancelledError

    async def main() -> int:
        async with httpx.AsyncClient(transport=httpx.MockTransport(cancelled)) as client:
            guard = guard_by(client)
            if kind == "introspection":
                http = HTTPOptions(client=client)
                asked = "https://issuer.example/introspect"
                guard = Guard(IntrospectionVerifier(asked, client_id="a", client_secret="s" * 40, http=http))
            app = AuthGuardMiddleware(Starlette(), guard=guard, clock=lambda: NOW)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://a.example") as caller:
                asking = caller.get("/", headers={"authorization": f"Bearer {TOKEN}"})
                return (await asyncio.wait_for(asking, 5)).status_code

    assert asyncio.run(main()) == 503
    assert len(sent) == 1
