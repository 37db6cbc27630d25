"""Clients that leave in the middle of a request."""

import asyncio

import pytest

from authguard.identity import Identity

pytestmark = pytest.mark.one_database  # the bodies of requests do not depend on the database

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/auth/login", JSON), ("/v1/auth/login", FORM), ("/v1/oauth/token", FORM), ("/login", FORM)],
)
@pytest.mark.parametrize("begun", [b"", b'{"email": '])
def test_a_client_that_leaves_before_its_body_is_complete_is_no_error(service, path, kind, begun):
    """An incomplete body raises no exception, so that the server logs no traceback."""
    fields = {b"content-type": kind, b"content-length": b"100", b"sec-fetch-site": b"same-origin"}
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "headers": list(fields.items()), "client": ("192.0.2.1", 1),
        "server": ("testserver", 80), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": begun, "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    asyncio.run(Identity(service)(scope, receive, send))
    assert next(messages, None) is None
    assert [message["status"] for message in sent if "status" in message] == [499]
