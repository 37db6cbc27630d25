"""Logouts of the service, in other processes that follow the log of its database, or a Redis."""

import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from sqlalchemy.engine import make_url

from authguard import Credential, Principal
from authguard.identity import Identity, IdentityService, SQLRevocations
from authguard.stores import PostgresStore, RedisStore, SQLiteStore
from identity.support import ANN, CALLER, PASSWORD, Clock, Postbox, service_at
from support import judge

NEW = "An0ther-Password!"


@pytest.fixture(name="store")
def _store(url: str) -> Iterator[Any]:
    """Return a store of a process that follows the log of the service's database."""
    path = make_url(url).database or ""
    store = SQLiteStore(path) if url.startswith("sqlite") else PostgresStore(url)
    store.revocations.is_revoked(Principal("somebody"))  # it follows from now on
    yield store
    store.close()


def caller_with(service: IdentityService, tokens: Any) -> Principal:
    """Return the principal of an access token."""
    return judge(service.own_tokens, Credential(tokens.access_token, "bearer"), service.clock()).principal


def tokens_of(service: IdentityService) -> tuple[Any, Principal]:
    """Return a new account's tokens, and the principal of its access token."""
    tokens = service.accounts.register(ANN["email"], PASSWORD, "Ann", CALLER)
    return tokens, caller_with(service, tokens)


ENDS = {
    "logout": lambda service, tokens, principal: service.sessions.log_out(principal, CALLER),
    "everywhere": lambda service, tokens, principal: service.sessions.log_out_everywhere(principal, CALLER),
    "disabled": lambda service, tokens, principal: service.accounts.disable(tokens.user.id),
    "revoked": lambda service, tokens, principal: service.revocations.revoke(
        token_id=principal.token_id, until=service.clock() + 600
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_others_know_when_the_service_answers(service: IdentityService, store: Any, end: str) -> None:
    """Each logout is in the memory of another process as soon as the service answers."""
    tokens, principal = tokens_of(service)
    assert not store.revocations.is_revoked(principal)
    ENDS[end](service, tokens, principal)
    assert store.revocations.is_known_revoked(principal)


def test_a_change_of_the_password_ends_the_other_sessions(service: IdentityService, store: Any) -> None:
    """A change of the password revokes the other sessions, and not the one that makes it."""
    _, principal = tokens_of(service)
    other = service.accounts.login(ANN["email"], PASSWORD, CALLER)
    mine = caller_with(service, other)
    service.accounts.change_password(mine, PASSWORD, NEW, CALLER)
    assert store.revocations.is_known_revoked(principal)
    assert not store.revocations.is_known_revoked(mine)


def test_a_declined_registration_ends_its_sessions(
    service: IdentityService, postbox: Postbox, store: Any
) -> None:
    """A declined registration revokes the sessions of the deleted account."""
    _, principal = tokens_of(service)
    assert service.outbox.flush()
    service.links.decline_registration(postbox.token(), CALLER)
    assert store.revocations.is_known_revoked(principal)


def test_the_service_knows_what_others_revoke(service: IdentityService, store: Any) -> None:
    """A revocation by another process is followed by the service."""
    _, principal = tokens_of(service)
    store.revocations.revoke(
        token_id=principal.token_id, issuer=principal.issuer, until=service.clock() + 600
    )
    assert service.revocations.is_revoked(principal)


def test_a_logout_that_is_undone_is_not_in_the_log(service: IdentityService, store: Any) -> None:
    """A logout in a transaction that is rolled back is not in the log."""
    tokens, principal = tokens_of(service)
    with pytest.raises(ZeroDivisionError), service.database.write() as connection:
        service.sessions.end_sessions_of(connection, tokens.user.id)
        raise ZeroDivisionError
    assert not service.revocations.is_revoked(principal)
    assert not store.revocations.is_revoked(principal)


@pytest.mark.slow
def test_logouts_are_written_to_another_store(url: str) -> None:
    """Logouts of a service with a Redis store are followed by its readers."""
    prefix = f"authguard-test-{secrets.token_hex(8)}"
    client = redis.Redis()
    try:
        client.ping()
    except redis.ConnectionError:
        pytest.skip("no Redis at 127.0.0.1:6379")
    writer, reader = (RedisStore("redis://127.0.0.1:6379/0", prefix=prefix) for _ in range(2))
    try:
        reader.revocations.is_revoked(Principal("somebody"))
        with service_at(url, clock=Clock(), store=writer) as service:
            _, principal = tokens_of(service)
            service.sessions.log_out(principal, CALLER)
            assert reader.revocations.is_known_revoked(principal)
    finally:
        writer.close()
        reader.close()
        for name in client.scan_iter(f"{{{prefix}}}*"):
            client.delete(name)
        client.close()


@pytest.mark.one_database
def test_the_service_and_its_guard_name_the_same_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The service and its guard log the same name of their log, so that an operator can compare them."""
    with caplog.at_level(logging.INFO, "authguard"), service_at(url) as service:
        Identity(service)
        guard = SQLRevocations(url, bound=0.1)
        guard.is_revoked(Principal("ann"))
        guard.close()
    lines = [each.getMessage() for each in caplog.records if " has the log " in each.getMessage()]
    assert len(lines) == 2 and len(set(lines)) == 1
