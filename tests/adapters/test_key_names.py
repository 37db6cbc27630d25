"""The key id of an API key: revocation of the key by its id, and its id in the log."""

import logging
import math
import secrets
from typing import Any

import pytest

from adapters.connections import TEXT, Clock, Server, open_, run
from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Rule,
    digest_api_key,
)
from authguard.errors import ConfigurationError
from authguard.testing import issue_token

NOW = 1_800_000_000.0
SECRET = secrets.token_urlsafe(40)
KEY = "sk_live_" + secrets.token_urlsafe(32)
AUTHORIZATION = [("Authorization", f"Bearer {issue_token(SECRET, now=NOW)}".encode())]

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES])
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    return lambda guard, fields=AUTHORIZATION: ask(make(guard, lambda: NOW), "GET", "/private", fields)


def jwt_verifier() -> JWTVerifier:
    """Return a verifier for the token above."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)


class Custom:
    """A verifier of an application."""

    def __init__(self, verify: Any) -> None:
        self.verify = verify


@pytest.mark.parametrize(
    "by", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}], ids=lambda by: next(iter(by))
)
def test_revoking_a_key_works_at_once_for_a_remembered_key(face: Any, by: dict[str, str]) -> None:
    """The revocation of a key id applies to a remembered key, and to no other key or token."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    keys = APIKeyVerifier({KEY: APIKey("robot", key_id="one"), KEY + "2": APIKey("robot", key_id="two")})
    guard = Guard(jwt_verifier(), keys, revocations=revocations)
    fields = [(name, value.encode()) for name, value in by.items()]
    assert [face(guard, fields).status for _ in range(2)] == [200, 200]
    revocations.revoke(key_id="one", until=NOW + 400)
    assert face(guard, fields).status == 401
    assert face(guard, [("X-API-Key", f"{KEY}2".encode())]).status == 200
    assert face(guard).status == 200


def test_a_key_without_a_name_is_revoked_by_its_digest(face: Any) -> None:
    """A key without a key id is revoked by the first twelve digits of its digest."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    guard = Guard(APIKeyVerifier({KEY: APIKey("robot")}), revocations=revocations)
    fields = [("X-API-Key", KEY.encode())]
    assert face(guard, fields).status == 200
    revocations.revoke(key_id=digest_api_key(KEY)[:12], until=NOW + 400)
    assert face(guard, fields).status == 401


def test_a_key_of_ones_own_verifier_can_be_revoked(face: Any) -> None:
    """A key of a custom verifier can be revoked, also if the principal has no method."""

    class Keys(Custom):
        header = "X-API-Key"

    revocations = MemoryRevocations(clock=lambda: NOW)
    guard = Guard(Keys(lambda credential: Principal("robot", key_id="one")), revocations=revocations)
    fields = [("X-API-Key", KEY.encode())]
    assert face(guard, fields).status == 200
    revocations.revoke(key_id="one", until=NOW + 400)
    assert face(guard, fields).status == 401


def key_refusals() -> dict[str, tuple[Guard, bool]]:
    """Return guards that refuse KEY, by the reason, and whether the verifier knows the key."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    revocations.revoke(key_id="billing-1", until=NOW + 400)

    def guard_with_key(guard_options: Any = {}, **options: Any) -> Guard:  # noqa: B006
        return Guard(APIKeyVerifier({KEY: APIKey("robot", key_id="billing-1", **options)}), **guard_options)

    return {
        "disabled": (guard_with_key(disabled=True), True),
        "expired": (guard_with_key(expires_at=NOW), True),
        "revoked": (guard_with_key({"revocations": revocations}), True),
        "a scope": (guard_with_key({"protected_paths": [Rule("/", scopes=["admin"])]}), True),
        "a recent sign-in": (guard_with_key({"protected_paths": [Rule("/", max_age=60)]}), True),
        "no user": (guard_with_key({"user_loader": lambda _: None}), True),
        "unknown": (Guard(APIKeyVerifier({"k" * 20: APIKey("robot", key_id="billing-1")})), False),
    }


@pytest.mark.parametrize("why", key_refusals())
def test_the_refusal_of_a_key_is_logged_with_its_name(face: Any, why: str, caplog: Any) -> None:
    """The log has the key id of a known key, and never the key."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    guard, known = key_refusals()[why]
    assert face(guard, [("X-API-Key", KEY.encode())]).status in (401, 403)
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert ("; key_id billing-1)" in record.getMessage()) is known
    assert KEY not in caplog.text


def test_the_refusal_of_a_token_is_logged_without_its_kid(face: Any, caplog: Any) -> None:
    """The `kid` of a token names a key of the issuer, and is not in the log as a key id."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    guard = Guard(
        Custom(lambda _: Principal("ann", key_id="kid-1")), protected_paths=[Rule("/", scopes=["admin"])]
    )
    assert face(guard).status == 403
    assert "kid-1" not in caplog.text


def test_the_name_of_a_key_cannot_forge_lines(face: Any, caplog: Any) -> None:
    """A key id with a line break is one line in the log."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    guard = Guard(APIKeyVerifier({KEY: APIKey("robot", key_id="one\nforged", disabled=True)}))
    face(guard, [("X-API-Key", KEY.encode())])
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("name", [APIKey, MemoryRevocations.revoke], ids=["APIKey", "revoke"])
def test_a_key_is_no_name_of_a_key(name: Any) -> None:
    """An API key instead of a key id is an error that does not show the key."""
    with pytest.raises(
        ConfigurationError, match=r"key_id .*must be the public id of a key, got a key"
    ) as caught:
        name("robot", key_id=KEY) if name is APIKey else name(MemoryRevocations(), key_id=KEY, until=NOW)
    assert KEY not in str(caught.value)


def test_an_open_websocket_of_a_revoked_key_is_closed() -> None:
    """The next check of an open websocket closes it after its key was revoked."""
    revocations, clock, server = MemoryRevocations(clock=lambda: NOW), Clock(), Server()
    keys = APIKeyVerifier({KEY: APIKey("robot", key_id="one")})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await open_(receive, send)
        revocations.revoke(key_id="one", until=math.inf)
        clock.now += 31
        server.incoming.put_nowait(TEXT)
        assert (await receive())["code"] == 1008

    run(app, server, guard=Guard(keys, revocations=revocations), clock=clock, token=KEY)
    assert server.sent[-1]["type"] == "websocket.close"
