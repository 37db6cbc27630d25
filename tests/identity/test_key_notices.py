"""Events of keys: each is recorded once, and the owner gets a mail."""

from typing import Any

import pytest
from sqlalchemy import event as sql_events

from authguard.identity import IdentityService
from authguard.identity.audit import Event
from authguard.identity.limits import DEFAULT_LIMITS, Limit
from authguard.identity.mail.mailer import MailError
from authguard.identity.model import KEY_EVENTS, Operator
from authguard.identity.usecases.key_life.mail_texts import MAX_SHOWN_EVENTS
from authguard.identity.usecases.mails.queue import MAX_AGE, MAX_PAUSE, POLL_SECONDS, TAKEN_SECONDS
from identity.api_key_support import create, owner, rows, update
from identity.support import CALLER, GENEROUS, Clock, Postbox, service_at

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def service(url, clock, postbox, events):
    """Run a service whose events are kept."""
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        yield service


@pytest.fixture
def ann(service: IdentityService):
    """Return the owner, whose address is verified."""
    return owner(service)


def noted(service: IdentityService) -> list[tuple[str, int]]:
    """Return names and numbers of the events in the database."""
    listed = sorted(rows(service, "api_key_events"), key=lambda row: (row.at, row.name, -row.number))
    return [(row.name, row.number) for row in listed]


def run(service: IdentityService) -> bool:
    """Do all that is due, as `authguard apikeys notify` does; return False if a mail was not sent."""
    service.key_notices.step()
    return service.mails.run()


def subjects(service: IdentityService, postbox: Postbox) -> list[str]:
    """Return the subjects of the mails since the last call, after all that is due."""
    assert run(service)
    taken, postbox.mails = [mail.subject for mail in postbox.mails], []
    return taken


def of_life(events: list[Event]) -> list[tuple[str, str]]:
    """Return the audited events of the expiry of keys."""
    return [(each.name, each.reason) for each in events if each.name.startswith("api_key_exp")]


# --- the expiry


@pytest.mark.slow
def test_each_stage_is_told_once(service, ann, clock: Clock, postbox, events):
    """At 30, 7 and 1 days before the expiry, and at the expiry, a key gets one event and one mail."""
    made = create(service, ann)  # for 90 days
    subjects(service, postbox)
    told = []
    for day in range(95):
        told += [(day, subject) for subject in subjects(service, postbox)]
        assert subjects(service, postbox) == []
        clock.go_on(DAY)
    soon = "An API key expires soon"
    assert told == [(60, soon), (83, soon), (89, soon), (90, "An API key has expired")]
    assert noted(service) == [
        ("created", 0), ("expiring", 30), ("expiring", 7), ("expiring", 1), ("expired", 0),
    ]  # fmt: skip
    assert of_life(events) == [
        ("api_key_expiring", "30_days"), ("api_key_expiring", "7_days"),
        ("api_key_expiring", "1_day"), ("api_key_expired", ""),
    ]  # fmt: skip
    audited = next(each for each in events if each.name == "api_key_expiring")
    assert (audited.user_id, audited.key_id, audited.actor_key_id) == (ann.subject, made.key.id, None)


@pytest.mark.parametrize(
    ("days", "stages"),
    [(91, [30, 7, 1]), (31, [30, 7, 1]), (30, [7, 1]), (7, [1]), (8, [7, 1]), (1, [])],
)
@pytest.mark.one_database
def test_stages_that_are_past_when_a_key_is_made_are_left_out(service, ann, clock, days, stages):
    """A key of 30 days gets no event for 30 days before the expiry."""
    create(service, ann, expires_in_days=days)
    for _ in range(days + 1):
        clock.go_on(DAY)
        service.key_notices.step()
    assert noted(service) == [
        ("created", 0), *(("expiring", stage) for stage in stages), ("expired", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "stages"),
    [
        (84, [("expiring", 7), ("expired", 0)]),
        (89.5, [("expiring", 1), ("expired", 0)]),
        (400, [("expired", 0)]),
    ],
)
def test_a_service_that_was_off_tells_the_nearest_stage_alone(service, ann, clock, postbox, days, stages):
    """After a pause of the service, a key gets one event and one mail for the nearest stage."""
    create(service, ann)
    subjects(service, postbox)
    clock.go_on(days * DAY)
    assert len(subjects(service, postbox)) == 1
    assert noted(service)[1:] == stages[:1]
    clock.go_on(90 * DAY)
    service.key_notices.step()
    assert noted(service)[1:] == stages


def test_a_revoked_key_is_not_told_of(service, ann, clock, postbox):
    """A revoked key gets no mail about its expiry, also if a statement has revoked it."""
    first, second = create(service, ann), create(service, ann)
    service.api_keys.revoke(ann, first.key.id, CALLER)
    assert [row.notice_at is None for row in rows(service, "api_keys") if row.id == first.key.id] == [True]
    update(service, "UPDATE api_keys SET revoked_at = 1 WHERE id = :id", id=second.key.id)
    subjects(service, postbox)
    clock.go_on(100 * DAY)
    assert subjects(service, postbox) == []
    assert {row.notice_at for row in rows(service, "api_keys")} == {None}


def test_a_disabled_key_expires_all_the_same(service, ann, clock, postbox):
    """The mail about the expiry of a disabled key says that the key is disabled."""
    made = create(service, ann)
    service.api_keys.disable(ann, made.key.id, CALLER)
    subjects(service, postbox)
    clock.go_on(60 * DAY)
    run(service)
    assert "disabled at the moment" in postbox.mails[-1].text


def test_a_search_reads_by_an_index(service, ann):
    """A search for expiring keys uses an index, so that its cost does not grow with the keys."""
    create(service, ann)
    seen: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:
        seen.append((args[2], args[3]))

    sql_events.listen(service.database.engine, "before_cursor_execute", note)
    run(service)
    sql_events.remove(service.database.engine, "before_cursor_execute", note)
    with service.database.write() as connection:
        if not service.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        prefix = "EXPLAIN QUERY PLAN " if service.database.is_sqlite else "EXPLAIN "
        plans = [
            str(connection.exec_driver_sql(prefix + statement, values).all())
            for statement, values in seen
            if statement.startswith("SELECT")
        ]
    assert plans
    assert all("SCAN api_key" not in plan and "Seq Scan" not in plan for plan in plans), plans
    assert any("ix_api_keys_notice_at" in plan for plan in plans)


# --- acts on a key


def test_what_is_done_is_noted_and_told(service, ann, postbox, events):
    """Each act on a key leaves one event and one mail, and a second revocation leaves none."""
    key = create(service, ann).key
    service.api_keys.rotate(ann, key.id, CALLER)
    for act in (service.api_keys.disable, service.api_keys.enable, service.api_keys.revoke):
        act(ann, key.id, CALLER)
    service.api_keys.revoke(ann, key.id, CALLER)
    assert [each.name for each in events if each.name == "api_key_revoke"] == ["api_key_revoke"]
    assert sorted(noted(service)) == [
        ("created", 0), ("disabled", 1), ("enabled", 1), ("revoked", 0), ("rotated", 2),
    ]  # fmt: skip
    assert sorted(subjects(service, postbox)) == [
        "An API key has a new secret", "An API key was created", "An API key was disabled",
        "An API key was enabled again", "An API key was revoked",
    ]  # fmt: skip
    assert subjects(service, postbox) == []


@pytest.mark.one_database
def test_a_mail_tells_the_key_and_who_has_done_it(service, ann, postbox, clock):
    """A mail names the key, the actor, the time and the page of keys, and not the text of the key."""
    made = create(service, ann, name="Nightly export")
    service.api_keys.disable(Operator(ann.subject), made.key.id, CALLER)
    run(service)
    created, disabled = sorted(postbox.mails, key=lambda mail: mail.subject)
    title = f"- Nightly export (sk_live_{made.key.readable_id}…)"
    assert f"{title}: from your account, on 15 January 2027, 08:00:00 UTC, valid" in created.text
    assert "valid until 15 April 2027, 08:00 UTC" in created.text
    assert "http://127.0.0.1:8000/account/keys" in created.text
    assert "by the operator of the service, on 15 January 2027" in disabled.text
    for mail in postbox.mails:
        assert made.text[30:] not in mail.text and made.text[30:] not in mail.subject


@pytest.mark.one_database
def test_a_mail_names_the_key_that_has_done_it(service, ann, postbox):
    """A mail about a key that another key has made has the id of that key."""
    from identity.api_key_support import verify

    service.mails.leave_to_others()
    maker = create(service, ann)
    create(service, verify(service, maker.text), name="made by a key")
    run(service)
    (mail,) = postbox.mails
    assert mail.subject == "2 API keys were created"
    assert f"by the API key {maker.key.id}, on" in mail.text


@pytest.mark.slow
@pytest.mark.one_database
@pytest.mark.parametrize("kind", KEY_EVENTS)
def test_mails_of_a_kind_can_be_switched_off(url, clock, postbox, kind):
    """Mails of a kind can be switched off, and the events of that kind are still recorded."""
    others = [name for name in KEY_EVENTS if name != kind]
    titles = {
        "created": "were created", "rotated": "has a new secret", "disabled": "was disabled",
        "enabled": "was enabled again", "revoked": "was revoked", "expiring": "expires soon",
        "expired": "has expired",
    }  # fmt: skip
    with service_at(url, clock=clock, postbox=postbox, api_key_mails=others) as service:
        ann = owner(service)
        first, second = create(service, ann).key, create(service, ann, expires_in_days=8).key
        service.api_keys.rotate(ann, first.id, CALLER)
        service.api_keys.disable(ann, first.id, CALLER)
        service.api_keys.enable(ann, first.id, CALLER)
        service.api_keys.revoke(ann, first.id, CALLER)
        told = subjects(service, postbox)
        for _ in range(8):
            clock.go_on(DAY)
            told += subjects(service, postbox)
        assert {name for name, _ in noted(service)} == set(KEY_EVENTS)
        seen = {name for name, title in titles.items() if any(title in each for each in told)}
        assert seen == set(others)
        assert second.id


@pytest.mark.slow
@pytest.mark.one_database
def test_repeated_events_do_not_fill_the_disk(service, ann):
    """A key keeps the newest fifty events of each name."""
    key = create(service, ann).key
    for _ in range(55):
        service.api_keys.rotate(ann, key.id, CALLER)
    numbers = [number for name, number in noted(service) if name == "rotated"]
    assert sorted(numbers) == list(range(7, 57))


# --- the reader of a mail


@pytest.mark.one_database
def test_the_name_of_a_key_is_no_link(service, ann, postbox):
    """A name of a key with a URL or an address is changed in the mail, so that no link is shown."""
    create(service, ann, name="Reset at https://evil.example/x or mail a@evil.example " + "y" * 100)
    run(service)
    (mail,) = postbox.mails
    assert "evil.example" not in mail.text and "://evil" not in mail.text
    assert "Reset at https___evil_example_x or mail a_evil_example yyyyy…" in mail.text


@pytest.mark.one_database
def test_an_address_that_is_not_verified_gets_no_text_of_the_owner(service, ann, postbox):
    """A mail to an unverified address has no name of a key, because its mailbox may be a stranger's."""
    update(service, "UPDATE users SET email_verified = false")
    made = create(service, ann, name="Buy now")
    run(service)
    (mail,) = postbox.mails
    assert "Buy" not in mail.text
    assert f"- sk_live_{made.key.readable_id}…: from your account" in mail.text


def test_a_disabled_account_gets_no_mails(service, ann, clock, postbox):
    """The keys of a disabled account get events but no mails, also after the account is enabled."""
    create(service, ann)
    subjects(service, postbox)
    service.accounts.disable(ann.subject)
    clock.go_on(60 * DAY)
    assert subjects(service, postbox) == []
    assert noted(service)[-1] == ("expiring", 30)
    service.accounts.disable(ann.subject, disabled=False)
    clock.go_on(DAY)
    assert subjects(service, postbox) == []


@pytest.mark.slow
@pytest.mark.one_database
def test_keys_of_one_owner_are_told_together(service, ann, clock, postbox):
    """Twenty keys of an owner that expire on one day are in one mail."""
    names = [create(service, ann, name=f"key {number}").key.readable_id for number in range(20)]
    subjects(service, postbox)
    clock.go_on(60 * DAY)
    run(service)
    (mail,) = postbox.mails
    assert mail.subject == "20 API keys expire soon"
    assert all(name in mail.text for name in names)
    assert "Programs that use them are refused from then on. Create others before that." in mail.text


# --- limits and outages


@pytest.mark.slow
@pytest.mark.one_database
def test_a_holder_of_a_key_cannot_flood_a_mailbox(url, clock, postbox):
    """Mails beyond the limit are sent later, together in one mail."""
    most = DEFAULT_LIMITS["mail_account"].count
    with service_at(url, clock=clock, postbox=postbox, limits=None) as service:
        ann = owner(service)
        for _ in range(most + 5):
            create(service, ann)
            run(service)
        assert len(postbox.mails) == most
        assert noted(service) == [("created", 0)] * (most + 5)
        clock.go_on(MAX_PAUSE)
        run(service)
        assert len(postbox.mails) == most
        service.limiter.clear("mail_account", "api_key", "ann@example.com")
        clock.go_on(MAX_PAUSE)
        assert subjects(service, postbox)[most:] == ["5 API keys were created"]


@pytest.mark.slow
@pytest.mark.one_database
def test_floods_of_one_kind_do_not_hold_up_the_expiry(url, clock, postbox):
    """Mails about acts and mails about the expiry have separate limits."""
    most = DEFAULT_LIMITS["mail_account"].count
    with service_at(url, clock=clock, postbox=postbox, limits=None) as service:
        ann = owner(service)
        create(service, ann, expires_in_days=8)
        clock.go_on(DAY - 1)
        for _ in range(most + 5):
            create(service, ann)
            run(service)
        clock.go_on(1)
        run(service)
        assert "An API key expires soon" in [mail.subject for mail in postbox.mails]


def test_a_mail_that_the_server_does_not_take_is_tried_again(service, ann, postbox, clock):
    """A mail that the server does not accept is sent later, and its event is not recorded again."""
    postbox.broken = True
    create(service, ann)
    assert not run(service)
    (waiting,) = service.mails.list()
    assert (waiting.kind, waiting.user_id, waiting.tries) == ("api_key_created", ann.subject, 1)
    postbox.broken = False
    assert subjects(service, postbox) == []
    clock.go_on(POLL_SECONDS)
    assert subjects(service, postbox) == ["An API key was created"]
    clock.go_on(TAKEN_SECONDS)
    assert (subjects(service, postbox), noted(service)) == ([], [("created", 0)])


def test_tries_of_one_mail_count_once_for_its_mailbox(url, clock, postbox):
    """Several attempts for one mail count once for the limit of its mailbox."""
    limits = {**GENEROUS, "mail_account": Limit(1, 3_600)}
    with service_at(url, clock=clock, postbox=postbox, limits=limits) as service:
        postbox.broken = True
        create(service, owner(service))
        for _ in range(3):
            assert not run(service)
            clock.go_on(MAX_PAUSE)
        postbox.broken = False
        assert subjects(service, postbox) == ["An API key was created"]


@pytest.mark.one_database
def test_a_mail_that_the_server_refuses_is_given_up(service, ann, events, monkeypatch):
    """A mail that the server refuses permanently is given up, with an event."""

    def refuse(mail: Any) -> None:
        raise MailError("no such mailbox", temporary=False)

    monkeypatch.setattr(service.outbox._mailer, "send", refuse)
    create(service, ann)
    assert run(service)
    assert service.mails.state().waiting == 0
    assert ("mail", "refused", ann.subject) in [(each.name, each.reason, each.user_id) for each in events]


@pytest.mark.one_database
def test_a_mail_that_is_not_taken_for_a_day_is_given_up(service, ann, postbox, clock, events):
    """A mail that the server does not accept for a day is given up, with an event."""
    postbox.broken = True
    create(service, ann)
    assert not run(service)
    clock.go_on(MAX_AGE)
    run(service)
    assert service.mails.state().waiting == 0
    assert ("mail", "given_up", ann.subject) in [(each.name, each.reason, each.user_id) for each in events]


@pytest.mark.slow
@pytest.mark.one_database
def test_a_mail_shows_some_of_many_events(service, ann, postbox):
    """A mail shows a limited number of events, and the number of the others."""
    service.mails.leave_to_others()
    for _ in range(MAX_SHOWN_EVENTS + 2):
        create(service, ann)
    run(service)
    (mail,) = postbox.mails
    assert mail.subject == f"{MAX_SHOWN_EVENTS + 2} API keys were created"
    assert mail.text.count("- Default Key (") == MAX_SHOWN_EVENTS and "\nAnd 2 more.\n" in mail.text


@pytest.mark.one_database
def test_a_row_of_the_queue_has_no_secret(service, ann):
    """A row of the queue has the event and the public id of the key, and no secret and no address."""
    service.mails.leave_to_others()
    made = create(service, ann)
    (row,) = rows(service, "mails")
    assert (row.kind, row.details) == ("api_key_created", f"{made.key.id} 0")
    assert made.text[30:] not in str(row) and "ann@" not in str(row)


@pytest.mark.one_database
def test_a_stage_that_has_passed_meanwhile_is_not_told(service, ann, postbox, clock):
    """A mail about a stage that has passed meanwhile, or about a revoked key, is not sent."""
    first, second = create(service, ann).key, create(service, ann).key
    subjects(service, postbox)
    clock.go_on(83 * DAY)
    while service.key_notices._note_expiring():
        pass
    service.api_keys.revoke(Operator(ann.subject), first.id, CALLER)
    assert sorted(subjects(service, postbox)) == ["An API key expires soon", "An API key was revoked"]
    with service.database.write() as connection:
        told = [(ann.subject, f"{key.id} {days}") for key in (first, second) for days in (7, 30)]
        service.mails.add_all(connection, "api_key_expiring", told)
    clock.go_on(6 * DAY)
    assert subjects(service, postbox) == ["An API key expires soon"]


def test_a_process_that_dies_with_a_mail_leaves_it_to_another(service, ann, clock, postbox):
    """A mail that a process has taken and not sent is sent by another process ten minutes later."""
    service.mails.leave_to_others()
    create(service, ann)
    create(service, ann)
    assert len(service.mails.take()) == 2
    for seconds in (0, 599):
        clock.go_on(seconds)
        assert subjects(service, postbox) == []
    clock.go_on(1)
    assert subjects(service, postbox) == ["2 API keys were created"]


@pytest.mark.one_database
def test_mails_that_wait_when_the_service_ends_are_not_lost(url, clock):
    """A mail that the outbox could not send before the end of a process is sent by the next process."""
    broken, good = Postbox(), Postbox()
    broken.broken = True
    with service_at(url, clock=clock, postbox=broken) as service:
        create(service, owner(service))
    clock.go_on(MAX_PAUSE)
    with service_at(url, clock=clock, postbox=good) as service:
        assert subjects(service, good) == ["An API key was created"]


# --- keys from before the table


@pytest.mark.slow
def test_keys_of_before_the_table_are_told_of_what_is_ahead(tmp_path):
    """The migration sets the next stage of keys that are valid, and none for others."""
    import time

    from authguard.identity import upgrade
    from authguard.identity.storage.database import Database
    from authguard.identity.storage.migrations import upgrade as upgrade_to

    url = f"sqlite:///{tmp_path}/old.db"
    upgrade_to(url, "0006")
    now, database = time.time(), Database(url)
    ends = {
        "far": now + 60 * DAY,
        "near": now + 20 * DAY,
        "last": now + DAY / 2,
        "gone": now - 1,
        "off": now + DAY,
    }
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, email, email_key, email_verified, name, role, disabled, created_at)"
            " VALUES ('u', 'a@b.example', 'a', 1, '', 'USER', 0, 1)"
        )
        for key_id, expires_at in ends.items():
            connection.exec_driver_sql(
                "INSERT INTO api_keys (id, user_id, name, prefix, shown, readable_id, scopes, tier, metadata,"
                " networks, created_at, expires_at, revoked_at, generation, usage_count)"
                " VALUES (?, 'u', 'n', 'sk_live_', 's', 'r', '', 'free', '{}', '', 1, ?, ?, 1, 0)",
                (key_id, expires_at, 1.0 if key_id == "off" else None),
            )
    database.close()
    upgrade(url)
    with database.read() as connection:
        results = dict(connection.exec_driver_sql("SELECT id, notice_at FROM api_keys").all())
    database.close()
    assert results == {
        "far": ends["far"] - 30 * DAY, "near": ends["near"] - 7 * DAY, "last": ends["last"],
        "gone": None, "off": None,
    }  # fmt: skip
