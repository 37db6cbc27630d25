"""Repeated requests for a waiting mail: no mail is lost, and none is sent twice."""

import pytest

from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.model import Caller
from authguard.identity.usecases.mails.queue import MAX_PAUSE
from identity.support import PASSWORD, service_at

pytestmark = pytest.mark.slow

EMAIL = "owner@example.com"
#: The number of requests: more than one mailbox may get mails of one kind.
TIMES = DEFAULT_LIMITS["mail_account"].count + 2


def ask(service, number):
    """Ask from a network address of its own, as other callers can."""
    service.links.request_password_reset(EMAIL, Caller(f"192.0.2.{number}"))


def recover(service, clock, postbox):
    """Let the mail server accept mails again, and send those that wait."""
    postbox.broken = False
    clock.go_on(MAX_PAUSE)
    service.mails.step()
    assert service.outbox.flush()


def test_asking_again_in_an_outage_loses_nothing(url, clock, postbox):
    """Requests during an outage of the mail server lead to one mail after it."""
    with service_at(url, clock=clock, postbox=postbox, limits={}) as service:
        service.accounts.create(EMAIL, PASSWORD)
        postbox.broken = True
        for number in range(TIMES):
            ask(service, number)
            assert service.outbox.flush()
            clock.go_on(1)
        recover(service, clock, postbox)
        assert [mail.to for mail in postbox.mails] == [EMAIL]


def test_asking_again_during_a_try_that_fails_loses_nothing(url, clock, postbox):
    """Requests while an attempt fails lead to one mail, and the attempts count once."""
    numbers = iter(range(1, TIMES))
    with service_at(url, clock=clock, postbox=postbox, limits={}) as service:
        service.accounts.create(EMAIL, PASSWORD)
        postbox.broken = True
        keep = postbox.send

        def send(mail):
            if (number := next(numbers, None)) is not None:
                clock.go_on(1)
                ask(service, number)
            keep(mail)

        postbox.send = send
        ask(service, 0)
        while service.mails.list()[0].try_at <= clock():
            service.mails.step()
            assert service.outbox.flush()
        assert next(numbers, None) is None
        recover(service, clock, postbox)
        assert [mail.to for mail in postbox.mails] == [EMAIL]


def test_asking_again_after_each_mail_reaches_the_limit(url, clock, postbox):
    """Requests after each mail are limited."""
    with service_at(url, clock=clock, postbox=postbox, limits={}) as service:
        service.accounts.create(EMAIL, PASSWORD)
        for number in range(TIMES):
            ask(service, number)
            assert service.outbox.flush()
        assert len(postbox.mails) == TIMES - 2
        assert service.mails.list() == []


def test_asking_again_during_each_mail_reaches_the_limit(url, clock, postbox):
    """Requests while the mail before is sent are limited."""
    numbers = iter(range(1, TIMES))
    with service_at(url, clock=clock, postbox=postbox, limits={}) as service:
        service.accounts.create(EMAIL, PASSWORD)
        keep = postbox.send

        def send(mail):
            keep(mail)
            if (number := next(numbers, None)) is not None:
                clock.go_on(1)
                ask(service, number)

        postbox.send = send
        ask(service, 0)
        assert service.outbox.flush()
        assert len(postbox.mails) == TIMES - 2


def test_retrying_all_leaves_those_that_are_being_sent(url, clock, postbox):
    """A retry of all mails leaves out those that are being sent, and each arrives once."""
    retried = []
    with service_at(url, clock=clock, postbox=postbox) as service:
        service.accounts.create(EMAIL, PASSWORD)
        keep = postbox.send

        def send(mail):
            retried.append(service.mails.retry())
            keep(mail)

        postbox.send = send
        ask(service, 0)
        assert service.outbox.flush()
        assert (retried, len(postbox.mails)) == ([0], 1)
