"""Requests to the identity service have bounded, counted work: each path with each bad input."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.hostile_identity import GROUPS, usual
from benchmarks.hostile_service import EMAIL, MOST, PASSWORD, Sent, prepare, service

from authguard.identity import Identity, IdentityService
from hostile.counting import MAX_ANSWER
from hostile.service_counting import ThreadedWork, rows
from identity.databases import empty_url, postgres_url, sqlite_url  # noqa: F401  # fixtures

pytestmark = pytest.mark.slow  # counting steps in all threads makes each request many times slower

#: Bytes of a page that repeats the longest `next` in each of its links.
MAX_PAGE = 32 * 1024
#: Bytes of the data of an account, which has some hundred sessions at most.
MAX_OWN = 64 * 1024
REQUESTS = {f"{group}, {name}": sent for group, make in GROUPS.items() for name, sent in make().items()}
#: Requests of a group are sent in shares, which can run at the same time.
SHARES = 4


class Service:
    """Have a service with counted threads, and a runner for its requests."""

    def __init__(self, service: IdentityService, app: Identity, work: ThreadedWork) -> None:
        self.service, self.app, self.work = service, app, work
        self.runner = asyncio.Runner()

    def ask(self, sent: Sent) -> Any:
        """Return the answer to a request."""
        return prepare(self.app, sent)(self.runner)

    def left_by(self, sent: Sent) -> tuple[Any, dict[str, int], int]:
        """Return the answer to a request, the added rows by table, and the number of its mails."""
        step = prepare(self.app, sent)
        mails, before = self.mails, rows(self.service)
        answer = step(self.runner)
        sent_mails = self.mails - mails
        added = {name: count - before[name] for name, count in rows(self.service).items()}
        return answer, {name: count for name, count in added.items() if count}, sent_mails

    @property
    def mails(self) -> int:
        """Return the number of sent mails after all waiting ones are sent."""
        assert self.service.outbox.flush()
        return self.service.outbox._mailer.count


@pytest.fixture(scope="module")
def hostile_service() -> Iterator[Service]:
    """Yield a service that has answered requests before, so that one-time work is done."""
    work = ThreadedWork()
    with work.active(), service() as (made, app):
        running = Service(made, app, work)
        for sent in usual():
            running.ask(sent)
        with running.runner:
            yield running


def share(group: str, number: int) -> dict[str, Sent]:
    """Return some of the requests of a group."""
    return dict(list(GROUPS[group]().items())[number::SHARES])


@pytest.mark.parametrize("number", range(SHARES))
@pytest.mark.parametrize("group", GROUPS)
def test_a_stranger_s_request_makes_little_work(
    hostile_service: Service, group: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A request makes bounded work, gets a short answer and no 500, also with all logs switched on."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    for name, sent in share(group, number).items():
        work, answer = hostile_service.work.count(hostile_service.app, sent, hostile_service.runner)
        assert work.excess() == {}, name
        assert answer is not None, name
        assert answer.status < 500 or answer.status == 503, name
        assert answer.size <= most(sent, answer.status), name


def most(sent: Sent, status: int) -> int:
    """Return the bytes that an answer may have."""
    if sent.signed_in and status == 200:
        return MAX_OWN
    return MAX_PAGE if b"next=" in sent.query + sent.body else MAX_ANSWER


@pytest.mark.parametrize("group", GROUPS)
def test_a_refused_request_leaves_nothing(hostile_service: Service, group: str) -> None:
    """A refused request writes no row, and sends no mail."""
    for name, sent in GROUPS[group]().items():
        answer, added, mails = hostile_service.left_by(sent)
        if answer.status >= 400:
            assert (added, mails) == ({}, 0), name


@pytest.mark.parametrize("group", GROUPS)
def test_a_stranger_s_request_makes_short_lines_in_the_log(
    hostile_service: Service, group: str, caplog: Any
) -> None:
    """A request logs at most three lines, which are short."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    for name, sent in GROUPS[group]().items():
        caplog.clear()
        hostile_service.ask(sent)
        hostile_service.service.outbox.flush()  # the lines of its mails belong to this request
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("authguard")]
        assert len(lines) <= 3, (name, lines)
        assert all(len(line) < 4000 for line in lines), name


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize(
    "query",
    [
        b"next=/" + b"a" * 60_000,
        b"next=/" + b"a" * 3000,
        b"next=/" + b"%F0%9F%98%80" * 999,
        b"a&" * 50 + b"next=/",
    ],
    ids=["60 KB", "3 KB", "999 emoji", "51 parameters"],
)
def test_a_long_next_is_not_repeated(hostile_service: Service, path: str, query: bytes) -> None:
    """A long `next` is not repeated: the page is as long as one without `next`."""
    plain = hostile_service.ask(Sent(path))
    assert hostile_service.ask(Sent(path, query=query)).size == plain.size


@pytest.mark.parametrize("character", ["a", "%C3%A9", "%EF%B7%BA", "%F0%9F%98%80", "%22"])
def test_a_next_of_any_length_goes_to_the_provider(hostile_service: Service, character: str) -> None:
    """A `next` of any accepted length fits into the cookie of the provider."""
    for length in (300, 680, 1000, 2047):
        query = b"next=/" + character.encode() * length
        assert hostile_service.ask(Sent("/v1/auth/github/authorize", query=query)).status == 303, length


def test_the_right_password_signs_in(hostile_service: Service) -> None:
    """The correct password signs in, so that the service of these tests works."""
    body = f'{{"email":"{EMAIL}","password":"{PASSWORD}"}}'.encode()
    fields = ((b"content-type", b"application/json"),)
    assert hostile_service.ask(Sent("/v1/auth/login", "POST", fields, body=body)).status == 200
    assert hostile_service.ask(Sent("/v1/users/me", signed_in=True)).status == 200


def test_postgresql_refuses_the_same(postgres_url: str) -> None:  # noqa: F811
    """Text that PostgreSQL cannot store, such as NUL, is refused, and is no 500."""
    odd = {
        name: sent
        for name, sent in REQUESTS.items()
        if "NUL" in name or "surrogate" in name or "bytes" in name
    }
    with service(postgres_url) as (_, app), asyncio.Runner() as runner:
        for name, sent in odd.items():
            status = prepare(app, sent)(runner).status
            assert status < 500 or (status == 503 and "/callback" in name), name


def test_every_body_is_as_long_as_the_service_reads() -> None:
    """The bodies of the requests are as long as the service reads."""
    bodies = [sent.body for sent in REQUESTS.values() if sent.body]
    assert sum(60_000 < len(body) <= MOST for body in bodies) > 100
