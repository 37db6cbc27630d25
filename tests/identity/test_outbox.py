"""The outbox: it sends mails after the answer, each once, in bounded number, and reports failures."""

import threading

import pytest

from authguard import ConfigurationError
from authguard.identity.mail.mailer import Mail, MailError
from authguard.identity.mail.outbox import Outbox, OutboxStats


def _mail(subject="Hello"):
    return Mail("ann@example.com", subject, "the-secret-link")


class _Mailer:
    """Fails as often as a test sets it, and then sends; can be blocked."""

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


def _ignore(*outcome):
    """Take an outcome that the test does not need."""


@pytest.fixture
def open_outbox():
    """Return a function that makes outboxes, which are closed after the test."""
    opened = []

    def make(*arguments, **options):
        opened.append(Outbox(*arguments, **options))
        return opened[-1]

    yield make
    for outbox in opened:
        outbox.close()


def test_mail_is_made_and_sent_behind_the_answer(open_outbox):
    """Submitting a mail does not wait until the mail is made or sent."""
    mailer, made = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer)
    outbox.submit(lambda: made.append(threading.current_thread().name) or _mail(), _ignore)
    assert outbox.stats() == OutboxStats(waiting=1)
    mailer.go.set()
    assert outbox.flush()
    assert (made, mailer.sent) == (["authguard-outbox"], ["Hello"])
    assert outbox.stats() == OutboxStats(sent=1)


def test_there_may_be_no_mail(open_outbox):
    """A job that makes no mail has no outcome."""
    told = []
    outbox = open_outbox(_Mailer())
    outbox.submit(lambda: None, lambda *outcome: told.append(outcome))
    assert outbox.flush()
    assert (told, outbox.stats()) == ([], OutboxStats())


@pytest.mark.parametrize(
    ("failures", "outcome", "stats"),
    [
        ([], ("sent", ""), OutboxStats(sent=1)),
        ([DOWN], ("unsent", "down"), OutboxStats(unsent=1)),
        ([NO], ("refused", "no such user"), OutboxStats(refused=1)),
        ([RuntimeError("ann@example.com")], ("unsent", "RuntimeError"), OutboxStats(unsent=1)),
    ],
)
def test_each_mail_is_tried_once_and_has_one_outcome(open_outbox, caplog, failures, outcome, stats):
    """Each mail is tried once, and its outcome is reported with a reason but without an address."""
    mailer, told = _Mailer(*failures), []
    outbox = open_outbox(mailer)
    outbox.submit(_mail, lambda *outcome: told.append(outcome))
    assert outbox.flush()
    assert (mailer.tries, told, outbox.stats(), caplog.text) == (1, [outcome], stats, "")


@pytest.mark.parametrize("error", [RuntimeError("ann@example.com"), ValueError("the-secret-link")])
def test_worker_survives_anything(open_outbox, error):
    """An error while a mail is made or sent is reported by its class, and the next mail is sent."""
    mailer, told = _Mailer(error), []
    outbox = open_outbox(mailer)

    def fail():
        raise error

    for make in (_mail, fail, _mail):
        outbox.submit(make, lambda *outcome: told.append(outcome))
    assert outbox.flush()
    assert told == [("unsent", type(error).__name__)] * 2 + [("sent", "")]


def test_room_is_bounded(open_outbox):
    """Mails beyond the size are not accepted, which is reported at once."""
    mailer, told = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer, size=2)
    for _ in range(5):
        outbox.submit(_mail, lambda *outcome: told.append(outcome))
    assert len(told) in (2, 3)  # depending on whether the worker has taken one already
    assert set(told) == {("unsent", "the outbox is full or closed")}
    mailer.go.set()
    assert outbox.flush()


def test_closing_is_bounded(open_outbox):
    """Closing does not wait for a mail server that hangs, and reports the mails that were not sent."""
    mailer, told = _Mailer(), []
    mailer.go.clear()
    outbox = open_outbox(mailer)
    for _ in range(3):
        outbox.submit(_mail, lambda *outcome: told.append(outcome))
    assert mailer.entered.wait(10)
    outbox.close(timeout=0.01)
    assert told == [("unsent", "the service was stopped")] * 2
    mailer.go.set()


def test_a_closed_outbox_takes_nothing(open_outbox):
    """A closed outbox does not accept mails, and reports that."""
    told = []
    outbox = open_outbox(_Mailer())
    outbox.close()
    outbox.submit(_mail, lambda *outcome: told.append(outcome))
    assert (told, outbox.is_open) == ([("unsent", "the outbox is full or closed")], False)


def test_flush_is_bounded(open_outbox):
    """A flush ends after its timeout."""
    mailer = _Mailer()
    mailer.go.clear()
    outbox = open_outbox(mailer)
    outbox.submit(_mail, _ignore)
    assert not outbox.flush(timeout=0.01)
    mailer.go.set()


def test_a_mail_waits_for_its_pause(open_outbox):
    """A mail is due after the pause and a random part of it."""
    mailer, now, parts = _Mailer(), [0.0], [1.0, 0.0]
    outbox = open_outbox(mailer, pause=10, clock=lambda: now[0], random=lambda: parts.pop(0))
    outbox.submit(lambda: _mail("after 20"), _ignore)
    outbox.submit(lambda: _mail("after 10"), _ignore)
    now[0] = 15.0  # the worker waits for seconds of the real clock
    assert outbox.stats() == OutboxStats(waiting=2)
    assert outbox.flush()
    assert mailer.sent == ["after 10", "after 20"]


def test_closing_does_not_wait_for_the_pause(open_outbox):
    """A mail that waits for its pause is sent when the outbox is closed."""
    mailer = _Mailer()
    outbox = open_outbox(mailer, pause=3600)
    outbox.submit(_mail, _ignore)
    outbox.close()
    assert mailer.sent == ["Hello"]


@pytest.mark.parametrize("options", [{"size": 0}, {"pause": -1}])
def test_outbox_checks_its_numbers(options):
    """A size of 0 and a negative pause are refused when the outbox is built."""
    with pytest.raises(ConfigurationError):
        Outbox(_Mailer(), **options)


def test_mails_name_the_product(open_outbox):
    """The subject of a mail has the product name."""
    mailer = _Mailer()
    outbox = open_outbox(mailer, product_name="Acme")
    outbox.submit(_mail, _ignore)
    assert outbox.flush()
    assert mailer.sent == ["Acme: Hello"]
