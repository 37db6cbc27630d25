"""The key of `APIKeyAuth` with each transport of httpx, and in no copy of the fields."""

import asyncio
import copy
import pickle
import sys
import warnings

import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from authguard.client import APIKeyAuth
from identity.support import serving

from .test_client import BOTH, KEY, Recorder

ORIGIN = "http://127.0.0.1"
OTHER_NAME = "http://localhost"


async def shown(request):
    """Answer with the key of the request."""
    return PlainTextResponse(request.headers.get("x-api-key", "none"))


ASGI = Starlette(routes=[Route("/", shown)])
READERS = {
    "[]": lambda headers: headers["X-API-Key"],
    "get": lambda headers: headers.get("x-api-key"),
    "in": lambda headers: KEY if "X-Api-Key" in headers else None,
    "keys": lambda headers: KEY if "x-api-key" in headers.keys() else None,  # noqa: SIM118
    "iteration": lambda headers: KEY if "x-api-key" in list(headers) else None,
    "values": lambda headers: list(headers.values())[-1],
    "items": lambda headers: dict(headers.items())["x-api-key"],
    "dict": lambda headers: dict(headers)["x-api-key"],
    "multi_items": lambda headers: dict(headers.multi_items())["x-api-key"],
    "get_list": lambda headers: headers.get_list("X-API-Key")[0],
    "raw": lambda headers: dict(headers.raw)[b"X-API-Key"].decode(),
    "length": lambda headers: KEY if len(headers) == len(headers.raw) else None,
}


@BOTH
@pytest.mark.parametrize("reader", READERS)
def test_every_way_to_read_the_fields_shows_the_key(asynchronous, reader):
    """A transport that reads the fields in any way sends the key."""
    seen = []

    def handler(request):
        seen.append(READERS[reader](request.headers))
        return httpx.Response(200)

    auth, transport = APIKeyAuth(ORIGIN, KEY), httpx.MockTransport(handler)

    async def asend():
        async with httpx.AsyncClient(auth=auth, transport=transport) as client:
            await client.get(ORIGIN)

    if asynchronous:
        asyncio.run(asend())
    else:
        with httpx.Client(auth=auth, transport=transport) as client:
            client.get(ORIGIN)
    assert seen == [KEY]


def test_the_asgi_transport_sends_the_key():
    """An application behind `ASGITransport` gets the key."""

    async def main():
        transport = httpx.ASGITransport(ASGI)
        async with httpx.AsyncClient(transport=transport, auth=APIKeyAuth(ORIGIN, KEY)) as client:
            return (await client.get(ORIGIN)).text

    assert asyncio.run(main()) == KEY


def test_the_wsgi_transport_sends_the_key():
    """An application behind `WSGITransport` gets the key."""
    app = flask.Flask("shown")
    app.add_url_rule("/", "shown", lambda: flask.request.headers.get("X-API-Key", "none"))
    with httpx.Client(transport=httpx.WSGITransport(app), auth=APIKeyAuth(ORIGIN, KEY)) as client:
        assert client.get(ORIGIN).text == KEY


def test_the_test_client_of_starlette_sends_the_key(monkeypatch):
    """An application behind Starlette's `TestClient` gets the key, if that is built on httpx."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.delitem(sys.modules, "starlette.testclient")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it should be built on httpx2
        from starlette.testclient import TestClient
    with TestClient(ASGI, base_url=ORIGIN) as client:
        assert client.get("/", auth=APIKeyAuth(ORIGIN, KEY)).text == KEY


def test_the_test_client_on_httpx2_takes_the_field():
    """Starlette's `TestClient` on httpx2 refuses the classes for httpx, and sends the key as a field."""
    from starlette.testclient import TestClient

    if issubclass(TestClient, httpx.Client):
        pytest.skip("older versions of Starlette are built on httpx")
    with TestClient(ASGI, base_url=ORIGIN) as client, pytest.raises(TypeError, match='Invalid "auth"'):
        client.get("/", auth=APIKeyAuth(ORIGIN, KEY))
    with TestClient(ASGI, base_url=ORIGIN, headers={"X-API-Key": KEY}) as client:
        assert client.get("/").text == KEY


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("sort", ["server", "mock", "asgi"])
def test_no_transport_sends_the_key_to_the_target_of_a_redirect(asynchronous, sort):
    """A redirect to another origin is followed without the key, with each transport."""
    seen = []

    def answer(request):
        seen.append((request.url.host, "x-api-key" in request.headers))
        if request.url.host == "127.0.0.1":
            return httpx.Response(307, headers={"Location": OTHER_NAME})
        return httpx.Response(200)

    async def app(scope, receive, send):
        names = dict(scope["headers"])
        host = names[b"host"].partition(b":")[0].decode()
        seen.append((host, b"x-api-key" in names))
        to = [(b"location", OTHER_NAME.encode())] if host == "127.0.0.1" else []
        await send({"type": "http.response.start", "status": 307 if to else 200, "headers": to})
        await send({"type": "http.response.body", "body": b""})

    def send(base, transport):
        async def asend():
            async with httpx.AsyncClient(
                auth=APIKeyAuth(base, KEY), transport=transport, follow_redirects=True
            ) as client:
                return await client.get(base)

        if asynchronous or sort == "asgi":
            return asyncio.run(asend())
        with httpx.Client(auth=APIKeyAuth(base, KEY), transport=transport, follow_redirects=True) as client:
            return client.get(base)

    if sort == "server":
        first, second = Recorder(), Recorder()
        with serving(first) as base, serving(second) as other:
            first.answers["/"] = (307, {"location": other})
            assert send(base, None).status_code == 200
        seen = [
            ("127.0.0.1", b"x-api-key" in first.seen[0][1]),
            ("localhost", b"x-api-key" in second.seen[0][1]),
        ]
    else:
        transport = httpx.MockTransport(answer) if sort == "mock" else httpx.ASGITransport(app)
        assert send(ORIGIN, transport).status_code == 200
    assert seen == [("127.0.0.1", True), ("localhost", False)]


@pytest.fixture
def request_sent():
    """Return a request as a transport has got it."""
    requests = []

    def handler(request):
        requests.append(request)
        return httpx.Response(200)

    with httpx.Client(auth=APIKeyAuth(ORIGIN, KEY), transport=httpx.MockTransport(handler)) as client:
        client.get(ORIGIN, headers={"X-Other": "1"})
    return requests[0]


COPIES = {
    "Headers": httpx.Headers,
    "copy": lambda headers: headers.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda headers: pickle.loads(pickle.dumps(headers)),
    "a request": lambda headers: httpx.Request("GET", ORIGIN, headers=headers).headers,
    "a client": lambda headers: httpx.Client(headers=headers).headers,
    "a request of a client": lambda headers: (
        httpx.Client().build_request("GET", ORIGIN, headers=headers).headers
    ),
}


@pytest.mark.parametrize("way", COPIES)
def test_no_copy_of_the_fields_has_the_key(request_sent, way):
    """A copy of the fields has the other fields, and not the key."""
    copied = COPIES[way](request_sent.headers)
    assert copied["x-other"] == "1"
    assert "x-api-key" not in copied and KEY not in str(copied.raw)


def test_no_repr_has_the_key(request_sent):
    """The repr of the fields names the field of the key, without the key."""
    assert "'x-api-key': '[secure]'" in repr(request_sent.headers)
    assert KEY not in repr(request_sent.headers) + repr(request_sent) + str(request_sent.headers)


def test_the_key_can_be_removed_and_replaced(request_sent):
    """A transport can remove the key from the fields, and write another value."""
    headers = request_sent.headers
    assert headers.pop("x-api-key") == KEY
    assert "X-API-Key" not in headers and headers.pop("x-api-key", None) is None
    headers["X-API-Key"] = "another"
    assert headers.get_list("x-api-key") == ["another"]
    with pytest.raises(KeyError):
        del headers["x-absent"]


def test_another_value_replaces_the_key(request_sent):
    """A transport that sets the field of the key sends this value alone."""
    request_sent.headers.update({"x-api-key": "another", "x-more": "2"})
    values = [value for name, value in request_sent.headers.raw if name.lower() == b"x-api-key"]
    assert (values, request_sent.headers["x-more"]) == ([b"another"], "2")
