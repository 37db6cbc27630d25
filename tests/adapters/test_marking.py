"""What a decision has put on the application's response, where there is more than one thing."""

import asyncio

from authguard import asgi, wsgi
from authguard._core.answer.decision import Allow
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH

BOTH = Allow(ANONYMOUS_AUTH, ANONYMOUS, None, "Cookie", "next")
EXPECTED = [("cache-control", "no-store"), ("dpop-nonce", "next"), ("vary", "Cookie")]


def test_a_nonce_is_in_no_cache_where_the_answer_varies_on_asgi():
    """`no-store`, and not `private`, by which a browser would keep it."""
    sent = []

    async def send(message):
        sent.append(message)

    marked = asgi._marking(send, BOTH)

    async def answer():
        await marked({"type": "http.response.start", "status": 200, "headers": []})

    asyncio.run(answer())
    assert sorted((name.decode(), value.decode()) for name, value in sent[0]["headers"]) == EXPECTED


def test_a_nonce_is_in_no_cache_where_the_answer_varies_on_wsgi():
    """The same."""
    sent = []
    wsgi._marking(lambda status, headers, exc_info=None: sent.extend(headers), BOTH)("200 OK", [])
    assert sorted((name.lower(), value) for name, value in sent) == EXPECTED
