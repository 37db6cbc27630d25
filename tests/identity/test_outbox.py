"""The outbox: behind the answer, again after a failure, never without bounds, and seen when it fails."""

import logging
import threading

import pytest

from authguard import ConfigurationError
from authguard.identity.mail.mailer import Mail, MailError
from authguard.identity.mail.outbox import Outbox, OutboxStats


def _mail(subject="Hello"):
    return Mail("ann@example.com", subject, "the-secret-link")


class _Mailer:
    """Fails as often as it is told, then sends; can be held up."""

    def __init__(self, *failures):
        self.failures, self.sent, self.tries = list(failures), [], 0
        self.go, self.entered = threading.Event(), threading.Event()
        self.go.set()

    def send(self, mail):
        self.entered.set()
        assert self.go.wait(10)
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(mail.subject)


DOWN = MailError("down", temporary=True)
NO = MailError("no such user", temporary=False)


@pytest.fixture
def open_outbox():
    """Makes outboxes, and closes them."""
    opened = []

    def make(*arguments, **options):
        opened.append(Outbox(*arguments, **{"backoff": 0.001, **options}))
        return opened[-1]

    yield make
    for outbox in opened:
        outbox.close()


def test_mail_is_made_and_sent_behind_the_answer(open_outbox):
    """Taking a mail does not wait for it to be made or sent."""
    mailer, made = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer)
    outbox.submit(lambda: made.append(threading.current_thread().name) or _mail())
    assert outbox.stats() == OutboxStats(waiting=1)
    mailer.go.set()
    assert outbox.flush()
    assert (made, mailer.sent) == (["authguard-outbox"], ["Hello"])
    assert outbox.stats() == OutboxStats(sent=1)


def test_there_may_be_no_mail(open_outbox):
    """It may turn out in the worker that there is nobody to write to."""
    outbox = open_outbox(_Mailer())
    outbox.submit(lambda: None)
    assert outbox.flush()
    assert outbox.stats() == OutboxStats()


def test_failure_for_the_moment_is_tried_again(open_outbox):
    """The mail is made once, and sent once the server is back."""
    mailer, made, told = _Mailer(DOWN, DOWN), [], []
    outbox = open_outbox(mailer, lambda *outcome: told.append(outcome))
    outbox.submit(lambda: made.append(1) or _mail())
    assert outbox.flush()
    assert (mailer.sent, made, told) == (["Hello"], [1], [(True, "")])
    assert outbox.stats() == OutboxStats(sent=1, retried=2)


def test_final_failure_is_not_tried_again(open_outbox, caplog):
    """What the server refuses for good is given up, visibly and without the mail's text."""
    mailer, told = _Mailer(NO), []
    outbox = open_outbox(mailer, lambda *outcome: told.append(outcome))
    with caplog.at_level(logging.WARNING):
        outbox.submit(_mail)
        assert outbox.flush()
    assert (mailer.tries, told, outbox.stats()) == (1, [(False, "not_sent")], OutboxStats(failed=1))
    assert "no such user" in caplog.text
    assert "secret" not in caplog.text
    assert "ann@" not in caplog.text


def test_tries_end(open_outbox):
    """A server that stays away is given up after as many tries as were said."""
    mailer = _Mailer(*[DOWN] * 10)
    outbox = open_outbox(mailer, tries=3)
    outbox.submit(_mail)
    assert outbox.flush()
    assert (mailer.tries, outbox.stats()) == (3, OutboxStats(retried=2, failed=1))


def test_a_mail_that_waits_does_not_hold_up_others(open_outbox):
    """While one waits for its next try, the next ones are sent."""
    mailer = _Mailer(DOWN)
    outbox = open_outbox(mailer, backoff=60)
    outbox.submit(lambda: _mail("first"))
    outbox.submit(lambda: _mail("second"))
    with outbox._changed:
        assert outbox._changed.wait_for(lambda: mailer.sent, 10)
    assert mailer.sent == ["second"]


def test_backoff_doubles(open_outbox):
    """The waits between tries are doubled."""
    now = [0.0]
    outbox = open_outbox(_Mailer(), backoff=2, clock=lambda: now[0])
    dues = []
    outbox._push = lambda entry: dues.append(entry.due)
    entry = type("Entry", (), {"tries": 0, "done": None, "is_lasting": False})
    for entry.tries in range(4):
        outbox._retry(entry, _mail())
    assert dues == [2, 4, 8, 16]


@pytest.mark.parametrize("error", [RuntimeError("ann@example.com"), ValueError("the-secret-link")])
def test_worker_survives_anything(open_outbox, caplog, error):
    """An error of another kind is logged by its kind, and the next mail is sent."""
    mailer, told = _Mailer(error), []
    outbox = open_outbox(mailer, lambda *outcome: told.append(outcome))

    def fail():
        raise error

    outbox.submit(_mail)
    outbox.submit(fail)
    outbox.submit(_mail)
    assert outbox.flush()
    assert told == [(False, "not_sent"), (False, "not_made"), (True, "")]
    assert type(error).__name__ in caplog.text
    assert str(error) not in caplog.text


def test_room_is_bounded(open_outbox, caplog):
    """More than may wait are dropped at once, and that is seen."""
    mailer, told = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer, lambda *outcome: told.append(outcome), size=2)
    for _ in range(5):
        outbox.submit(_mail)
    dropped = outbox.stats().dropped
    assert dropped in (2, 3)  # whether the worker has one in hand already
    assert told == [(False, "outbox_full")] * dropped
    mailer.go.set()
    assert outbox.flush()
    assert "dropped" in caplog.text


def test_closing_sends_what_waits(open_outbox):
    """What waits is tried once more, even if it was not due yet."""
    mailer = _Mailer(DOWN)
    outbox = open_outbox(mailer, backoff=3600)
    outbox.submit(_mail)
    with outbox._changed:
        assert outbox._changed.wait_for(lambda: outbox._stats.retried, 10)
    outbox.close()
    assert mailer.sent == ["Hello"]
    outbox.submit(_mail)
    assert outbox.stats() == OutboxStats(sent=1, retried=1, dropped=1)


def test_closing_is_bounded(open_outbox, caplog):
    """A server that hangs does not keep the process from ending; what is lost is counted."""
    mailer, told = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer, lambda *outcome: told.append(outcome))
    for _ in range(3):
        outbox.submit(_mail)
    assert mailer.entered.wait(10)
    outbox.close(timeout=0.01)
    assert (outbox.stats().failed, told) == (2, [(False, "not_sent")] * 2)
    mailer.go.set()


def test_flush_is_bounded(open_outbox):
    """Waiting for the outbox ends."""
    mailer = _Mailer()
    mailer.go.clear()
    outbox = open_outbox(mailer)
    outbox.submit(_mail)
    assert not outbox.flush(timeout=0.01)
    mailer.go.set()


def test_a_mail_waits_for_its_pause(open_outbox):
    """A mail is due after the pause and a random part of it, so that its work is not beside the answer."""
    mailer, now, parts = _Mailer(), [0.0], [1.0, 0.0]
    outbox = open_outbox(mailer, pause=10, clock=lambda: now[0], random=lambda: parts.pop(0))
    outbox.submit(lambda: _mail("after 20"))
    outbox.submit(lambda: _mail("after 10"))
    now[0] = 15.0  # the worker waits for seconds of the real clock
    assert outbox.stats() == OutboxStats(waiting=2)
    assert outbox.flush()
    assert mailer.sent == ["after 10", "after 20"]


def test_closing_does_not_wait_for_the_pause(open_outbox):
    """What waits for its pause is sent when the outbox is closed."""
    mailer = _Mailer()
    outbox = open_outbox(mailer, pause=3600)
    outbox.submit(_mail)
    outbox.close()
    assert mailer.sent == ["Hello"]


def test_flush_leaves_a_second_try_its_time(open_outbox):
    """Flushing hurries first tries alone: a mail server that is down is not asked at once again."""
    mailer = _Mailer(DOWN)
    outbox = open_outbox(mailer, backoff=3600, pause=3600)
    outbox.submit(_mail)
    assert not outbox.flush(timeout=0.5)
    assert not outbox.flush(timeout=0.01)
    assert (mailer.tries, outbox.stats().retried) == (1, 1)


@pytest.mark.parametrize("options", [{"size": 0}, {"tries": 0}, {"backoff": 0}, {"pause": -1}])
def test_outbox_checks_its_numbers(options):
    """Numbers that make no sense are refused when the outbox is built."""
    with pytest.raises(ConfigurationError):
        Outbox(_Mailer(), **options)


def outcomes(open_outbox, *failures, **options):
    """What is told of a mail whose server fails so."""
    told = []
    outbox = open_outbox(_Mailer(*failures), **options)
    outbox.submit(_mail, lambda outcome, _: told.append(outcome))
    assert outbox.flush()
    return told


@pytest.mark.parametrize(
    ("failures", "outcome"),
    [
        ([], "sent"),
        ([DOWN, DOWN], "sent"),
        ([NO], "refused"),
        ([DOWN] * 3, "unsent"),
        ([ValueError()], "refused"),
    ],
)
def test_each_mail_has_one_outcome(open_outbox, failures, outcome):
    """Sent, refused for good, or not sent for now; not for each try."""
    assert outcomes(open_outbox, *failures, tries=3) == [outcome]


def test_mails_that_are_dropped_have_an_outcome(open_outbox):
    """Those for which there is no room, and those that wait when the outbox is closed."""
    mailer, told = _Mailer(DOWN), []
    outbox = open_outbox(mailer, size=1, backoff=1_000.0)
    outbox.submit(_mail, lambda outcome, _: told.append(("first", outcome)))
    while outbox.stats().retried == 0:
        mailer.entered.wait(10)
    outbox.submit(_mail, lambda outcome, _: told.append(("second", outcome)))
    mailer.failures.append(DOWN)
    outbox.close()
    assert told == [("second", "unsent"), ("first", "unsent")]


def test_a_lasting_mail_is_tried_once_here(open_outbox, caplog):
    """Whoever has it in a table is told why it was not sent, and tells of it."""
    mailer, told, reports = _Mailer(DOWN, DOWN), [], []
    outbox = open_outbox(mailer, lambda *outcome: reports.append(outcome))
    with caplog.at_level(logging.WARNING):
        outbox.submit(_mail, lambda *outcome: told.append(outcome), is_lasting=True)
        assert outbox.flush()
    assert (mailer.tries, told, reports, caplog.text) == (1, [("unsent", "down")], [], "")
    assert outbox.stats() == OutboxStats(retried=1)


def test_a_lasting_mail_that_is_not_taken_is_not_lost(open_outbox, caplog):
    """A full or closed outbox is no reason for an error then."""
    told = []
    outbox = open_outbox(_Mailer())
    outbox.close()
    with caplog.at_level(logging.WARNING):
        outbox.submit(_mail, lambda outcome, _: told.append(outcome), is_lasting=True)
    assert (told, outbox.stats(), caplog.text) == (["unsent"], OutboxStats(), "")


def test_mails_name_the_product(open_outbox):
    """In the subject of whatever passes."""
    mailer = _Mailer()
    outbox = open_outbox(mailer, product_name="Acme")
    outbox.submit(_mail)
    assert outbox.flush()
    assert mailer.sent == ["Acme: Hello"]
