"""The state table of docs/identity.md, one test for each transition, over HTTP with a provider on loopback.

Mallory comes first, with Ann's address. Ann owns the mailbox, and comes later.
"""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.people import ANNS, EMAIL, MALLORY, NEW, Person, unlink
from identity.providers import code_for, hand_in, local_providers
from identity.support import ANN, ISSUER, PASSWORD, Page, service_at

pytestmark = pytest.mark.one_database  # the races of linking are tested on both databases


@pytest.fixture(scope="module")
def providers():
    with local_providers("github", "other") as made:
        yield made


@pytest.fixture
def events():
    """Return the list of audited events."""
    return []


@pytest.fixture
def service(url, clock, postbox, events):
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        yield service


@pytest.fixture
def app(service, providers):
    return Identity(service, providers=providers)


@pytest.fixture(params=["pages", "api"])
def face(request):
    """Return the way of the users: a browser, or an application that uses the API."""
    return request.param


@pytest.fixture
def mallory(app, service, postbox):
    return Person(app, service, postbox)


@pytest.fixture
def ann(app, service, postbox):
    return Person(app, service, postbox)


def prevented(events):
    """Return the reasons of the prevented takeovers, each of which names the account."""
    told = [event for event in events if event.name == "takeover_prevented"]
    assert all(event.user_id for event in told)
    return [event.reason for event in told]


class TestNothingProven:
    """An account of Mallory's with a password, whose address is not proven."""

    @pytest.fixture(autouse=True)
    def registered(self, mallory, face):
        mallory.register(face)

    def test_register(self, ann):
        """A second registration is refused."""
        assert ann.api.post("/v1/auth/register", json={**ANN, "password": NEW}).status_code == 409
        assert ann.login() == 200

    def test_login(self, mallory):
        """The password signs in."""
        assert mallory.login() == 200

    def test_link_in_the_same_browser(self, mallory, face, events):
        """The link in a browser of a signed-in user proves address and password, and ends nothing."""
        if face == "pages":
            assert mallory.verify_by_page().headers["location"] == "/account?notice=verified"
        else:
            mallory.verify_by_api()
        assert mallory.is_in(face)
        assert mallory.sign_in(ANNS, face)  # the password is proven: it does not end
        assert mallory.login() == 200
        assert prevented(events) == []

    def test_link_in_another_browser_asks(self, mallory, ann, face):
        """The page of the link asks another browser for the password, and a wrong one verifies nothing."""
        answer = ann.verify_by_page()
        assert answer.status_code == 422
        assert "Password: This is required." in Page(answer).words
        assert ann.verify_by_page(token=ann.token(), password="wrong").status_code == 422
        assert mallory.is_in(face)
        assert mallory.login() == 200
        assert not mallory.me()["email_verified"]

    def test_link_in_another_browser_with_the_password(self, mallory, ann, face):
        """The link in another browser with the password proves both, and ends nothing."""
        assert ann.verify_by_page(password=PASSWORD).headers["location"] == "/login?notice=verified"
        assert mallory.is_in(face)
        assert ann.sign_in(ANNS)
        assert ann.login() == 200

    def test_link_in_another_browser_with_a_new_password(self, mallory, ann, face):
        """The link in another browser with a new password replaces the password, and ends all sessions."""
        assert ann.verify_by_page(new_password=NEW).headers["location"] == "/login?notice=verified-password"
        assert not mallory.is_in(face)
        assert mallory.login() == 401
        assert ann.login(NEW) == 200
        assert ann.me()["email_verified"]

    def test_link_in_a_browser_of_another_account(self, ann, face):
        """The link in a browser with another account asks for the password."""
        bob = {"email": "bob@example.com", "password": PASSWORD}
        token = ann.token()
        assert ann.browser.post("/register", data=bob).status_code == 303
        assert ann.verify_by_page(token=token).status_code == 422
        answer = ann.verify_by_page(token=token, password=PASSWORD)
        assert "The address ann@example.com of another account is verified." in Page(answer).words

    def test_link_by_api(self, mallory, ann, face):
        """The link over the API verifies the address, and ends nothing, as documented."""
        ann.verify_by_api()
        assert mallory.is_in(face)
        assert mallory.login() == 200
        assert mallory.me()["email_verified"]

    def test_link_by_api_with_the_password(self, mallory, ann, face):
        """The link over the API with the password proves both, and a wrong password leaves the link valid."""
        body = {"token": ann.token(), "password": "wrong"}
        assert ann.api.post("/v1/auth/verify-email", json=body).status_code == 422
        ann.verify_by_api(password=PASSWORD)
        assert ann.sign_in(ANNS, face)
        assert ann.login() == 200

    def test_reset(self, mallory, ann, face):
        """A reset ends the password and all sessions, and verifies the address."""
        ann.reset(face)
        assert not mallory.is_in(face)
        assert (mallory.login(), ann.login(NEW)) == (401, 200)
        assert ann.me()["email_verified"]

    def test_provider_that_verifies(self, mallory, ann, face, events):
        """A provider that has verified the address is linked, and ends the password and all sessions."""
        assert ann.sign_in(ANNS, face)
        assert not mallory.is_in(face)
        assert mallory.login() == 401
        assert ann.is_in(face)
        text = ann.mail("GitHub was linked to your account").text
        assert "The password that the account had" in text
        assert "/forgot-password" in text
        assert "unlink GitHub in your account" in text
        assert prevented(events) == ["password"]

    def test_provider_that_does_not_verify(self, mallory, ann, face):
        """A provider that has not verified the address is refused, and ends nothing."""
        assert not ann.sign_in(MALLORY, face)
        assert mallory.is_in(face)

    def test_not_registered(self, mallory, ann, face):
        """Declining the registration deletes the account, and its address can be registered."""
        answer = ann.decline(face)
        assert answer.status_code == (303 if face == "pages" else 200)
        assert not mallory.is_in(face)
        assert mallory.login() == 401
        ann.register(face)
        assert ann.is_in(face)

    def test_not_registered_after_a_provider_has_verified(self, ann, face):
        """Declining the registration is refused after a provider has verified the address."""
        token = ann.token()
        assert ann.sign_in(ANNS, face)
        answer = ann.api.post("/v1/auth/verify-email/decline", json={"token": token})
        assert answer.json()["code"] == "invalid_link"
        assert ann.is_in(face)

    def test_not_registered_uses_the_link_up(self, ann, face):
        """Declining the registration uses up the link."""
        token = ann.token()
        ann.decline(face)
        answer = ann.api.post("/v1/auth/verify-email", json={"token": token})
        assert answer.json()["code"] == "invalid_link"


class TestProviderThatDoesNotVerify:
    """An account of Mallory's by a provider that does not verify addresses."""

    @pytest.fixture(autouse=True)
    def made(self, mallory, face):
        assert mallory.sign_in(MALLORY, face)

    def test_mail(self, ann, face):
        """The mail to the address has the link, the name of the provider, and advice."""
        text = ann.mail().text
        assert "signing in with GitHub" in text
        assert "If you did not register" in text

    def test_the_same_again(self, mallory, face):
        """The same provider account signs in again."""
        assert mallory.sign_in(MALLORY, face)

    def test_register(self, ann, face):
        """A registration is refused."""
        assert ann.api.post("/v1/auth/register", json=ANN).status_code == 409

    def test_link_in_the_same_browser(self, mallory, face, events):
        """The link in a browser of a signed-in user keeps the provider."""
        if face == "pages":
            assert mallory.verify_by_page().status_code == 303
        else:
            mallory.verify_by_api()
        assert mallory.is_in(face)
        assert mallory.sign_in(MALLORY, face)
        assert prevented(events) == []

    def test_link_in_another_browser_asks(self, mallory, ann, face):
        """The page of the link asks another browser for a new password, and offers a login."""
        answer = ann.verify_by_page()
        assert answer.status_code == 422
        page = Page(answer)
        assert [each["name"] for each in page.all("input") if each["type"] == "password"] == ["new_password"]
        assert "/login?next=/verify-email" in [each["href"] for each in page.all("a")]
        assert mallory.is_in(face)

    def test_link_in_another_browser_with_a_new_password(self, mallory, ann, face, events):
        """The link in another browser with a new password unlinks the provider, and ends all sessions."""
        assert ann.verify_by_page(new_password=NEW).status_code == 303
        assert not mallory.is_in(face)
        assert not mallory.sign_in(MALLORY, face)
        assert ann.login(NEW) == 200
        assert ann.providers() == []
        assert prevented(events) == ["identity"]

    def test_link_by_api(self, mallory, ann, face, events):
        """The link over the API unlinks the provider, ends its sessions, and causes a mail."""
        ann.verify_by_api()
        assert not mallory.is_in(face)
        assert "/forgot-password" in ann.mail("A provider was unlinked from your account").text
        assert not mallory.sign_in(MALLORY, face)
        assert prevented(events) == ["identity"]

    def test_reset(self, mallory, ann, face, events):
        """A reset unlinks the provider, and ends all sessions."""
        ann.reset(face)
        assert not mallory.is_in(face)
        assert not mallory.sign_in(MALLORY, face)
        assert ann.login(NEW) == 200
        assert prevented(events) == ["identity"]

    def test_provider_that_verifies(self, mallory, ann, face, events):
        """A provider that has verified the address is linked, and the unverified one is unlinked."""
        assert ann.sign_in(ANNS, face)
        assert not mallory.is_in(face)
        assert not mallory.sign_in(MALLORY, face)
        assert ann.is_in(face)
        assert "It was unlinked" in ann.mail("GitHub was linked to your account").text
        assert prevented(events) == ["identity"]

    def test_another_provider_that_does_not_verify(self, mallory, ann, face):
        """Another provider that has not verified the address is refused."""
        assert not ann.sign_in(code_for(7, EMAIL, verified=False), face, provider="other")
        assert mallory.is_in(face)

    def test_the_same_after_its_provider_has_verified(self, mallory, ann, face, events):
        """A provider that has later verified the address stays linked after a reset."""
        assert mallory.sign_in(code_for(666, EMAIL, verified=True), face)
        ann.reset(face)
        assert ann.sign_in(MALLORY, face)
        assert prevented(events) == []

    def test_the_same_with_another_address(self, mallory, ann, face):
        """A provider that has later verified another address is unlinked by a reset."""
        assert mallory.sign_in(code_for(666, "mallory@example.com", verified=True), face)
        ann.reset(face)
        assert not mallory.sign_in(MALLORY, face)

    def test_unlink(self, mallory, face):
        """The only provider of an account without a password cannot be unlinked."""
        assert unlink(mallory, face).status_code == 409
        assert mallory.sign_in(MALLORY, face)

    def test_not_registered(self, mallory, ann, face):
        """Declining the registration deletes the account and its link to the provider."""
        assert ann.decline(face).status_code in (200, 303)
        assert not mallory.is_in(face)
        ann.register(face)
        assert ann.is_in(face)
        assert not mallory.sign_in(MALLORY, face)


class TestAddressByMail:
    """An account with Mallory's password, whose address Ann has verified over the API."""

    @pytest.fixture(autouse=True)
    def verified(self, mallory, ann, face):
        mallory.register(face)
        ann.verify_by_api()

    def test_login(self, mallory):
        """The password signs in."""
        assert mallory.login() == 200

    def test_provider_that_verifies(self, mallory, ann, face, events):
        """A provider that has verified the address is linked, and ends the unproven password and sessions."""
        mallory.login()
        assert ann.sign_in(ANNS, face)
        assert not mallory.is_in("api")
        assert not mallory.is_in(face)
        assert mallory.login() == 401
        assert "The password that the account had" in ann.mail("GitHub was linked to your account").text
        assert prevented(events) == ["password"]

    def test_provider_that_verifies_after_a_change_of_the_password(self, mallory, ann, face):
        """A change of an unproven password does not prove it."""
        mallory.login()
        body = {"current_password": PASSWORD, "new_password": NEW}
        assert mallory.api.post("/v1/auth/change-password", json=body).status_code == 200
        assert ann.sign_in(ANNS, face)
        assert mallory.login(NEW) == 401
        assert not mallory.is_in("api")

    def test_refresh_after_the_provider(self, mallory, ann, face):
        """A refresh token from before the link to a provider is refused."""
        before = mallory.api.post("/v1/auth/login", json=ANN).json()["refresh_token"]
        assert ann.sign_in(ANNS, face)
        answer = mallory.api.post("/v1/auth/refresh", json={"refresh_token": before})
        assert answer.status_code == 401

    def test_provider_that_does_not_verify(self, mallory, face):
        """A provider that has not verified the address is refused."""
        assert not mallory.sign_in(MALLORY, face)

    def test_reset(self, mallory, ann, face):
        """A reset ends the password and all sessions, and proves the new password."""
        ann.reset(face)
        assert not mallory.is_in(face)
        assert ann.sign_in(ANNS, face)
        assert (mallory.login(), ann.login(NEW)) == (401, 200)

    def test_not_registered(self, ann, face):
        """Declining the registration is refused for a verified account."""
        assert ann.decline(face).status_code == 400
        assert ann.login() == 200


class TestAddressAndPassword:
    """An account whose owner has proven address and password together."""

    @pytest.fixture(autouse=True)
    def proven(self, ann, face):
        ann.register(face)
        assert ann.verify_by_page(password=PASSWORD).status_code == 303

    def test_provider_that_verifies(self, ann, face, events):
        """A provider that has verified the address is linked, ends nothing, and causes a mail."""
        assert ann.sign_in(ANNS, face)
        assert ann.login() == 200
        assert "password that the account had" not in ann.mail("GitHub was linked to your account").text
        assert [event.name for event in events if event.name == "link"] == ["link"]
        assert prevented(events) == []

    def test_provider_that_does_not_verify(self, mallory, face):
        """A provider that has not verified the address is refused."""
        assert not mallory.sign_in(MALLORY, face)

    def test_change_of_the_password(self, ann, face):
        """A proven password that is changed stays proven."""
        ann.login()
        body = {"current_password": PASSWORD, "new_password": NEW}
        assert ann.api.post("/v1/auth/change-password", json=body).status_code == 200
        assert ann.sign_in(ANNS, face)
        assert ann.login(NEW) == 200

    def test_reset(self, ann, face):
        """A reset keeps a provider that has verified the address."""
        assert ann.sign_in(ANNS, face)
        ann.reset(face)
        ann.login(NEW)
        assert ann.providers() == ["github"]

    def test_unlink(self, ann, face, events):
        """Unlinking a provider ends all other sessions, and causes a mail."""
        other = TestClient(ann.browser.app, base_url=ISSUER)
        token = hand_in(other, ANNS).json()["access_token"]
        assert ann.sign_in(ANNS, face)
        assert unlink(ann, face).status_code in (200, 303)
        assert ann.is_in(face)
        other.headers["authorization"] = f"Bearer {token}"
        assert other.get("/v1/users/me").status_code == 401
        ann.login()
        assert ann.providers() == []
        assert ann.mail("GitHub was unlinked from your account").to == EMAIL
        assert [event.name for event in events if event.name == "unlink"] == ["unlink"]

    def test_unlinking_what_is_not_linked(self, ann, face):
        """Unlinking a provider that is not linked is 404."""
        assert ann.sign_in(ANNS, face)
        assert unlink(ann, face, "other").status_code == 404


class TestAddressByProvider:
    """An account by a provider that has verified the address, without a password."""

    @pytest.fixture(autouse=True)
    def made(self, ann, face):
        assert ann.sign_in(ANNS, face)

    def test_mail(self, ann):
        """The owner of the address gets a mail about the link."""
        assert ann.mail("GitHub was linked to your account").to == EMAIL

    def test_the_same_again_sends_no_mail(self, ann, postbox, service, face):
        """A second sign-in with the same provider sends no mail."""
        ann.mail("GitHub was linked to your account")
        assert ann.sign_in(ANNS, face)
        assert service.outbox.flush()
        assert len(postbox.mails) == 1

    def test_another_provider_that_verifies(self, ann, face, events):
        """Another provider that has verified the address is linked, and ends nothing."""
        assert ann.sign_in(code_for(2, EMAIL, verified=True), "api", provider="other")
        assert ann.providers() == ["github", "other"]
        assert ann.is_in(face)
        assert prevented(events) == []

    def test_provider_that_does_not_verify(self, mallory, face):
        """A provider that has not verified the address is refused."""
        assert not mallory.sign_in(MALLORY, face)

    def test_reset(self, ann, face):
        """A reset sets the first password, keeps the provider, and its mail names the provider."""
        ann.reset(face)
        assert "Signing in with GitHub leads" in ann.mail("Your password was changed").text
        assert ann.login(NEW) == 200
        assert ann.providers() == ["github"]

    def test_unlink_of_the_only_one(self, ann, face):
        """The only provider of an account without a password cannot be unlinked, with the reason shown."""
        answer = unlink(ann, face)
        assert answer.status_code == 409
        assert "only way to sign in" in answer.text
        assert ann.sign_in(ANNS, face)

    def test_unlink_of_one_of_two(self, ann, face):
        """One of two providers can be unlinked, and the other one cannot."""
        assert ann.sign_in(code_for(2, EMAIL, verified=True), face, provider="other")
        assert unlink(ann, face).status_code in (200, 303)
        assert unlink(ann, face, "other").status_code == 409

    def test_unlinked_provider_that_verifies_joins_again(self, ann, face):
        """A provider that has verified the address is linked again after it was unlinked."""
        ann.reset(face)
        assert ann.sign_in(ANNS, face)
        unlink(ann, face)
        assert ann.sign_in(ANNS, face)


@pytest.mark.parametrize("path", ["/verify-email/decline", "/account/providers/unlink"])
def test_only_this_site_sends_the_forms(app, ann, path):
    """Forms from another site are refused."""
    assert ann.sign_in(ANNS)
    answer = ann.browser.post(path, data={"provider": "github"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_providers_are_listed_on_the_page(ann):
    """The page of the account lists each provider, with a button."""
    assert ann.sign_in(ANNS)
    page = Page(ann.browser.get("/account"))
    assert "GitHub Linked" in page.words
    assert "Unlink GitHub" in [each.get("aria-label") for each in page.all("button")]


def test_owner_is_known_by_the_refresh_cookie(ann, clock):
    """A browser whose access token has expired is known by its refresh cookie, and gets new cookies."""
    ann.register("pages")
    clock.go_on(28_801)
    ann.ask_for_link()
    token = ann.token()
    assert ann.browser.get(f"/verify-email?token={token}").status_code == 303
    page = ann.browser.get("/verify-email")
    assert "access_token" in page.headers["set-cookie"]
    assert not [each for each in Page(page).all("input") if each["type"] == "password"]
    assert ann.browser.post("/verify-email").headers["location"] == "/account?notice=verified"


def test_guesses_of_the_password_with_a_link_are_limited(url, providers, postbox):
    """Wrong passwords with a link are limited."""
    with service_at(url, postbox=postbox, limits=None) as service:
        app = Identity(service, providers=providers)
        ann = Person(app, service, postbox)
        ann.register()
        body = {"token": ann.token(), "password": "wrong"}
        client = TestClient(app, base_url=ISSUER)
        answers = [client.post("/v1/auth/verify-email", json=body).status_code for _ in range(11)]
        assert answers == [422] * 10 + [429]


def test_strict_verification(url, providers, postbox):
    """With `verify_needs_password`, the API refuses a token without the password or a session."""
    with service_at(url, postbox=postbox, verify_needs_password=True) as service:
        app = Identity(service, providers=providers)
        mallory, ann = Person(app, service, postbox), Person(app, service, postbox)
        mallory.register()
        token = {"token": ann.token()}
        assert ann.api.post("/v1/auth/verify-email", json=token).status_code == 422
        assert not mallory.me()["email_verified"]
        mallory.verify_by_api()
        assert mallory.me()["email_verified"]


def test_verification_mail_without_pages(url, providers, postbox):
    """Without pages, the verification mail mentions no button."""
    with service_at(url, postbox=postbox, pages=False) as service:
        ann = Person(Identity(service, providers=providers), service, postbox)
        ann.register()
        text = ann.mail().text
        assert "do not verify it" in text
        assert "press" not in text


def test_account_by_an_operator(service, app, ann):
    """A password that an operator has set is proven only if the address was verified."""
    for verified, status in ((True, 200), (False, 401)):
        email = f"{verified}@example.com".lower()
        service.accounts.create(email, PASSWORD, verified=verified)
        assert ann.sign_in(code_for(10 + verified, email, verified=True))
        answer = ann.api.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == status


def test_disabled_account_is_not_joined(service, mallory, ann):
    """A provider is not linked to a disabled account, and ends nothing there."""
    mallory.register()
    user = service.accounts.find(EMAIL)
    service.accounts.disable(user.id)
    assert hand_in(ann.api, ANNS).status_code == 401
    service.accounts.disable(user.id, disabled=False)
    assert mallory.login() == 200
