"""Missing and unverified addresses of providers: the answers, the mails, and the way to sign in."""

import pytest

from authguard.identity import Identity
from identity.people import ANNS, EMAIL, MALLORY, NEW, Person
from identity.providers import code_for, come_back, hand_in, local_providers
from identity.support import Page, service_at

pytestmark = pytest.mark.one_database  # mails and pages do not depend on the database


@pytest.fixture(scope="module")
def providers():
    with local_providers("github", "other") as made:
        yield made


@pytest.fixture
def events():
    return []


@pytest.fixture(params=[False, True], ids=["open", "safe"])
def waiting(request, url, clock, postbox, events, providers):
    """Run a service that requires verified addresses; yield the service and two users."""
    given = {"enumeration_safe" if request.param else "require_verified_email": True}
    with service_at(url, clock=clock, postbox=postbox, hook=events.append, **given) as service:
        app = Identity(service, providers=providers)
        yield service, [Person(app, service, postbox) for _ in range(2)]


@pytest.fixture
def ann(service, postbox, providers):
    return Person(Identity(service, providers=providers), service, postbox)


class TestNoAddress:
    """A provider that returns no address."""

    def test_page(self, ann):
        """The page names the missing address, and mentions no account."""
        answer = come_back(ann.browser, code_for(1, None, verified=False))
        assert answer.status_code == 403
        words = Page(answer).words
        assert "The provider sent no usable e-mail address" in words
        assert "There is an account" not in words

    def test_api(self, ann):
        """The API answers with the code no_address."""
        answer = hand_in(ann.api, code_for(1, None, verified=False))
        assert (answer.status_code, answer.json()["code"]) == (403, "no_address")

    def test_one_that_is_linked_signs_in(self, ann):
        """A provider account that is linked signs in without an address."""
        assert ann.sign_in(ANNS)
        assert ann.sign_in(code_for(1, None, verified=False))

    def test_no_mail_is_sent(self, ann, service, postbox):
        """A sign-in without an address sends no mail."""
        come_back(ann.browser, code_for(1, None, verified=False))
        assert service.outbox.flush()
        assert postbox.mails == []


class TestAddressThatHasToBeVerified:
    """A provider that does not verify addresses, at a service that requires verified ones."""

    def test_a_mail_is_sent_and_the_page_says_so(self, waiting):
        """Each sign-in sends the verification mail, and the page mentions the mail."""
        service, (ann, _) = waiting
        for count in (1, 2):
            answer = come_back(ann.browser, MALLORY)
            assert answer.status_code == 403
            page = Page(answer)
            assert "follow the link in the mail" in page.words
            assert "/verify-email" in [each.get("href") for each in page.all("a")]
            assert service.outbox.flush()
            assert [mail.subject for mail in ann._postbox.mails] == ["Verify your e-mail address"] * count

    def test_the_link_in_the_same_browser_keeps_the_provider(self, waiting):
        """The link in the browser that signed in with the provider keeps the provider."""
        _, (ann, _) = waiting
        come_back(ann.browser, MALLORY)
        assert ann.verify_by_page().headers["location"] == "/login?notice=verified"
        assert come_back(ann.browser, MALLORY).status_code == 303
        assert ann.is_in()

    def test_the_link_in_another_browser_asks(self, waiting):
        """The link in another browser asks for a new password, and unlinks the provider."""
        _, (mallory, ann) = waiting
        come_back(mallory.browser, MALLORY)
        token = ann.token()
        assert ann.verify_by_page(token).status_code == 422
        assert ann.verify_by_page(token, new_password=NEW).status_code == 303
        assert come_back(mallory.browser, MALLORY).status_code in (403, 409)
        assert ann.login(NEW) == 200

    def test_the_cookie_of_another_account_is_of_no_use(self, waiting):
        """The cookie of another account's sign-in does not prove an account with the link."""
        _, (mallory, ann) = waiting
        come_back(ann.browser, MALLORY)
        token = ann.token()
        come_back(mallory.browser, code_for(667, "mallory@example.com", verified=False))
        assert mallory.verify_by_page(token).status_code == 422

    def test_the_cookie_ends_with_the_link(self, waiting, clock):
        """The cookie of a sign-in expires with the link, after an hour."""
        _, (ann, _) = waiting
        come_back(ann.browser, MALLORY)
        clock.go_on(3_601)
        come_back(Person(ann.browser.app, ann._service, ann._postbox).browser, MALLORY)
        assert ann.verify_by_page().status_code == 422

    def test_a_later_claim_is_taken_up(self, waiting):
        """A later sign-in with a verified address succeeds."""
        _, (ann, _) = waiting
        assert come_back(ann.browser, MALLORY).status_code == 403
        assert come_back(ann.browser, code_for(666, EMAIL, verified=True)).status_code == 303
        assert ann.is_in()


@pytest.mark.parametrize("waiting", [True], indirect=True, ids=["safe"])
def test_answers_do_not_tell_whether_there_is_an_account(waiting):
    """With `enumeration_safe`, known and unknown addresses get the same fields, cookies and page."""
    service, (ann, mallory) = waiting
    service.accounts.create(EMAIL, NEW)
    known = come_back(ann.browser, MALLORY)
    unknown = come_back(mallory.browser, code_for(667, "new@example.com", verified=False))
    assert known.status_code == unknown.status_code == 403
    assert known.text == unknown.text
    shapes = [
        [(name, len(value)) for name, value in answer.headers.multi_items()] for answer in (known, unknown)
    ]
    assert shapes[0] == shapes[1]


class TestAddressOfAnAccount:
    """A provider that has not verified the address, which belongs to another user's account."""

    @pytest.fixture(autouse=True)
    def squatted(self, ann, service, postbox, providers):
        self.mallory = Person(Identity(service, providers=providers), service, postbox)
        self.mallory.register()

    def test_page_says_how_to_go_on(self, ann):
        """The page names the unverified address, and links to the reset of the password."""
        answer = come_back(ann.browser, code_for(1, EMAIL, verified=False))
        assert answer.status_code == 409
        page = Page(answer)
        assert "which the provider has not verified" in page.words
        assert "/forgot-password" in [each.get("href") for each in page.all("a")]

    def test_owner_is_told_by_mail_and_gets_in(self, ann):
        """The owner gets a mail with the link to a reset, which ends the other user's access."""
        come_back(ann.browser, code_for(1, EMAIL, verified=False))
        text = ann.mail("You have an account already").text
        assert "sign in with GitHub, which has not verified this e-mail address" in text
        assert "/forgot-password" in text
        ann.reset()
        assert ann.login(NEW) == 200
        assert self.mallory.login() == 401
        assert not self.mallory.is_in("api")

    def test_owner_with_a_provider_that_verifies_is_not_blocked(self, ann):
        """A provider that has verified the address signs the owner in, and ends the other user's access."""
        assert ann.sign_in(ANNS)
        assert ann.is_in()
        assert self.mallory.login() == 401
        assert not self.mallory.is_in("api")


def test_disabled_account(service, ann):
    """A sign-in to a disabled account gets a page that says that, and mentions no password."""
    assert ann.sign_in(ANNS)
    service.accounts.disable(service.accounts.find(EMAIL).id)
    answer = come_back(ann.browser, ANNS)
    assert answer.status_code == 401
    words = Page(answer).words
    assert "The account is disabled" in words
    assert "password" not in words
