"""Reports of a scanner of secrets: the accepted reports, their answers, and the keys that they revoke."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import event
from starlette.testclient import TestClient

from authguard import Credential, InvalidTokenError, Principal
from authguard.identity import Identity, IdentityService
from authguard.identity.api import secret_scanning
from authguard.identity.audit import Event
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.keys.generations import END_SECONDS
from authguard.identity.limits import DEFAULT_LIMITS, Limit
from authguard.identity.web.turns import MAX_TURNS
from identity.api_key_support import create, owner, rows, update, verify
from identity.keys import is_problem
from identity.scanner import (
    ENDPOINT,
    SAMPLE_BODY,
    SAMPLE_IDENTIFIER,
    SAMPLE_KEY,
    SAMPLE_SIGNATURE,
    Scanner,
    fields,
    label,
    match,
    scanning,
)
from identity.support import CALLER, GENEROUS, Clock, Postbox, service_at, serving
from stores.servers import wait_until
from support import judge

pytestmark = pytest.mark.slow_on_postgresql

PLACE = "https://github.com/o/r/blob/1/a.txt"


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    with scanning() as scanner:
        yield scanner


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def service(
    url: str, clock: Clock, postbox: Postbox, scanner: Scanner, events: list[Event]
) -> Iterator[IdentityService]:
    given: dict[str, Any] = {"secret_scanning": True, "secret_scanning_keys_url": scanner.url}
    # No mails about other events are sent.
    with service_at(
        url, clock=clock, postbox=postbox, hook=events.append, api_key_mails=(), **given
    ) as service:
        yield service


@pytest.fixture
def client(service: IdentityService) -> TestClient:
    return TestClient(Identity(service), base_url="http://127.0.0.1:8000")


@pytest.fixture
def ann(service: IdentityService) -> Principal:
    return owner(service)


def is_good(service: IdentityService, key_text: str) -> bool:
    """Return whether a key is accepted."""
    try:
        verify(service, key_text)
    except InvalidTokenError:
        return False
    return True


def becomes_revoked(service: IdentityService, principal: Principal) -> bool:
    """Return whether a guard that follows the log soon refuses a principal."""
    deadline = time.monotonic() + 20
    while not service.revocations.is_revoked(principal):
        if time.monotonic() > deadline:
            return False
    return True


def exposed(events: list[Event]) -> list[tuple[str | None, str]]:
    """Return the events of exposed keys, each with its key and source."""
    return [(event.key_id, event.reason) for event in events if event.name == "api_key_exposed"]


def mails_of(service: IdentityService, postbox: Postbox) -> list[str]:
    """Return the texts of all mails that were sent."""
    assert service.outbox.flush()
    return [mail.text for mail in postbox.mails]


# Keys that a report revokes.


@pytest.mark.slow
def test_a_live_key_is_revoked_and_its_owner_told(client, service, scanner, ann, events, postbox):
    """A reported key is revoked with a reason, and causes one event and one mail."""
    made = create(service, ann, name="Server")
    response = scanner.post(client, [match(made.text)])
    assert response.status_code == 200
    assert response.json() == [label(made.text, "true_positive")]
    assert not is_good(service, made.text)
    (key,) = service.api_keys.list(ann)
    assert (key.state(service.clock()), key.revoked_for) == ("revoked", "exposed")
    assert exposed(events) == [(key.id, "content")]
    (text,) = mails_of(service, postbox)
    assert f"sk_live_{key.readable_id}_…" in text and key.id in text and PLACE in text
    assert made.text not in text


@pytest.mark.parametrize("more", [{"url": f"https://github.com/o/r/{'%F0' * 4_000}"}, {"source": "s" * 201}])
def test_a_place_that_is_too_long_keeps_no_other_key_good(client, service, scanner, ann, more):
    """A match with a long URL or source revokes its key, and does not prevent other matches."""
    made, other = create(service, ann), create(service, ann)
    response = scanner.post(client, [match(made.text), match(other.text, **more)])
    assert response.json() == [label(made.text, "true_positive"), label(other.text, "true_positive")]
    assert not is_good(service, made.text) and not is_good(service, other.text)


@pytest.mark.slow
def test_a_mail_that_the_server_does_not_take_is_sent_later(client, service, scanner, ann, clock, postbox):
    """A mail that the server does not accept is sent later, and once, although the key is reported again."""
    service.mails.leave_to_others()
    made = create(service, ann)
    postbox.broken = True
    scanner.post(client, [match(made.text)])
    assert not service.mails.run()
    (waiting,) = service.mails.list()
    assert (waiting.kind, waiting.details) == ("api_key_exposed", made.key.id)
    postbox.broken = False
    for _ in range(3):
        scanner.post(client, [match(made.text)])
        clock.go_on(3_600)
        assert service.mails.run()
        (text,) = mails_of(service, postbox)
        assert made.key.id in text


@pytest.mark.slow
def test_other_keys_go_on(client, service, scanner, ann):
    """A reported key leaves another key of its owner valid."""
    exposed_key, other = create(service, ann), create(service, ann)
    scanner.post(client, [match(exposed_key.text)])
    assert is_good(service, other.text)


@pytest.mark.slow
def test_both_generations_of_a_key_count(client, service, scanner, ann):
    """A report of any generation of a key, pending or in its grace, revokes the key."""
    for index, activate in [(0, "now"), (0, "first_use"), (1, "first_use")]:
        first = create(service, ann)
        new = service.api_keys.rotate(ann, first.key.id, CALLER, activate=activate, grace_seconds=3_600)
        scanner.post(client, [match((first, new)[index].text)])
        assert not is_good(service, first.text) and not is_good(service, new.text)


def test_a_generation_that_has_ended_ends_no_key(client, service, scanner, ann, clock, postbox):
    """A generation that has ended is a true positive, and causes no revocation and no mail."""
    first = create(service, ann)
    new = service.api_keys.rotate(ann, first.key.id, CALLER, grace_seconds=60)
    clock.go_on(60)
    response = scanner.post(client, [match(first.text)])
    assert response.json() == [label(first.text, "true_positive")]
    assert is_good(service, new.text)
    assert mails_of(service, postbox) == []


def test_a_client_secret_ends_its_key(client, service, scanner, ann):
    """A reported client secret revokes its key."""
    made = create(service, ann, kind="claw")
    assert made.secret is not None
    response = scanner.post(client, [match(made.secret)])
    assert response.json() == [label(made.secret, "true_positive")]
    assert not is_good(service, made.text)


def test_tokens_of_the_key_end_with_it(client, service, scanner, ann):
    """A report of a key revokes its tokens."""
    made = create(service, ann, kind="claw")
    form = {"grant_type": "client_credentials", "client_id": made.text, "client_secret": made.secret}
    token = client.post("/v1/oauth/token", data=form).json()["access_token"]
    principal = judge(service.own_tokens, Credential(token, "bearer"), service.clock()).principal
    assert not service.revocations.is_revoked(principal)
    scanner.post(client, [match(made.text)])
    assert becomes_revoked(service, principal)


def test_guards_that_follow_the_log_know(client, service, scanner, ann):
    """A revocation by a report reaches guards that follow the log."""
    made = create(service, ann)
    principal = verify(service, made.text)
    assert not service.revocations.is_revoked(principal)
    scanner.post(client, [match(made.text)])
    assert becomes_revoked(service, principal)


@pytest.mark.parametrize("column", ["disabled_at", "owner"])
def test_a_key_that_is_switched_off_is_revoked_too(client, service, scanner, ann, column):
    """A disabled key, or a key of a disabled owner, is revoked by a report, because it could be enabled."""
    made = create(service, ann)
    if column == "owner":
        update(service, "UPDATE users SET disabled = true")
    else:
        update(service, "UPDATE api_keys SET disabled_at = 1")
    scanner.post(client, [match(made.text)])
    assert [row.revoked_for for row in rows(service, "api_keys")] == ["exposed"]


def test_a_key_that_has_ended_is_left_alone(client, service, scanner, ann, clock, events, postbox):
    """A key that was revoked or has expired is a true positive, and causes no event and no mail."""
    revoked, expired = create(service, ann), create(service, ann, expires_in_days=1)
    service.api_keys.revoke(ann, revoked.key.id, CALLER)
    clock.go_on(86_400)
    response = scanner.post(client, [match(revoked.text), match(expired.text)])
    assert [each["label"] for each in response.json()] == ["true_positive"] * 2
    assert [row.revoked_for for row in rows(service, "api_keys")] == [None, None]
    assert exposed(events) == [] and mails_of(service, postbox) == []


# Repeated reports.


def test_a_second_report_answers_the_same_and_mails_nobody(client, service, scanner, ann, events, postbox):
    """A repeated report gets the same answer, and causes no further event or mail."""
    made = create(service, ann)
    unknown = service.api_keys._texts.keys.make("sk_live_")
    matches = [match(made.text), match(unknown), match(made.text, "https://github.com/o/r/blob/2/b.txt")]
    answers = [scanner.post(client, matches).json() for _ in range(3)]
    labels = ["true_positive", "false_positive", "true_positive"]
    texts = [made.text, unknown, made.text]
    assert answers == [[label(text, name) for text, name in zip(texts, labels, strict=True)]] * 3
    assert len(mails_of(service, postbox)) == 1
    assert exposed(events) == [(made.key.id, "content")]


def test_a_key_that_is_good_again_is_found_again(client, service, scanner, ann, events, postbox):
    """A key whose revocation an operator has taken back is revoked by another report, with event and mail."""
    made = create(service, ann)
    for _ in range(2):
        update(service, "UPDATE api_keys SET revoked_at = NULL, revoked_for = NULL")
        assert scanner.post(client, [match(made.text)]).status_code == 200
        assert service.outbox.flush()
    assert not is_good(service, made.text)
    assert (len(exposed(events)), len(postbox.mails)) == (2, 2)


def test_two_secrets_of_one_key_are_one_event_and_one_mail(client, service, scanner, ann, events, postbox):
    """A key and its client secret in one report cause one event and one mail."""
    made = create(service, ann, kind="claw")
    scanner.post(client, [match(made.text), match(made.secret)])
    assert exposed(events) == [(made.key.id, "content")]
    assert len(mails_of(service, postbox)) == 1


def test_several_keys_of_an_owner_are_one_mail(client, service, scanner, ann, postbox):
    """The keys of one owner in a report are in one mail, and each owner gets a mail."""
    keys = [create(service, ann) for _ in range(3)]
    bob = create(service, owner(service, "bob@example.com"))
    scanner.post(client, [match(made.text) for made in [*keys, bob]])
    texts = sorted(mails_of(service, postbox), key=len)
    assert [sum(made.key.id in text for made in [*keys, bob]) for text in texts] == [1, 3]
    assert sorted(mail.to for mail in postbox.mails) == ["ann@example.com", "bob@example.com"]


@pytest.mark.slow
def test_what_a_killed_process_has_left_is_told_later(client, service, scanner, ann, postbox):
    """A mail that was stored and not sent is sent when a service starts."""
    made = create(service, ann)
    service.mails.leave_to_others()
    scanner.post(client, [match(made.text, source="commit", url="")])
    with TestClient(Identity(service)):  # starts and stops the service
        wait_until(lambda: not service.mails.state().waiting, "the mail was not sent")
    (mail,) = postbox.mails
    assert "Found in: commit" in mail.text and "Place" not in mail.text


@pytest.mark.slow
@pytest.mark.one_database
def test_one_mail_leads_to_the_next(service, client, scanner, postbox):
    """After one report each of several owners gets a mail."""
    keys = [create(service, owner(service, f"{name}@example.com")) for name in ("ann", "bob", "eve")]
    scanner.post(client, [match(made.text) for made in keys])
    assert len(mails_of(service, postbox)) == 3


@pytest.mark.one_database
def test_a_list_that_cannot_be_fetched_is_a_warning_at_the_start(service, scanner, caplog):
    """A list of keys that cannot be fetched causes a warning at the start."""
    scanner.status = 403
    with TestClient(Identity(service)):
        wait_until(lambda: scanner.requests and caplog.text, "nothing was prepared")
    assert "the keys of the scanner of secrets cannot be fetched: status 403" in caplog.text


@pytest.mark.slow
def test_a_mailbox_that_has_had_enough_is_told_later(url, clock, postbox, scanner):
    """Mails beyond the limit of a mailbox are sent later, together in one mail."""
    limits = {**GENEROUS, "mail_account": Limit(1, 60)}
    given = {"secret_scanning": True, "secret_scanning_keys_url": scanner.url, "api_key_mails": ()}
    with service_at(url, clock=clock, postbox=postbox, limits=limits, **given) as service:
        client, ann = TestClient(Identity(service)), owner(service)
        keys = [create(service, ann) for _ in range(3)]
        for made in keys:
            scanner.post(client, [match(made.text)])
            assert service.outbox.flush()
        clock.go_on(3_600)
        assert service.mails.run()
        assert len(postbox.mails) == 1
        service.limiter.clear("mail_account", "exposed", "ann@example.com")
        clock.go_on(3_600)
        assert service.mails.run()
        assert [sum(made.key.id in mail.text for made in keys) for mail in postbox.mails] == [1, 2]


@pytest.mark.slow
def test_guards_that_were_not_told_are_told_by_the_next_report(
    client, service, scanner, ann, events, postbox
):
    """A report whose marks could not be stored is 503, and the next one stores them without a second mail."""
    made, told, tries = create(service, ann), [], []

    def spread(marks: Any, sequence: int) -> None:
        tries.append(sequence)
        if len(tries) == 1:
            raise StoreUnavailableError("another store is down")
        told.extend(mark.name for mark in marks)

    service.database.after_marks = spread
    assert is_problem(scanner.post(client, [match(made.text)]), 503, "unavailable")
    assert not is_good(service, made.text)
    assert scanner.post(client, [match(made.text)]).status_code == 200
    assert told == [made.key.id] * 2  # the key, and its tokens
    assert exposed(events) == [(made.key.id, "content")]
    assert len(mails_of(service, postbox)) == 1
    service.clock.go_on(END_SECONDS)
    scanner.post(client, [match(made.text)])
    assert len(tries) == 2  # guards no longer remember the key


@pytest.mark.slow
def test_what_was_not_stored_is_no_event(client, service, scanner, ann, events):
    """A revocation that could not be stored leaves no event, and the next report revokes the key."""
    made = create(service, ann)
    before = service.database.write

    @contextmanager
    def failing(**options: Any) -> Iterator[Any]:
        with before(**options) as connection:
            yield connection
            raise StoreUnavailableError("the disk is full")

    service.database.write = failing
    assert scanner.post(client, [match(made.text)]).status_code == 503
    assert is_good(service, made.text) and exposed(events) == []
    service.database.write = before
    assert scanner.post(client, [match(made.text)]).status_code == 200
    assert exposed(events) == [(made.key.id, "content")]


# Refused reports, and accepted ones.


@pytest.mark.one_database
def test_the_sample_of_the_documentation_is_accepted(client, scanner):
    """The sample of GitHub's documentation is accepted, with the key of that time."""
    scanner.raw = {"public_keys": [{"key_identifier": SAMPLE_IDENTIFIER, "key": SAMPLE_KEY}]}
    response = client.post(ENDPOINT, content=SAMPLE_BODY, headers=fields(SAMPLE_IDENTIFIER, SAMPLE_SIGNATURE))
    assert response.json() == [label("some_token", "false_positive", "some_type")]


def signed(scanner: Scanner, body: bytes, change: Any) -> dict[str, str]:
    """Return the fields of a signature that was changed."""
    headers = scanner.sign(body)
    name = "Github-Public-Key-Signature"
    headers[name] = base64.b64encode(change(base64.b64decode(headers[name]))).decode()
    return headers


@pytest.mark.one_database
def test_a_body_that_was_written_anew_is_refused(client, service, scanner, ann):
    """A signed body that was written again with other bytes is refused."""
    made = create(service, ann)
    body = json.dumps([match(made.text)]).encode()
    other = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert other != body
    response = client.post(ENDPOINT, content=other, headers=scanner.sign(body))
    assert is_problem(response, 403, "wrong_signature")
    assert is_good(service, made.text)


@pytest.mark.one_database
def test_a_signature_of_another_key_is_refused(client, scanner):
    """A signature of another key than the named one is refused."""
    body = json.dumps([match("t")]).encode()
    stranger = ec.generate_private_key(ec.SECP256R1()).sign(body, ec.ECDSA(hashes.SHA256()))
    first, second = scanner.identifier, scanner.add_key()
    for headers in (
        fields(first, base64.b64encode(stranger).decode()),
        {**scanner.sign(body, first), "Github-Public-Key-Identifier": second},
        {**scanner.sign(body, first), "Github-Public-Key-Identifier": first.upper()},
        {**scanner.sign(body, first), "Github-Public-Key-Identifier": "unknown"},
    ):
        response = client.post(ENDPOINT, content=body, headers=headers)
        assert is_problem(response, 403, "wrong_signature")


@pytest.mark.one_database
def test_a_signature_with_more_bytes_is_refused(client, scanner):
    """A signature with additional bytes is refused."""
    body = json.dumps([match("t")]).encode()
    response = client.post(ENDPOINT, content=body, headers=signed(scanner, body, lambda der: der + b"\0"))
    assert is_problem(response, 403, "wrong_signature")


@pytest.mark.one_database
def test_a_request_without_a_signature_is_refused_before_its_body_is_read(client, scanner):
    """A request without a signature is refused without fetching the list of keys."""
    assert is_problem(client.post(ENDPOINT, content=b"[]"), 400, "invalid_report")
    assert scanner.requests == []


@pytest.mark.one_database
def test_a_field_that_comes_twice_is_refused(client, scanner):
    """A field that comes twice is refused, because a proxy may read the other one."""
    body = b"[]"
    headers = [*scanner.sign(body).items(), ("Github-Public-Key-Identifier", "other")]
    assert is_problem(client.post(ENDPOINT, content=body, headers=headers), 400, "invalid_report")


@pytest.mark.one_database
def test_a_signed_body_of_another_form_is_refused(client, scanner):
    """A signed body of another form is refused."""
    assert is_problem(scanner.post(client, b"{}"), 400, "invalid_report")


@pytest.mark.one_database
def test_one_bad_match_spoils_the_report(client, service, scanner, ann):
    """One invalid match makes the whole report invalid, and no key is revoked."""
    made = create(service, ann)
    assert scanner.post(client, [match(made.text), {}]).status_code == 400
    assert is_good(service, made.text)


@pytest.mark.slow
@pytest.mark.one_database
def test_what_is_not_known_is_accepted(client, service, scanner, ann):
    """Unknown sources, types and members are accepted, and the key is revoked."""
    made = create(service, ann)
    other = {"url": "", "source": "Carrier_pigeon", "type": "another_type", "more": {"of": ["this", 1, None]}}
    response = scanner.post(client, [match(made.text) | other])
    assert response.json() == [label(made.text, "true_positive", "another_type")]
    assert not is_good(service, made.text)


@pytest.mark.one_database
def test_an_empty_report_is_answered_by_an_empty_list(client, scanner):
    """An empty report is answered by an empty list."""
    assert scanner.post(client, []).json() == []


@pytest.mark.one_database
def test_tokens_of_other_forms_cost_no_query(client, service, scanner, monkeypatch):
    """Tokens of another form are false positives, without a query of the database."""
    monkeypatch.setattr(service.database, "read", None)
    monkeypatch.setattr(service.database, "write", None)
    response = scanner.post(client, [match(f"sk_live_{number}") for number in range(1_000)])
    assert {each["label"] for each in response.json()} == {"false_positive"}


@pytest.mark.slow
@pytest.mark.one_database
def test_an_outage_of_the_list_is_503(client, service, scanner, ann):
    """An outage of the list of keys is 503 with Retry-After, and the report succeeds later."""
    made = create(service, ann)
    scanner.status = 500
    response = scanner.post(client, [match(made.text)])
    assert is_problem(response, 503, "unavailable") and int(response.headers["retry-after"]) >= 1
    scanner.status = 200
    service.clock.go_on(30)
    assert scanner.post(client, [match(made.text)]).status_code == 200


@pytest.mark.one_database
def test_events_of_reports_that_are_refused(client, scanner, events):
    """Refused and accepted reports leave events with their reasons."""
    scanner.post(client, b"{}")
    client.post(ENDPOINT, content=b"[]", headers=signed(scanner, b"[]", lambda der: der + b"\0"))
    client.post(ENDPOINT, content=b"[]")
    scanner.post(client, [])
    told = [(event.name, event.succeeded, event.reason) for event in events]
    assert told == [
        ("secret_scanning", False, "invalid_report"),
        ("secret_scanning", False, "wrong_signature"),
        ("secret_scanning", False, "invalid_report"),
        ("secret_scanning", True, ""),
    ]


# The cost of reports.


def test_reports_read_by_indexes_alone(client, service, scanner, ann):
    """A report reads tables by indexes alone, so that its cost does not grow with the number of keys."""
    made = create(service, ann, kind="claw")
    seen: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:
        seen.append((args[2], args[3]))

    event.listen(service.database.engine, "before_cursor_execute", note)
    scanner.post(client, [match(made.text), match(made.secret)])
    assert service.outbox.flush()
    event.remove(service.database.engine, "before_cursor_execute", note)
    about_keys = [each for each in seen if "api_key" in each[0] and not each[0].startswith("INSERT")]
    assert len(about_keys) > 6
    with service.database.read() as connection:
        if not service.database.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off")  # a scan is cheaper for a row or two
        for statement, values in about_keys:
            plan = "EXPLAIN QUERY PLAN" if service.database.is_sqlite else "EXPLAIN"
            lines = str(connection.exec_driver_sql(f"{plan} {statement}", values).all())
            assert "SCAN" not in lines and "Seq Scan" not in lines, lines
        if not service.database.is_sqlite:
            connection.exec_driver_sql("RESET enable_seqscan")


@pytest.mark.slow
@pytest.mark.one_database
def test_wrong_signatures_are_limited_and_right_ones_are_not(url, clock, postbox, scanner):
    """Wrong signatures of one address are limited, and valid ones of that address are not."""
    given = {"secret_scanning": True, "secret_scanning_keys_url": scanner.url}
    with service_at(url, clock=clock, postbox=postbox, limits=dict(DEFAULT_LIMITS), **given) as service:
        client = TestClient(Identity(service))
        wrong = signed(scanner, b"[]", lambda der: der + b"\0")
        statuses = [client.post(ENDPOINT, content=b"[]", headers=wrong).status_code for _ in range(70)]
        assert statuses == [403] * 60 + [429] * 10
        assert scanner.post(client, []).status_code == 200
        large = b" " * 70_000 + b"[]"
        assert scanner.post(client, large).status_code == 429


@pytest.mark.one_database
def test_a_body_that_says_it_is_too_large_is_not_read(client, scanner):
    """A body with a large Content-Length is refused before it is read."""
    headers = {**scanner.sign(b""), "Content-Length": str(40 * 1024 * 1024)}
    response = client.post(ENDPOINT, content=b"[]", headers=headers)
    assert is_problem(response, 413, "payload_too_large")


@pytest.mark.slow
@pytest.mark.one_database
def test_a_body_of_unknown_length_is_read_to_the_bound(client, scanner):
    """A body of unknown length is refused at the limit."""
    sent = 0

    def body():
        nonlocal sent
        for _ in range(40):
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    response = client.post(ENDPOINT, content=body(), headers=scanner.sign(b""))
    assert is_problem(response, 413, "payload_too_large")
    assert scanner.requests == []


@contextmanager
def sending(base: str, headers: dict[str, str], length: int, body: bytes) -> Iterator[HTTPConnection]:
    """Open a connection that has sent the beginning of a body."""
    connection = HTTPConnection(base.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", ENDPOINT)
    for name, value in {**headers, "Content-Length": str(length)}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.one_database
def test_a_server_answers_before_a_body_that_is_too_large(service, scanner):
    """A server refuses a large Content-Length before any of the body arrives."""
    with (
        serving(Identity(service)) as base,
        sending(base, scanner.sign(b""), 40 * 1024 * 1024, b"") as connection,
    ):
        assert connection.getresponse().status == 413


@pytest.mark.slow
@pytest.mark.one_database
def test_a_large_body_that_does_not_come_is_given_up(service, scanner, monkeypatch):
    """A large body that does not arrive in time is 503, because it must not keep its turn."""
    monkeypatch.setattr(secret_scanning, "READ_SECONDS", 0)
    with (
        serving(Identity(service)) as base,
        sending(base, scanner.sign(b""), 100_000, b" " * 70_000) as connection,
    ):
        assert connection.getresponse().status == 503


@pytest.mark.slow
@pytest.mark.one_database
def test_large_bodies_of_strangers_keep_nobody_waiting(service, scanner):
    """While all turns are taken by unfinished large bodies, a report of the usual size is answered."""
    app = Identity(service)
    with serving(app) as base, ExitStack() as stack:
        for _ in range(MAX_TURNS):
            stack.enter_context(sending(base, scanner.sign(b""), 100_000, b" " * 70_000))
        wait_until(lambda: app._web.workers.turns.is_full(("secret-scanning",)), "there are turns")
        body = json.dumps([match("token")]).encode()
        with sending(base, scanner.sign(body), len(body), body) as connection:
            assert connection.getresponse().status == 200


@pytest.mark.slow
@pytest.mark.one_database
def test_a_large_report_is_taken(client, service, scanner, ann):
    """A report of 8,000 matches is accepted."""
    made = create(service, ann)
    matches = [match(f"sk_live_{number}") for number in range(8_000)]
    response = scanner.post(client, [*matches, match(made.text)])
    assert response.json()[-1] == label(made.text, "true_positive")
    assert not is_good(service, made.text)


def test_without_the_setting_there_is_no_such_path(url):
    """Without the setting the endpoint is 404."""
    with service_at(url) as service:
        assert TestClient(Identity(service)).post(ENDPOINT, content=b"[]").status_code == 404
