"""The fields that a decision adds to the application's response, beside the application's own fields."""

import pytest

from authguard import asgi, wsgi
from authguard._core.answer.response_fields import merged, response_fields

NONCE = [("cache-control", "no-store"), ("dpop-nonce", "next")]


def on_asgi(own, fields):
    sent = []
    send = asgi._adding(sent.append, fields)
    send(
        {"type": "http.response.start", "status": 200, "headers": [(n.encode(), v.encode()) for n, v in own]}
    )
    return sorted((name.decode(), value.decode()) for name, value in sent[0]["headers"])


def on_wsgi(own, fields):
    sent = []
    wsgi._adding(lambda status, headers, exc_info=None: sent.extend(headers), fields)("200 OK", own)
    return sorted(sent)


@pytest.mark.parametrize("added", [on_asgi, on_wsgi])
@pytest.mark.parametrize(
    "own, vary, nonce, expected",
    [
        ([], "Cookie", "", [("cache-control", "private"), ("vary", "Cookie")]),
        ([], "", "next", NONCE),
        ([], "Cookie", "next", [*NONCE, ("vary", "Cookie")]),
        (
            [("vary", "Accept")],
            "Cookie",
            "",
            [("cache-control", "private"), ("vary", "Accept"), ("vary", "Cookie")],
        ),
        ([("cache-control", "public")], "Cookie", "", [("cache-control", "public"), ("vary", "Cookie")]),
        (
            [("Cache-Control", "max-age=5")],
            "",
            "next",
            [("Cache-Control", "max-age=5"), ("dpop-nonce", "next")],
        ),
    ],
    ids=["varies", "nonce", "both", "own vary", "own caching", "own caching and a nonce"],
)
def test_what_is_added(added, own, vary, nonce, expected):
    """The application's own Cache-Control and Vary stay; without Cache-Control, a nonce is not stored."""
    assert added(own, response_fields(vary, nonce)) == expected


def test_nothing_is_added_where_nothing_varies():
    """A response that does not vary, as one to a token in the Authorization field, gets no field."""
    assert response_fields("") == ()
    assert merged([("a", "b")], ()) == [("a", "b")]
