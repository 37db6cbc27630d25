"""Answers during an outage of the other store alone: a committed secret reaches its caller."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from authguard import Principal
from authguard.errors import InvalidTokenError
from authguard.identity import Identity, IdentityService
from authguard.identity.errors import NotFoundError, RevocationWaitsError
from authguard.identity.usecases import sessions
from identity.api_key_support import create, verify
from identity.elsewhere import (
    NEW,
    has,
    redis_server,  # noqa: F401  # a fixture
    service_with,
    sign_up,
)
from identity.keys import create_key, key_field, register
from identity.support import ANN, CALLER, PASSWORD, Postbox
from stores.servers import RedisServer

pytestmark = pytest.mark.one_database  # the answers do not depend on the database

SELF = ["read", "write", "apikeys:rotate:self"]


@pytest.fixture(name="service")
def _service(url: str, server: RedisServer, postbox: Postbox) -> Iterator[IdentityService]:
    """Return a service with an account and tiers of keys, which writes its logouts to a Redis."""
    with service_with(url, server, postbox=postbox, api_keys_manage_keys=True) as service:
        yield service


@pytest.fixture(name="client")
def _client(service: IdentityService) -> TestClient:
    """Return a client of the service."""
    return TestClient(Identity(service))


def rotate(client: TestClient, fields: dict[str, str], key_id: str, **body: Any) -> Any:
    """Rotate a key, and return the answer."""
    return client.post(f"/v1/api-keys/{key_id}/rotations", headers=fields, json=body)


def status(client: TestClient, key: str) -> int:
    """Return the status of a request with a key."""
    return client.get("/v1/users/me", headers=key_field(key)).status_code


@pytest.mark.slow
@pytest.mark.parametrize("body", [{}, {"grace_seconds": 60}, {"activate": "first_use"}])
@pytest.mark.parametrize("by_itself", [False, True])
def test_a_rotation_shows_its_key(
    client: TestClient, server: RedisServer, body: dict[str, Any], by_itself: bool
) -> None:
    """A rotation by the owner or by the key itself answers with the new key, which is valid."""
    ann = register(client)
    key = create_key(client, ann, scopes=SELF)
    server.stop()
    answer = rotate(client, key_field(key["api_key"]) if by_itself else ann, key["id"], **body)
    assert answer.status_code == 201
    assert status(client, answer.json()["api_key"]) == 200


def test_a_rotation_reaches_the_store_later(service: IdentityService, server: RedisServer) -> None:
    """The revocation of the old secret waits in the database, and is written after the outage."""
    _, ann = sign_up(service)
    old = create(service, ann)
    presented = verify(service, old.text)
    server.stop()
    service.api_keys.rotate(ann, old.key.id, CALLER)
    server.start()
    assert not has(server, presented)
    service._elsewhere.step()
    assert has(server, presented)


@pytest.mark.slow
def test_the_first_use_of_a_rotated_key_passes(client: TestClient, server: RedisServer) -> None:
    """The first use of a new secret, which ends the old one, is answered in the outage."""
    ann = register(client)
    key = create_key(client, ann)
    new = rotate(client, ann, key["id"], activate="first_use").json()["api_key"]
    server.stop()
    assert [status(client, new), status(client, key["api_key"])] == [200, 401]


def test_a_deletion_of_an_account_succeeds(client: TestClient, server: RedisServer) -> None:
    """An owner who deletes the account gets the usual answer, because a repetition gets 401."""
    fields = register(client)
    server.stop()
    answer = client.post("/v1/auth/delete-account", headers=fields, json={"password": PASSWORD})
    assert answer.status_code == 200
    assert client.get("/v1/users/me", headers=fields).status_code == 401


@pytest.mark.slow
def test_a_reset_succeeds(client: TestClient, service: IdentityService, server: RedisServer) -> None:
    """A new password by a link gets the usual answer, because the used link is refused afterwards."""
    register(client)
    user = service.accounts.find(ANN["email"])
    assert user is not None
    token = service.links._create_link(user, "reset", "/reset-password").partition("token=")[2]
    server.stop()
    answer = client.post("/v1/auth/reset-password", json={"token": token, "new_password": NEW})
    assert answer.status_code == 200
    body = {"email": ANN["email"], "password": NEW}
    assert client.post("/v1/auth/login", json=body).status_code == 200


@pytest.mark.slow
def test_a_change_of_the_password_succeeds(client: TestClient, server: RedisServer) -> None:
    """A changed password gets the usual answer, although the other sessions end."""
    fields = register(client)
    client.post("/v1/auth/login", json={"email": ANN["email"], "password": PASSWORD})
    server.stop()
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert client.post("/v1/auth/change-password", headers=fields, json=body).status_code == 200


@pytest.mark.slow
def test_a_sign_in_beyond_the_limit_of_sessions_succeeds(
    client: TestClient, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign-in that ends the oldest session of its account succeeds."""
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    register(client)
    server.stop()
    body = {"email": ANN["email"], "password": PASSWORD}
    assert [client.post("/v1/auth/login", json=body).status_code for _ in range(3)] == [200, 200, 200]


def test_an_old_refresh_token_is_refused_as_usual(service: IdentityService, server: RedisServer) -> None:
    """The use of an old refresh token ends its session, and gets the error of an invalid token."""
    tokens, _ = sign_up(service)
    newer = service.sessions.refresh(tokens.refresh_token, CALLER)
    service.sessions.refresh(newer.refresh_token, CALLER)
    server.stop()
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)


#: The revocations of a key, which can be repeated.
REVOCATIONS: dict[str, Callable[[IdentityService, Principal, str], Any]] = {
    "revoke": lambda service, principal, key_id: service.api_keys.revoke(principal, key_id, CALLER),
    "disable": lambda service, principal, key_id: service.api_keys.disable(principal, key_id, CALLER),
}


@pytest.mark.parametrize("name", REVOCATIONS)
def test_a_revocation_of_a_key_fails_until_the_store_has_it(
    service: IdentityService, server: RedisServer, name: str
) -> None:
    """A revocation that can be repeated fails, also repeated, until the store has it."""
    _, ann = sign_up(service)
    key = create(service, ann)
    presented = verify(service, key.text)
    server.stop()
    for _ in range(2):
        with pytest.raises(RevocationWaitsError):
            REVOCATIONS[name](service, ann, key.key.id)
    server.start()
    REVOCATIONS[name](service, ann, key.key.id)
    assert has(server, presented)


@pytest.mark.parametrize("name", REVOCATIONS)
def test_a_key_that_ends_itself_is_answered(service: IdentityService, server: RedisServer, name: str) -> None:
    """A key that revokes or disables itself succeeds, because it could not repeat the request."""
    _, ann = sign_up(service)
    key = create(service, ann)
    presented = verify(service, key.text)
    server.stop()
    REVOCATIONS[name](service, presented, key.key.id)


def test_a_logout_says_that_the_session_has_ended(client: TestClient, server: RedisServer) -> None:
    """The body of the 503 says that the logout is stored, and that the request should be repeated."""
    fields = register(client)
    server.stop()
    answer = client.post("/v1/auth/logout", headers=fields)
    assert answer.status_code == 503
    assert answer.json()["detail"] == RevocationWaitsError.detail
    assert client.get("/v1/users/me", headers=fields).status_code == 401


def test_an_answered_change_leaves_a_warning(
    service: IdentityService, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Changes that are answered in the outage leave one WARNING, which names the setting and the store."""
    _, ann = sign_up(service)
    keys = [create(service, ann) for _ in range(2)]
    server.stop()
    with caplog.at_level(logging.WARNING, "authguard"):
        for key in keys:
            service.api_keys.rotate(ann, key.key.id, CALLER)
    (line,) = [each.getMessage() for each in caplog.records if "other store" in each.getMessage()]
    assert f":{server.port}/0" in line and "revocations_url" in line


def test_a_deleted_account_is_not_found_by_its_operator(
    service: IdentityService, server: RedisServer
) -> None:
    """An operator who deletes an account gets no error in the outage; a second deletion finds none."""
    _, ann = sign_up(service)
    server.stop()
    service.administration.delete(ann.subject)
    with pytest.raises(NotFoundError):
        service.administration.delete(ann.subject)
