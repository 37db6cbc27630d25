"""Addresses that look like the address of an account, and do not give access to it."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.errors import (
    EmailTakenError,
    InvalidCredentialsError,
    LinkRefusedError,
    SimilarAddressError,
)
from authguard.identity.limits import Limit
from authguard.identity.mail.addresses import email_key, is_same_address, lookup_address, parse_email
from authguard.identity.model import SocialIdentity
from identity.providers import code_for, come_back, hand_in, local_providers
from identity.support import CALLER, GENEROUS, PASSWORD, Postbox, browser, service_at

pytestmark = pytest.mark.one_database  # the reading of addresses does not depend on the database

ALIKE = {
    "sharp s in the domain": ("victim@faß.de", "victim@fass.de"),
    "sharp s, the other way round": ("victim@fass.de", "victim@faß.de"),
    "sharp s in its ASCII form": ("victim@fass.de", "victim@xn--fa-hia.de"),
    "final sigma in the domain": ("victim@βόλος.gr", "victim@βόλοσ.gr"),
    "sharp s in the local part": ("straße@example.com", "strasse@example.com"),
    "long s in the local part": ("sam@example.com", "ſam@example.com"),
    "full-width letter in the local part": ("ann@example.com", "\uff41nn@example.com"),
    "ligature in the local part": ("office@example.com", "o\ufb03ce@example.com"),
    "case of a letter that is not ASCII": ("ünn@example.com", "Ünn@example.com"),
    "Roman numeral in the local part": ("victor@example.com", "\u2174ictor@example.com"),
}
REFUSED = [
    "case of a letter that is not ASCII",
    "full-width letter in the local part",
    "sharp s in the domain",
]
SAME = {
    "the same text": ("ann@example.com", "ann@example.com"),
    "case of ASCII letters": ("ann@example.com", "Ann@Example.COM"),
    "domain in its ASCII form": ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    "domain in capitals": ("ann@bücher.example", "ANN@BÜCHER.example"),
    "full-width letter in the domain": ("ann@example.com", "ann@\uff45xample.com"),
    "decomposed accent": ("rené@example.com", "rene\u0301@example.com"),
}


def social(address):
    """Return a provider's sign-in with a verified address."""
    return SocialIdentity("github", "1", address, email_verified=True)


@pytest.mark.parametrize(("kept", "given"), ALIKE.values(), ids=ALIKE)
class TestAlike:
    """An address that only looks like that of an account."""

    def test_is_one_key_and_two_addresses(self, kept, given):
        """A similar address has the key of the account, and is a different address."""
        assert email_key(parse_email(kept)) == email_key(parse_email(given)) or "final" in given
        assert not is_same_address(parse_email(kept), lookup_address(given))

    def test_is_not_linked(self, service, kept, given):
        """A provider's sign-in with a similar verified address is not linked to the account."""
        service.accounts.create(kept, PASSWORD)
        with pytest.raises(SimilarAddressError, match="looks like") as caught:
            service.sign_in_with(social(given))
        assert isinstance(caught.value, LinkRefusedError)

    def test_does_not_sign_in(self, service, kept, given):
        """A login with a similar address and the right password is refused."""
        service.accounts.create(kept, PASSWORD)
        with pytest.raises(InvalidCredentialsError):
            service.accounts.login(given, PASSWORD, CALLER)

    def test_is_not_registered_beside_it(self, service, kept, given):
        """An account with a similar address cannot be created."""
        service.accounts.create(kept, PASSWORD)
        with pytest.raises(EmailTakenError):
            service.accounts.create(given, PASSWORD)

    def test_is_sent_no_mail(self, service, postbox, kept, given):
        """A similar address gets no mail."""
        service.accounts.create(kept, PASSWORD)
        service.links.request_password_reset(given, CALLER)
        service.links.resend_verification(given, CALLER)
        service.outbox.close()
        assert postbox.mails == []

    def test_is_no_name_for_an_operator(self, service, kept, given):
        """An operator's search for a similar address finds no account."""
        service.accounts.create(kept, PASSWORD)
        assert service.accounts.find(given) is None


@pytest.mark.slow
@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_similar_address_is_refused_with_the_reason(url, name, safe):
    """The answer and the page name the reason, and no mail is announced that is never sent."""
    postbox, (kept, given) = Postbox(), ALIKE[name]
    with (
        service_at(url, postbox=postbox, enumeration_safe=safe) as service,
        local_providers("github") as providers,
    ):
        service.accounts.create(kept, PASSWORD)
        app = Identity(service, providers=providers)
        answer = hand_in(TestClient(app), code_for(4, given, verified=True))
        assert (answer.status_code, answer.json()["code"]) == (409, "link_refused")
        assert answer.json()["detail"] == SimilarAddressError.detail
        page = come_back(browser(app), code_for(4, given, verified=True))
        assert page.status_code == 409
        assert "too similar to that of another account" in page.text
        assert "not verified" not in page.text
        assert "password sent" not in page.text
        assert service.outbox.flush()
        assert postbox.mails == []
        assert service.audit.counts() == {("create", "success"): 1, ("social", "link_refused"): 2}


@pytest.fixture(name="safe")
def _safe(url, postbox, clock):
    """Return a service whose answers do not disclose which addresses are known."""
    limits = GENEROUS | {"mail_account": Limit(2, 3600)}
    with service_at(url, clock=clock, postbox=postbox, enumeration_safe=True, limits=limits) as service:
        yield service


def registered(service, postbox, address):
    """Return the recipients and subjects of the mails after a registration."""
    postbox.mails.clear()
    assert service.accounts.register(address, PASSWORD, "Ann", CALLER) is None
    assert service.mails.run()
    return [(mail.to, mail.subject) for mail in postbox.mails]


@pytest.mark.parametrize(("kept", "given"), ALIKE.values(), ids=ALIKE)
def test_the_owner_of_a_similar_address_is_told(safe, postbox, kept, given):
    """A registration with a similar address gets a mail to that address, which explains the next step."""
    safe.accounts.create(kept, PASSWORD)
    if email_key(parse_email(kept)) == email_key(parse_email(given)):
        subject = "Please register with another address"
        assert registered(safe, postbox, given) == [(parse_email(given), subject)]
        assert "too similar to that of another account" in postbox.mails[0].text
        assert kept not in postbox.mails[0].text
    assert registered(safe, postbox, kept) == [(parse_email(kept), "You have an account already")]


def test_mails_to_similar_addresses_are_limited(safe, postbox):
    """Mails to similar addresses count as those to the account."""
    safe.accounts.create("ann@example.com", PASSWORD)
    spellings = ["\uff41nn@example.com", "a\uff4en@example.com", "an\uff4e@example.com"]
    assert [len(registered(safe, postbox, address)) for address in spellings] == [1, 1, 0]
    assert registered(safe, postbox, "ann@example.com") == []


def test_a_mail_to_a_similar_address_is_tried_again(safe, postbox, clock):
    """A mail to a similar address that could not be sent is sent there later, and counted once."""
    user = safe.accounts.create("ann@example.com", PASSWORD)
    postbox.broken = True
    safe.accounts.register("\uff41nn@example.com", PASSWORD, "Ann", CALLER)
    assert not safe.mails.run()
    (waiting,) = safe.mails.list()
    assert (waiting.user_id, waiting.address) == (user.id, "\uff41nn@example.com")
    postbox.broken = False
    clock.go_on(60)
    assert safe.mails.run()
    assert [mail.to for mail in postbox.mails] == ["\uff41nn@example.com"]


@pytest.mark.parametrize("text", ["\u212aim@example.com", "\uff21nn@\u212aim.example", "a\u212a@example.com"])
def test_a_letter_in_disguise_is_no_address(text):
    """A local part of other letters does not become ASCII by normalisation."""
    address = parse_email(text)
    assert address is None or not address.rpartition("@")[0].isascii()


@pytest.mark.parametrize(("kept", "given"), SAME.values(), ids=SAME)
class TestSame:
    """Another spelling of the same address."""

    def test_signs_in_and_is_found(self, service, kept, given):
        """The account signs in and is found with each spelling."""
        user = service.accounts.create(kept, PASSWORD)
        assert service.accounts.login(given, PASSWORD, CALLER).user.id == user.id
        assert service.accounts.find(given).id == user.id

    def test_is_linked(self, service, kept, given):
        """A provider's sign-in with another spelling signs in to the account."""
        user = service.accounts.create(kept, PASSWORD)
        assert service.sign_in_with(social(given)).user.id == user.id
