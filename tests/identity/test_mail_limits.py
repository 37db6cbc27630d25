"""Limits on the mails to one owner, which other users' requests do not use up."""

import pytest

from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.mail.addresses import mailbox_key
from authguard.identity.model import Caller
from identity.support import ANN, CALLER, PASSWORD, service_at
from identity.test_address_changes import token_to
from identity.test_sessions import principal_of

pytestmark = pytest.mark.one_database  # counts of mails do not depend on the database

MOST = DEFAULT_LIMITS["mail_account"].count


@pytest.fixture
def events():
    """Return the list of audited events."""
    return []


@pytest.fixture
def limited(url, postbox, events):
    """Run a service with the default limits."""
    with service_at(url, postbox=postbox, limits=None, hook=events.append) as service:
        yield service


def stranger(number):
    """Return a caller from a network of its own."""
    return Caller(f"198.51.100.{number}", "tests")


def subjects(service, postbox):
    """Return the subjects of all mails so far."""
    assert service.outbox.flush()
    return [mail.subject for mail in postbox.mails]


@pytest.mark.slow
def test_strangers_do_not_keep_an_owner_from_a_reset(limited, postbox):
    """After many verification mails that others asked for, the owner still gets a reset mail."""
    limited.accounts.create(ANN["email"], PASSWORD, verified=False)
    for number in range(30):
        limited.links.resend_verification(ANN["email"], stranger(number))
        assert limited.outbox.flush()  # otherwise one mail answers all of them
    limited.links.request_password_reset(ANN["email"], CALLER)
    sent = subjects(limited, postbox)
    assert sent.count("Verify your e-mail address") == MOST
    assert sent.count("Set a new password") == 1


@pytest.mark.slow
@pytest.mark.parametrize("ask", ["request_password_reset", "resend_verification"])
def test_beyond_the_limit_the_answer_stays_the_same(limited, postbox, events, ask):
    """Beyond the limit a request for a mail is answered alike, no mail is sent, and an event reports that."""
    user = limited.accounts.create(ANN["email"], PASSWORD, verified=False)
    for number in range(MOST + 5):
        getattr(limited.links, ask)(ANN["email"], stranger(number))
        assert limited.outbox.flush()
    assert len(subjects(limited, postbox)) == MOST
    told = [(event.reason, event.user_id) for event in events if event.name == "mail"]
    assert sorted(told) == [("", user.id)] * MOST + [("limit", user.id)] * 5


@pytest.mark.slow
def test_mails_that_are_not_sent_count_for_nothing(limited, postbox):
    """Requests that send no mail, because the address is verified, do not count against the limit."""
    limited.accounts.create(ANN["email"], PASSWORD, verified=True)
    for number in range(30):
        limited.links.resend_verification(ANN["email"], stranger(number))
        assert limited.outbox.flush()  # otherwise one mail answers all of them
    assert subjects(limited, postbox) == []
    limited.links.request_password_reset(ANN["email"], CALLER)
    assert subjects(limited, postbox) == ["Set a new password"]


@pytest.mark.slow
def test_registrations_with_tags_count_for_one_mailbox(limited, postbox):
    """Registrations with tags in the address count together for one mailbox."""
    for number in range(MOST + 5):
        limited.accounts.register(f"ann+{number}@example.com", PASSWORD, "", stranger(number))
    assert len(subjects(limited, postbox)) == MOST


@pytest.mark.slow
def test_notices_to_an_owner_are_counted(url, postbox, clock):
    """Registrations with a known address send its owner no more mails than the limit."""
    with service_at(url, postbox=postbox, limits=None, enumeration_safe=True) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        for number in range(MOST + 5):
            service.accounts.register(ANN["email"], PASSWORD, "", stranger(number))
            assert service.outbox.flush()
        assert subjects(service, postbox) == ["You have an account already"] * MOST


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann+tag@example.com", "ann@example.com"),
        ("ann+a+b@example.com", "ann@example.com"),
        ("+ann@example.com", "@example.com"),
        ("Ann+X@Example.com", "ann@example.com"),
    ],
)
def test_mailbox_of_an_address(address, expected):
    """The tag of an address is no part of its mailbox."""
    assert mailbox_key(address) == expected


@pytest.mark.slow
def test_strangers_keep_no_notice_of_another_address_from_its_owner(url, postbox):
    """After many refused registrations the owner still gets the mails about a change of address."""
    with service_at(url, postbox=postbox, limits=None, enumeration_safe=True) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        for number in range(MOST + 1):
            service.accounts.register(ANN["email"], PASSWORD, "", stranger(number))
            assert service.outbox.flush()  # otherwise one mail answers all of them
        assert subjects(service, postbox).count("You have an account already") == MOST
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        principal = principal_of(service, tokens.access_token)
        service.address_changes.ask(principal, "ann@new.example", PASSWORD, CALLER)
        assert service.outbox.flush()
        service.address_changes.change(token_to("ann@new.example", postbox), CALLER, principal=principal)
        told = subjects(service, postbox)
    assert "Your e-mail address is about to change" in told
    assert "Your e-mail address was changed" in told


@pytest.mark.slow
def test_strangers_cause_few_notices_of_another_address(limited, postbox):
    """Mails about changes of address are limited for all accounts of one mailbox together."""
    for number in range(MOST + 1):
        tokens = limited.accounts.register(f"ann+{number}@example.com", PASSWORD, "", stranger(number))
        principal = principal_of(limited, tokens.access_token)
        address = f"eve{number}@example.org"
        limited.address_changes.ask(principal, address, PASSWORD, stranger(number))
        assert limited.outbox.flush()
        limited.address_changes.change(token_to(address, postbox), stranger(number), principal=principal)
    told = [subject for subject in subjects(limited, postbox) if subject.startswith("Your e-mail address")]
    assert len(told) == MOST
