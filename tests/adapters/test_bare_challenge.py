"""The challenge for a request without a credential: it has the realm, and no error."""

import asyncio

import pytest
from fastapi import FastAPI

from adapters.faces import ASGI, DECORATED, WSGI, ask_asgi, ask_wsgi, raw_asgi
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier
from support import AUDIENCE, ISSUER, NOW, SECRET

BARE = 'Bearer realm="api"'
KEY = "sk_live_bare-challenge-Key-of-enough-bytes-4Hs"
NOTHING = {
    "no field": [],
    "an empty field": [("X-Other", b"")],
    "Basic": [("Authorization", b"Basic YTpi")],
    "Digest": [("Authorization", b'Digest username="a"')],
    "ApiKey": [("Authorization", b"ApiKey abc")],
    "Negotiate": [("Authorization", b"Negotiate YII=")],
    "a cookie of another name": [("Cookie", b"theme=dark")],
}
FACES = {
    **{name: (make, ask_asgi) for name, make in ASGI.items()},
    **{name: (make, ask_wsgi) for name, make in WSGI.items()},
}


def _guard(**options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, APIKeyVerifier({KEY: APIKey("robot")}), cookie=AccessCookie(secure=False), **options)


def _is_bare(answer, more=""):
    challenge = answer.headers["www-authenticate"]
    return (answer.status, challenge, b"error" in answer.body) == (401, BARE + more, False)


@pytest.mark.parametrize("fields", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("face", FACES)
def test_the_challenge_of_a_guard_is_bare(face, fields):
    """The challenge of a guard has no error code (RFC 6750 section 3.1)."""
    make, ask = FACES[face]
    assert _is_bare(ask(make(_guard(), lambda: NOW), "GET", "/private", fields))


@pytest.mark.parametrize("fields", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("face", DECORATED)
def test_the_challenge_of_a_decorator_is_bare(face, fields):
    """The challenge of a decorator on a public path has no error code, and names the required scope."""
    make, ask = DECORATED[face]
    app = make(_guard(public_paths=["/**"]), lambda: NOW, {"scopes": ["read"]})
    more = "" if isinstance(app, FastAPI) else ', scope="read"'  # FastAPI checks its dependency first
    assert _is_bare(ask(app, "GET", "/route", fields), more)


@pytest.mark.parametrize("fields", NOTHING.values(), ids=NOTHING)
def test_the_challenge_of_a_websocket_is_bare(fields):
    """The challenge in the denial response of a websocket has no error code."""
    sent = []
    scope = {
        "type": "websocket", "scheme": "ws", "path": "/private", "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value) for name, value in fields], "subprotocols": [],
        "extensions": {"websocket.http.response": {}}, "state": {},
    }  # fmt: skip

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(raw_asgi(_guard(), lambda: NOW)(scope, receive, send))
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"www-authenticate"]) == (401, BARE.encode())


@pytest.mark.parametrize("face", ASGI)
@pytest.mark.parametrize("name", ["X_API_Key", "x_api_key", "XAPIKey", "X-API-Key-"])
def test_a_key_in_a_field_of_another_spelling_is_nothing(name, face):
    """An API key in a field with another name than the configured one is ignored."""
    make, ask = FACES[face]
    assert _is_bare(ask(make(_guard(), lambda: NOW), "GET", "/private", [(name, KEY.encode())]))


def test_a_bad_token_has_the_error():
    """The challenge for an invalid token has an error code."""
    make, ask = FACES["asgi"]
    answer = ask(make(_guard(), lambda: NOW), "GET", "/private", [("Authorization", b"Bearer bad")])
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
