"""The table of mails: each acknowledged mail is sent at least once, and no link or token is stored."""

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import event, exc

from authguard.errors import RateLimitedError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.limits import Limit
from authguard.identity.mail.mailer import MailError
from authguard.identity.storage.mails import queries as mail_store
from authguard.identity.usecases.mails.queue import MAX_AGE, MAX_PAUSE, POLL_SECONDS, TAKEN_SECONDS
from identity.smtp_server import smtp_server
from identity.support import CALLER, GENEROUS, ISSUER, PASSWORD, SECRET, Postbox, service_at

TESTS = Path(__file__).parents[1]
NEW = "NewSecurePass456!"


def addresses(number):
    return [f"owner{index}@example.com" for index in range(number)]


def accounts(service, number):
    """Make accounts, and send no mail."""
    for email in addresses(number):
        service.accounts.create(email, PASSWORD)
    return addresses(number)


def ask(service, *emails):
    for email in emails:
        service.links.request_password_reset(email, CALLER)


def go_on(service, clock, seconds):
    """Let time pass, and run a step of the background thread."""
    clock.go_on(seconds)
    service.mails.step()
    assert service.outbox.flush()


def events_of(service, name="mail"):
    return {reason: number for (flow, reason), number in service.audit.counts().items() if flow == name}


@pytest.mark.slow
def test_half_an_hour_without_a_mail_server_loses_nothing(service, clock, postbox):
    """After half an hour without a mail server each owner gets a mail with a valid link."""
    postbox.broken = True
    emails = accounts(service, 20)
    ask(service, *emails)
    assert service.outbox.flush()
    for _ in range(30):
        go_on(service, clock, 60)
    assert service.mails.state().waiting == 20
    postbox.broken = False
    go_on(service, clock, MAX_PAUSE)
    assert sorted(mail.to for mail in postbox.mails) == sorted(emails)
    for index, mail in enumerate(list(postbox.mails)):  # a new password sends a mail, too
        service.links.reset_password(postbox.token(index), NEW, CALLER)
        assert service.accounts.login(mail.to, NEW, CALLER)


@pytest.mark.slow
def test_a_mail_is_tried_for_a_day_and_given_up_visibly(service, clock, postbox, caplog):
    """A mail is tried for a day at growing intervals, and then given up with an event and a log line."""
    postbox.broken = True
    accounts(service, 1)
    tries = []
    postbox.send = lambda mail: tries.append(clock()) or _down()
    ask(service, "owner0@example.com")
    assert service.outbox.flush()
    with caplog.at_level(logging.WARNING):
        while service.mails.state().waiting and clock() < tries[0] + 2 * MAX_AGE:
            (mail,), number = service.mails.list(), len(tries)
            go_on(service, clock, mail.try_at - clock() - 1)
            assert len(tries) == number, "it was tried too early"
            go_on(service, clock, 1)
    pauses = [round(later - earlier) for earlier, later in zip(tries, tries[1:], strict=False)]
    assert pauses[:4] == [15, 30, 60, 120]
    assert max(pauses) == MAX_PAUSE
    assert MAX_AGE <= tries[-1] - tries[0] <= MAX_AGE + MAX_PAUSE
    assert len(tries) < 40
    assert events_of(service) == {"given_up": 1}
    assert "is given up: the server is down" in caplog.text
    assert "owner0" not in caplog.text


def _down():
    raise MailError("the server is down", temporary=True)


def test_refused_for_good_is_not_tried_again(service, postbox):
    """A mail that is refused permanently is not tried again, and leaves an event."""
    accounts(service, 1)

    def refuse(mail):
        raise MailError("the mail server refused the recipient: 550", temporary=False)

    postbox.send = refuse
    ask(service, "owner0@example.com")
    assert service.outbox.flush()
    assert (service.mails.state().waiting, events_of(service)) == (0, {"refused": 1})


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 12])
def test_a_process_that_is_killed_loses_no_mail(url, clock, number):
    """After a process is killed, the next one sends its acknowledged mails, and at most one arrives twice."""
    emails = addresses(25)
    with smtp_server() as mailbox, service_at(url, clock=clock) as service:
        accounts(service, 25)
        environment = {
            "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "TEST_SMTP": mailbox.url,
            "TEST_DATABASE": url,
            "TEST_ADDRESSES": json.dumps(emails),
        }
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "identity/mailing_process.py")],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
        )

        def kill(count):
            if count == number:
                process.send_signal(signal.SIGKILL)

        mailbox.on_mail = kill
        output, _ = process.communicate(timeout=60)
        acknowledged = [line for line in output.split() if "@" in line]
        assert process.returncode == -signal.SIGKILL
        received = [to for to, *_ in mailbox.mails]
        with service_at(url, clock=clock, postbox=(postbox := Postbox())) as second:
            go_on(second, clock, TAKEN_SECONDS)
        times = Counter([*received, *(mail.to for mail in postbox.mails)])
    assert set(times) >= set(acknowledged)
    assert sum(times.values()) <= len(times) + 1


@pytest.mark.slow
def test_a_service_that_is_stopped_loses_no_mail(url, clock):
    """Mails that a stopped service could not send in time are sent after the next start."""
    slow = Postbox()
    entered, go = threading.Event(), threading.Event()
    keep = slow.send

    def send(mail):
        entered.set()
        assert go.wait(30)
        keep(mail)

    slow.send = send
    with service_at(url, clock=clock, postbox=slow) as service:
        emails = accounts(service, 50)
        ask(service, *emails)
        service.outbox.flush(0)
        assert entered.wait(30)
        service.outbox.close(0.01)
        assert service.mails.state().waiting == 50
        go.set()
        service.outbox._worker.join(30)
    with service_at(url, clock=clock, postbox=(postbox := Postbox())) as second:
        go_on(second, clock, TAKEN_SECONDS)
        assert second.mails.state().waiting == 0
    assert set(emails) == {mail.to for mail in [*slow.mails, *postbox.mails]}


@pytest.mark.slow
def test_several_processes_send_each_mail_once(url, clock):
    """Four services on one table send each mail once."""
    with contextlib.ExitStack() as stack:
        boxes = [Postbox() for _ in range(4)]
        services = [stack.enter_context(service_at(url, clock=clock, postbox=box)) for box in boxes]
        emails = accounts(services[0], 60)
        for index, email in enumerate(emails):
            ask(services[index % 4], email)
        for service in services:
            service.mails.step()
        for service in services:
            assert service.outbox.flush()
        while services[0].mails.state().waiting:
            go_on(services[0], clock, 1)
    sent = Counter(mail.to for box in boxes for mail in box.mails)
    assert sent == Counter(emails)


def test_no_link_and_no_address_is_kept(service, clock, postbox):
    """A waiting mail is stored with its kind, account and reason, and without a link or address."""
    postbox.broken = True
    accounts(service, 1)
    ask(service, "OWNER0@example.com")
    assert service.outbox.flush()
    (waiting,) = service.mails.list()
    assert (waiting.kind, waiting.address, waiting.tries) == ("reset", None, 1)
    assert waiting.user_id == service.accounts.find("owner0@example.com").id
    assert waiting.reason == "the server is down"
    assert waiting.try_at == clock() + POLL_SECONDS


def test_an_unknown_address_is_forgotten_and_told(service):
    """A mail to an unknown address is deleted, and leaves an event."""
    ask(service, "nobody@example.com")
    assert service.outbox.flush()
    assert service.mails.state().waiting == 0
    assert events_of(service) == {"unknown": 1}


def test_text_that_is_no_address_leaves_no_mail(service):
    """Text that is no address leaves no mail."""
    ask(service, "no address", "")
    assert service.mails.state().waiting == 0


def test_strangers_cannot_fill_the_table(service, monkeypatch):
    """Beyond a limit, requests for mails to unknown addresses are 503, and registrations succeed."""
    monkeypatch.setattr(mail_store, "MAX_UNKNOWN", 3)
    service.outbox.close()  # no thread looks up the accounts
    ask(service, "a@example.com", "b@example.com", "c@example.com")
    with pytest.raises(StoreUnavailableError):
        ask(service, "d@example.com")
    assert events_of(service) == {"queue_full": 1}
    assert service.accounts.register("e@example.com", PASSWORD, "", CALLER)
    assert service.mails.state().waiting == 4


def test_who_asks_again_gets_one_mail(service, postbox):
    """A second request for a waiting mail leads to one mail."""
    accounts(service, 1)
    ask(service, "owner0@example.com", "Owner0@example.com")
    assert service.outbox.flush()
    assert len(postbox.mails) == 1


@pytest.mark.parametrize("order", ["account first", "address first"])
def test_a_mail_that_was_asked_for_in_two_ways_is_one_mail(service, clock, postbox, order):
    """A verification mail that both the registration and the owner asked for is sent once."""
    email = addresses(1)[0]
    if order == "address first":
        service.accounts.create(email, PASSWORD, verified=False)
        user = service.accounts.find(email)
    postbox.broken = True
    if order == "account first":
        service.accounts.register(email, PASSWORD, "", CALLER)
        service.links.resend_verification(email, CALLER)
    else:
        service.links.resend_verification(email, CALLER)
        assert service.outbox.flush()
        with service.database.write() as connection:
            service.links.send_verification(connection, user)
    assert service.outbox.flush()
    assert service.mails.state().waiting == 1
    postbox.broken = False
    go_on(service, clock, MAX_PAUSE)
    assert [mail.to for mail in postbox.mails] == [email]
    service.links.confirm_email(postbox.token(), CALLER)


def test_a_mail_that_is_asked_for_while_it_is_sent_is_sent_again(service, postbox):
    """A request for a mail while an earlier one is sent leads to a second mail, with a valid link."""
    accounts(service, 1)
    keep, calls = postbox.send, []

    def send(mail):
        if not calls:
            calls.append(mail)
            ask(service, "owner0@example.com")
        keep(mail)

    postbox.send = send
    ask(service, "owner0@example.com")
    assert service.outbox.flush()
    assert len(postbox.mails) == 2
    service.links.reset_password(postbox.token(), NEW, CALLER)


def test_a_database_error_while_a_mail_is_made_loses_nothing(service, clock, postbox):
    """After a database error a mail is made again later, with a valid link."""
    accounts(service, 1)

    def fail(connection, cursor, statement, *_):
        if "one_time_tokens" in statement and not failed:
            failed.append(statement)
            raise exc.OperationalError(statement, {}, Exception("gone"))

    failed = []
    event.listen(service.database.engine, "before_cursor_execute", fail)
    ask(service, "owner0@example.com")
    assert service.outbox.flush()
    assert (len(failed), postbox.mails) == (1, [])
    go_on(service, clock, POLL_SECONDS)
    service.links.reset_password(postbox.token(), NEW, CALLER)


def test_a_registration_is_stored_with_its_mail_or_not_at_all(service, postbox):
    """A registration whose mail cannot be stored leaves no account."""

    def fail(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO mails"):
            raise exc.OperationalError(statement, {}, Exception("gone"))

    event.listen(service.database.engine, "before_cursor_execute", fail)
    with pytest.raises(StoreUnavailableError):
        service.accounts.register("ann@example.com", PASSWORD, "", CALLER)
    assert service.accounts.find("ann@example.com") is None


def test_an_operator_can_have_mails_tried_at_once(service, clock, postbox):
    """An operator can have one waiting mail or all of them sent at once."""
    postbox.broken = True
    accounts(service, 2)
    ask(service, *addresses(2))
    for _ in range(2):
        go_on(service, clock, MAX_PAUSE)
    postbox.broken = False
    first, second = service.mails.list()
    assert service.mails.retry(first.id[:12]) == 1
    assert service.outbox.flush()
    assert [mail.id for mail in service.mails.list()] == [second.id]
    assert service.mails.retry() == 1
    assert service.outbox.flush()
    assert (service.mails.list(), len(postbox.mails)) == ([], 2)
    assert service.mails.retry("0123") == 0


def test_tries_of_one_mail_count_once(url, clock, postbox):
    """Several attempts for one mail count once for the limit of its mailbox."""
    limits = {**GENEROUS, "mail_account": Limit(1, 3_600)}
    with service_at(url, clock=clock, postbox=postbox, limits=limits) as service:
        postbox.broken = True
        accounts(service, 1)
        ask(service, "owner0@example.com")
        assert service.outbox.flush()
        postbox.broken = False
        go_on(service, clock, POLL_SECONDS)
        assert len(postbox.mails) == 1
        ask(service, "owner0@example.com")
        assert service.outbox.flush()
        assert (len(postbox.mails), events_of(service)["limit"]) == (1, 1)


def test_the_product_is_named_in_each_mail(url, clock, postbox):
    """The product name is in the subject and the text of a mail."""
    with service_at(url, clock=clock, postbox=postbox, product_name="Acme") as service:
        accounts(service, 1)
        ask(service, "owner0@example.com")
        assert service.outbox.flush()
    assert postbox.mails[0].subject == "Acme: Set a new password"
    assert postbox.mails[0].text.endswith("\n\n-- \nAcme")


def test_mails_of_an_account_that_is_gone_are_gone(service, postbox, clock):
    """A deleted account has no waiting mails."""
    postbox.broken = True
    service.accounts.register("ann@example.com", PASSWORD, "", CALLER)
    assert service.outbox.flush()
    with service.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM users")
    assert service.mails.state().waiting == 0


def test_a_late_queue_is_seen(service, clock, postbox):
    """A mail that was not tried for five minutes is reported as late."""
    accounts(service, 1)
    service.outbox.close()
    ask(service, "owner0@example.com")
    assert service.mails.state() == (1, 0, clock())
    clock.go_on(301)
    assert service.mails.state().late == 1


def test_limits_are_looked_at_before_a_mail_is_stored(url, postbox):
    """A refused request for a mail leaves no row."""
    limits = {**GENEROUS, "mail_address": Limit(1, 3_600)}
    with service_at(url, postbox=postbox, limits=limits) as service:
        service.outbox.close()
        ask(service, "a@example.com")
        with pytest.raises(RateLimitedError):
            ask(service, "b@example.com")
        assert service.mails.state().waiting == 1


@contextlib.contextmanager
def serve(url, smtp):
    """Run `authguard serve`; yield the process and the base URL."""
    command = str(Path(sys.executable).with_name("authguard"))
    variables = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": ISSUER,
        "AUTHGUARD_DATABASE": url,
        "AUTHGUARD_SMTP_URL": smtp,
        "AUTHGUARD_MAIL_FROM": "Acme <accounts@example.com>",
        "AUTHGUARD_LIMITS": "mail_address=1000/60",
    }
    process = subprocess.Popen(
        [command, "serve", "--port", "0"], env=os.environ | variables, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = []
        while (url := re.search(r"http://127[\w.:]+", "".join(lines))) is None:
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)  # an empty line: it has ended
        yield process, url[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.slow
def test_sigterm_loses_no_acknowledged_mail(url):
    """After SIGTERM, each of 50 acknowledged mails arrives, by this process or the next."""
    with smtp_server() as mailbox:
        mailbox.on_mail = lambda number: time.sleep(0.2)
        with service_at(url, clock=time.time) as service:
            emails = accounts(service, 50)
        with serve(url, mailbox.url) as (process, base), httpx2.Client() as client:
            for email in emails:
                answer = client.post(f"{base}/v1/auth/forgot-password", json={"email": email})
                assert answer.status_code == 200
            process.terminate()
            process.wait(30)
        received = [to for to, *_ in mailbox.mails]
    late = Postbox()
    with service_at(url, clock=lambda: time.time() + TAKEN_SECONDS, postbox=late) as service:
        while service.mails.state().waiting:
            service.mails.step()
            assert service.outbox.flush()
    assert len(received) < 50
    assert set(emails) == {*received, *(mail.to for mail in late.mails)}
    assert len(received) + len(late.mails) <= 51
