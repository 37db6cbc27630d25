"""Deletion of expired rows, in batches and by one process."""

import time

import pytest

from authguard.identity.storage.old_rows import queries
from identity.api_key_support import rows
from identity.people import EMAIL
from identity.support import CALLER, PASSWORD, Postbox, service_at, together
from identity.test_sessions import is_alive

DAY = 86_400


@pytest.fixture
def ann(service):
    return service.accounts.create(EMAIL, PASSWORD)


def count(service):
    """Return the number of rows of each kind."""
    return tuple(len(rows(service, name)) for name in ("sessions", "one_time_tokens", "mails"))


def test_sessions_of_people_who_never_return_are_deleted(service, ann, clock):
    """A session is deleted when its last access token has expired, and not before."""
    old = service.accounts.issue_tokens(ann.id)
    clock.go_on(30 * DAY)
    young = service.accounts.issue_tokens(ann.id)
    clock.go_on(service.settings.access_lifetime)
    assert service.purge.run().sessions == 0
    clock.go_on(1)
    assert service.purge.run() == (1, 0, 0)
    assert [row.id for row in rows(service, "sessions")] == [young.session_id] != [old.session_id]
    assert is_alive_by_refresh(service, young)


def is_alive_by_refresh(service, tokens):
    return is_alive(service, service.sessions.refresh(tokens.refresh_token, CALLER).access_token)


def test_a_session_that_was_refreshed_stays(service, ann, clock):
    """A session that its owner refreshes is not deleted, regardless of its age."""
    tokens = service.accounts.issue_tokens(ann.id)
    for _ in range(3):
        clock.go_on(20 * DAY)
        tokens = service.sessions.refresh(tokens.refresh_token, CALLER)
        assert service.purge.run().sessions == 0
    assert is_alive(service, tokens.access_token)


def test_links_that_nobody_pressed_are_deleted(service, ann, clock):
    """A mailed link is deleted when it has expired."""
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    assert service.purge.run().one_time_tokens == 0 and count(service)[1] == 1
    clock.go_on(service.settings.link_lifetime + 1)
    assert service.purge.run().one_time_tokens == 1 and count(service)[1] == 0


def test_mails_that_no_process_sends_are_given_up(url, clock, caplog):
    """A mail that has waited for two days is deleted with a warning."""
    with service_at(url, clock=clock, postbox=Postbox()) as service:
        service.mails.leave_to_others()
        service.accounts.create(EMAIL, PASSWORD)
        service.links.request_password_reset(EMAIL, CALLER)
        clock.go_on(2 * DAY)
        assert service.purge.run().mails == 0 and count(service)[2] == 1
        clock.go_on(1)
        assert service.purge.run().mails == 1 and count(service)[2] == 0
    assert "mails that no process has sent for two days were given up: 1" in caplog.text


@pytest.mark.slow
def test_it_goes_in_batches(service, ann, clock, monkeypatch):
    """Old rows are deleted in batches, and all of them by one run."""
    monkeypatch.setattr(queries, "_ROWS", 4)
    monkeypatch.setattr(queries, "_CHANGES", 3)
    for _ in range(11):
        service.accounts.issue_tokens(ann.id)
    clock.go_on(20 * DAY)
    young = service.accounts.issue_tokens(ann.id)
    clock.go_on(12 * DAY)
    assert service.purge.run().sessions == 11
    assert [row.id for row in rows(service, "sessions")] == [young.session_id]
    assert service.purge.run() == (0, 0, 0)


def test_one_process_does_it_in_an_hour(url, clock):
    """Of several processes one purges in each interval, with an event."""
    with service_at(url, clock=clock) as first, service_at(url, clock=clock) as other:
        services = [first, other] * 3
        assert together(6, lambda index: services[index].purge.step()) == [None] * 6
        assert done(first) + done(other) == 1
        clock.go_on(3_599)
        other.purge.step()
        assert done(first) + done(other) == 1
        clock.go_on(1)
        other.purge.step()
        assert done(first) + done(other) == 2


def done(service):
    return service.audit.counts().get(("purge", "success"), 0)


def test_a_clock_that_was_wrong_does_not_stop_it(service, clock):
    """A last purge far in the future, noted by a wrong clock, does not prevent the next one."""
    clock.go_on(900 * DAY)
    service.purge.step()
    clock.go_on(-900 * DAY)
    service.purge.step()
    assert done(service) == 2


@pytest.mark.slow
@pytest.mark.one_database
def test_a_service_that_runs_does_it_by_itself(url):
    """A running service deletes old rows without a request, except with `purge_interval=0`."""
    for interval, expected in ((1, 0), (0, 1)):
        past = time.time() - 400 * DAY
        with service_at(url, clock=lambda past=past: past) as before:
            user = before.accounts.find(EMAIL) or before.accounts.create(EMAIL, PASSWORD)
            before.accounts.issue_tokens(user.id)
        with service_at(url, clock=time.time, purge_interval=interval) as service:
            service.start()
            deadline = time.monotonic() + (10 if interval else 0.2)
            while count(service)[0] and time.monotonic() < deadline:
                service._purge_thread.wake()
            assert count(service)[0] == expected
