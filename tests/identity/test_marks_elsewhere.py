"""Revocations reach the other store after an outage, by a repeated request or by a running service."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient

from authguard import Principal
from authguard.identity import Identity, IdentityService
from authguard.identity.errors import NotFoundError, StoreUnavailableError
from authguard.identity.storage.marks import add_marks
from authguard.stores import PostgresStore, RedisStore, SQLiteStore
from authguard.stores.log import MAX_PAGE
from authguard.stores.marks import make_mark
from identity.elsewhere import (
    NEW,
    fails,
    gets_all,
    has,
    positions,
    principal_of,
    redis_server,  # noqa: F401  # a fixture
    service_with,
    sign_up,
    start_threads,
)
from identity.keys import bearer
from identity.support import ANN, CALLER, PASSWORD, Postbox, browser, service_at, together
from stores.servers import RedisServer


@pytest.fixture(name="writing")
def _writing(url: str, server: RedisServer, postbox: Postbox) -> Iterator[IdentityService]:
    """Return a service that writes its logouts to the Redis of the test."""
    with service_with(url, server, postbox=postbox) as service:
        yield service


def reset(service: IdentityService, postbox: Postbox, principal: Principal) -> None:
    """Set a new password with the link of a mail."""
    user = service.accounts.find(ANN["email"])
    page = service.links._create_link(user, "reset", "/reset-password")
    service.links.reset_password(page.partition("token=")[2], NEW, CALLER)


#: Each flow that ends the session of a principal.
ENDS: dict[str, Callable[[IdentityService, Postbox, Principal], Any]] = {
    "logout": lambda service, _, principal: service.sessions.log_out(principal, CALLER),
    "logout-all": lambda service, _, principal: service.sessions.log_out_everywhere(principal, CALLER),
    "end": lambda service, _, principal: service.sessions.end(principal, principal.claims["sid"], CALLER),
    "change": lambda service, _, principal: service.accounts.change_password(
        principal_of(service, service.accounts.login(ANN["email"], PASSWORD, CALLER)), PASSWORD, NEW, CALLER
    ),
    "reset": reset,
    "delete": lambda service, _, principal: service.deletion.delete(principal, PASSWORD, CALLER),
    "users disable": lambda service, _, principal: service.accounts.disable(principal.subject),
    "users set-role": lambda service, _, principal: service.administration.set_roles(
        principal.subject, ["GUEST"]
    ),
    "users set-password": lambda service, _, principal: service.administration.set_password(
        principal.subject, NEW
    ),
    "users delete": lambda service, _, principal: service.administration.delete(principal.subject),
}
#: Those that a caller can repeat in the same form.
REPEATED = ["logout", "logout-all", "users disable", "users set-role", "users set-password"]
#: Those that do not fail, because their repetition would: see test_answers_elsewhere.
LASTING = ["change", "reset", "delete", "users delete"]


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_a_running_service_writes_what_an_outage_has_stopped(
    writing: IdentityService, server: RedisServer, postbox: Postbox, end: str
) -> None:
    """Each end of a session reaches the store after an outage, without another request."""
    _, principal = sign_up(writing)
    server.stop()
    if end in LASTING:
        ENDS[end](writing, postbox, principal)
    else:
        fails(lambda: ENDS[end](writing, postbox, principal))
    server.start()
    assert not has(server, principal)
    start_threads(writing)
    assert gets_all(server, principal)


@pytest.mark.parametrize("end", REPEATED)
def test_a_repeated_request_fails_as_long_as_the_store_is_down(
    writing: IdentityService, server: RedisServer, postbox: Postbox, end: str
) -> None:
    """A repeated request fails in the outage, too, and writes the revocation after it."""
    _, principal = sign_up(writing)
    server.stop()
    for _ in range(3):
        fails(lambda: ENDS[end](writing, postbox, principal))
    server.start()
    ENDS[end](writing, postbox, principal)
    assert has(server, principal)


def test_the_end_of_another_session_is_not_found_only_after_it_was_written(
    writing: IdentityService, server: RedisServer, postbox: Postbox
) -> None:
    """A session that has ended is not found, but not before the store has its end."""
    _, principal = sign_up(writing)
    mine = principal_of(writing, writing.accounts.login(ANN["email"], PASSWORD, CALLER))
    server.stop()
    for _ in range(2):
        fails(lambda: writing.sessions.end(mine, principal.claims["sid"], CALLER))
    server.start()
    with pytest.raises(NotFoundError):
        writing.sessions.end(mine, principal.claims["sid"], CALLER)
    assert has(server, principal)


@pytest.mark.slow
def test_a_repeated_logout_is_answered_with_503_over_http(
    writing: IdentityService, server: RedisServer
) -> None:
    """The API answers a logout, and its repetition, with 503 until the store has it."""
    client = TestClient(Identity(writing))
    tokens, principal = sign_up(writing)
    fields = bearer(tokens.access_token)
    server.stop()
    for _ in range(2):
        answer = client.post("/v1/auth/logout", headers=fields)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    server.start()
    assert client.post("/v1/auth/logout", headers=fields).status_code == 200
    assert has(server, principal)


@pytest.mark.slow
def test_a_repeated_logout_of_a_page_is_answered_with_503(
    writing: IdentityService, server: RedisServer
) -> None:
    """A page answers a logout, and its repetition, with 503 until the store has it; the cookies stay."""
    client = browser(Identity(writing))
    assert client.post("/register", data=ANN).status_code == 303
    token = client.cookies["access_token"]
    server.stop()
    for _ in range(2):
        assert client.post("/logout").status_code == 503
        assert client.cookies["access_token"] == token
    server.start()
    assert client.post("/logout").status_code == 303
    assert "access_token" not in client.cookies
    last, reached = positions(writing)
    assert reached == [last]


def test_others_are_not_refused_for_what_is_due(writing: IdentityService, server: RedisServer) -> None:
    """A change that ends no session succeeds in an outage, although marks of others are due."""
    _, principal = sign_up(writing)
    _, bob = sign_up(writing, "bob@example.com")
    server.stop()
    fails(lambda: writing.sessions.log_out(principal, CALLER))
    writing.accounts.change_password(bob, PASSWORD, NEW, CALLER)


def test_a_logout_writes_what_was_due_before(writing: IdentityService, server: RedisServer) -> None:
    """The first logout after an outage also writes those of the outage."""
    due = [sign_up(writing, f"{name}@example.com")[1] for name in ("ann", "bob", "eve")]
    server.stop()
    for principal in due[:2]:
        fails(lambda: writing.sessions.log_out(principal, CALLER))  # noqa: B023
    server.start()
    writing.sessions.log_out(due[2], CALLER)
    assert has(server, *due)
    last, reached = positions(writing)
    assert reached == [last]


@pytest.mark.slow
def test_the_first_use_of_a_store_writes_the_old_logouts(url: str, server: RedisServer) -> None:
    """A service that gets a store later writes its old logouts to it at its start, with many of them."""
    names = [f"old-{number}" for number in range(2 * MAX_PAGE + 5)]
    until = time.time() + 600
    with service_at(url, clock=time.time) as service:
        _, principal = sign_up(service)
        service.sessions.log_out(principal, CALLER)
        with service.database.write() as connection:
            add_marks(connection, [make_mark(session=name, until=until) for name in names])
    with service_with(url, server) as service:
        start_threads(service)
        olds = [Principal("ann", claims={"sid": name}) for name in (names[0], names[MAX_PAGE], names[-1])]
        assert gets_all(server, principal, *olds)


@pytest.mark.slow
def test_two_stores_are_counted_apart(url: str, server: RedisServer) -> None:
    """Each store has a number of its own, also two that differ only in their prefix."""
    store = RedisStore(server.url, prefix="shop")
    with service_with(url, server) as service:
        _, principal = sign_up(service)
        service.sessions.log_out(principal, CALLER)
    with service_at(url, clock=time.time, store=store) as service:
        start_threads(service)
        end = time.monotonic() + 10
        while len(positions(service)[1]) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        last, reached = positions(service)
        assert reached == [last, last]
        assert store.revocations._log.find([("session", "", principal.claims["sid"])])
    store.close()


def test_a_log_that_went_back_is_written_again(writing: IdentityService, server: RedisServer) -> None:
    """After the log was restored alone, to smaller numbers, its marks are written again."""
    _, principal = sign_up(writing)
    writing.sessions.log_out(principal, CALLER)
    with writing.database.write() as connection:
        connection.execute(text("UPDATE marks_elsewhere SET seq = seq + 100"))
    server.stop()
    server.start()
    writing._elsewhere.step()
    assert has(server, principal)
    last, reached = positions(writing)
    assert reached == [last]


@pytest.mark.slow
def test_a_store_that_hangs_delays_a_repeated_logout_for_seconds(
    writing: IdentityService, server: RedisServer
) -> None:
    """Many repeated logouts at a store that hangs are refused within seconds, and do not wait in turn."""
    _, principal = sign_up(writing)
    server.stop()
    with socket.create_server(("127.0.0.1", server.port), backlog=64):
        fails(lambda: writing.sessions.log_out(principal, CALLER))
        began = time.monotonic()
        answers = together(8, lambda _: writing.sessions.log_out(principal, CALLER))
        assert all(isinstance(answer, StoreUnavailableError) for answer in answers)
        assert time.monotonic() - began < 8


def test_a_store_is_named_without_its_password(url: str, server: RedisServer) -> None:
    """The number of a store has the digest of an address, which is the same with another password."""
    digests = []
    for user in ("ann:first@", "ann:second@", ""):
        with service_at(url, revocations_url=server.url.replace("://", f"://{user}")) as service:
            assert service._elsewhere is not None
            digests.append(service._elsewhere._store)
    assert len(set(digests)) == 1 and len(digests[0]) == 64


def test_a_normal_logout_costs_one_statement_more(writing: IdentityService, url: str) -> None:
    """A logout with a store runs the same statements as one without, and one that notes the number."""
    principals = [sign_up(writing, f"{name}@example.com")[1] for name in ("ann", "bob", "eve")]
    writing.sessions.log_out(principals[0], CALLER)
    assert writing.outbox.flush()  # its thread runs statements, too

    def statements(service: IdentityService, principal: Principal) -> list[str]:
        made: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            made.append(statement)

        event.listen(service.database.engine, "before_cursor_execute", note)
        service.sessions.log_out(principal, CALLER)
        event.remove(service.database.engine, "before_cursor_execute", note)
        return [each for each in made if not each.startswith(("BEGIN", "PRAGMA"))]

    with service_at(url, clock=time.time) as plain:
        plain.sessions.authenticate(principals[0])
        without = statements(plain, principals[1])
    writing._elsewhere.step()
    with_store = statements(writing, principals[2])
    more = [each for each in with_store if "marks_elsewhere" in each]
    assert len(more) == 1 and more[0].startswith("UPDATE")
    assert [each for each in with_store if each not in more] == without


def test_an_idle_step_costs_one_statement(writing: IdentityService) -> None:
    """A step of the background thread with nothing to write runs one statement."""
    _, principal = sign_up(writing)
    writing.sessions.log_out(principal, CALLER)
    assert writing.outbox.flush()
    made: list[str] = []
    event.listen(writing.database.engine, "before_cursor_execute", lambda *given: made.append(given[2]))
    writing._elsewhere.step()
    assert len(made) == 1


@pytest.mark.one_database
def test_an_outage_leaves_one_warning_in_a_minute(
    writing: IdentityService, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Many failed steps leave one WARNING with the reason, and the end of the outage a line at INFO."""
    _, principal = sign_up(writing)
    server.stop()
    fails(lambda: writing.sessions.log_out(principal, CALLER))
    with caplog.at_level(logging.INFO, "authguard"):
        for _ in range(5):
            writing._elsewhere.step()
        (line,) = [each for each in caplog.records if "other store" in each.getMessage()]
        assert line.levelno == logging.WARNING
        assert f"127.0.0.1:{server.port}/0 (prefix authguard): Redis: ConnectionError" in line.getMessage()
        server.start()
        writing._elsewhere.step()
    assert any("written to redis://" in each.getMessage() for each in caplog.records)


def test_a_store_in_the_same_log_does_not_grow_it(url: str) -> None:
    """A store that is the log of the service by another address gets each mark only once more."""
    place = url.replace("+psycopg", "").replace("127.0.0.1", "localhost")
    store = SQLiteStore(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else PostgresStore(place)
    with service_at(url, clock=time.time, store=store) as service:
        _, principal = sign_up(service)
        service.sessions.log_out(principal, CALLER)
        for _ in range(3):
            service._elsewhere.step()
        last, reached = positions(service)
        assert reached == [last]
        with service.database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM authguard_marks")).scalar_one() == 1
        service._elsewhere.step()
        assert positions(service) == (last, reached)
    store.close()
