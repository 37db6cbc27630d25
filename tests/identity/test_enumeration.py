"""With `enumeration_safe`, no answer reveals whether an address has an account."""

import re

import pytest

from authguard.errors import RefusedError
from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.model import SocialIdentity
from authguard.identity.social.provider import Provider
from identity.support import (
    CALLER,
    GENEROUS,
    ISSUER,
    PASSWORD,
    Clock,
    CountingHasher,
    browser,
    service_at,
    settings,
)

pytestmark = pytest.mark.slow_on_postgresql

NEW, KNOWN, WAITING, DISABLED = "new@example.com", "ann@example.com", "eve@example.com", "off@example.com"
ALL = [NEW, KNOWN, WAITING, DISABLED]
OTHER = "OtherPass456!"


class Elsewhere(Provider):
    """A provider that returns the address and the verification that a test sets."""

    email, verified = NEW, False

    def __init__(self):
        own = [f"{ISSUER}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")]
        super().__init__("op", "id", "s3cret", redirect_uris=own, scope="x", auth_method="none")

    def authorize_url(self, *, state, **_):
        """Return the same URL for each user."""
        return f"https://op.example/authorize?state={state}"

    def exchange(self, code, redirect_uri, **_):
        """Return an identity with the current address."""
        return SocialIdentity("op", f"u {self.email}", self.email, self.verified, "Mona")


@pytest.fixture
def hasher():
    return CountingHasher()


@pytest.fixture
def service(url, hasher, postbox):
    service = IdentityService(
        settings(url, enumeration_safe=True),
        mailer=postbox,
        hasher=hasher,
        limiter=Limiter(limits=GENEROUS),
        clock=Clock(),
    )
    service.accounts.create(KNOWN, PASSWORD)
    service.accounts.create(WAITING, PASSWORD, verified=False)
    service.accounts.disable(service.accounts.create(DISABLED, PASSWORD).id)
    yield service
    service.close()


@pytest.fixture
def provider():
    provider = Elsewhere()
    yield provider
    provider.close()


@pytest.fixture
def app(service, provider):
    return Identity(service, providers=[provider])


def shown(response, email):
    """Return the parts of a response that could depend on the account."""
    fields = {name: value for name, value in response.headers.items() if name != "content-length"}
    if "set-cookie" in fields:
        names = re.sub("(authguard-social)-[0-9a-f]{16}=", r"\1=", fields["set-cookie"])
        values = re.compile(r"\b(authguard-[a-z]+|access_token|refresh_token)=([^;]*)")
        # The length of a sealed value could reveal an account too.
        fields["set-cookie"] = values.sub(lambda match: f"{match[1]}={len(match[2])} characters", names)
    return response.status_code, response.text.replace(email, "…"), fields


REGISTER = {
    "api": lambda client, email: client.post("/v1/auth/register", json={"email": email, "password": OTHER}),
    "page": lambda client, email: client.post("/register", data={"email": email, "password": OTHER}),
}
LOGIN = {
    "api": lambda client, email: client.post("/v1/auth/login", json={"email": email, "password": OTHER}),
    "login-json": lambda client, email: client.post(
        "/v1/auth/login-json", json={"username": email, "password": OTHER}
    ),
    "token": lambda client, email: client.post(
        "/v1/oauth/token", data={"grant_type": "password", "username": email, "password": OTHER}
    ),
    "page": lambda client, email: client.post("/login", data={"email": email, "password": OTHER}),
}


@pytest.mark.parametrize("register", REGISTER)
@pytest.mark.parametrize("login", LOGIN)
def test_register_and_sign_in(app, hasher, register, login):
    """Registration and login with the same password are answered alike for each account, at equal cost."""
    seen, costs = [], []
    for email in ALL:
        client, before = browser(app), hasher.count
        seen.append(
            [shown(REGISTER[register](client, email), email), shown(LOGIN[login](client, email), email)]
        )
        costs.append(hasher.count - before)
    assert all(answer == seen[0] for answer in seen)
    assert set(costs) == {2}
    assert seen[0][1][0] == (400 if login == "token" else 401)


@pytest.mark.parametrize("login", LOGIN)
def test_wrong_password_of_a_registration(app, login):
    """Until its link is used, a registration is answered alike for a right and a wrong password."""
    client = browser(app)
    client.post("/v1/auth/register", json={"email": NEW, "password": OTHER})
    right = shown(LOGIN[login](client, NEW), NEW)
    client.post("/v1/auth/register", json={"email": "x@example.com", "password": PASSWORD})
    assert shown(LOGIN[login](client, "x@example.com"), "x@example.com") == right


def test_the_link_ends_it(app, service, postbox):
    """Once the link of the mail is used, the password signs in."""
    client = browser(app)
    client.post("/v1/auth/register", json={"email": NEW, "password": OTHER})
    assert service.outbox.flush()
    service.links.confirm_email(postbox.token(), CALLER)
    assert LOGIN["api"](client, NEW).status_code == 200


@pytest.mark.slow
def test_events_tell_the_operator(app, service):
    """The audit counts the reason of a refused login."""
    client = browser(app)
    client.post("/v1/auth/register", json={"email": NEW, "password": OTHER})
    LOGIN["api"](client, NEW)
    assert service.audit.counts()["login", "email_not_verified"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("given", "status"), [({}, 200), ({"require_verified_email": True}, 403)])
def test_other_modes_stay(url, given, status):
    """Without the setting, an unverified account is answered as documented."""
    with service_at(url, **given) as service:
        service.accounts.create(NEW, OTHER, verified=False)
        assert LOGIN["api"](browser(Identity(service)), NEW).status_code == status


def hand_in(client, provider):
    """Sign in with a code that an application got."""
    code = {"code": "c0de", "redirect_uri": f"{ISSUER}/v1/auth/op/callback"}
    return client.post("/v1/auth/op/callback", json=code)


def come_back(client, provider):
    """Sign in as a browser does."""
    state = client.get("/v1/auth/op/authorize").headers["location"].partition("state=")[2]
    return client.get("/v1/auth/op/callback", params={"code": "c0de", "state": state})


@pytest.mark.slow
@pytest.mark.parametrize("way", [hand_in, come_back])
def test_provider_with_an_unverified_address(app, service, provider, postbox, way):
    """An unverified address of a provider gets one answer for each account, and a mail is sent."""
    seen = []
    for email in [NEW, KNOWN, WAITING, DISABLED, NEW, KNOWN]:
        provider.email = email
        client = browser(app)
        seen.append(shown(way(client, provider), email))
        assert "access_token" not in client.cookies
    assert all(answer == seen[0] for answer in seen)
    assert seen[0][0] == 403
    assert service.outbox.flush()
    assert [mail.to for mail in postbox.mails].count(NEW) == 2
    assert {mail.to for mail in postbox.mails} == {NEW, KNOWN, WAITING}


def test_password_after_a_provider(app, provider):
    """After a provider's unverified sign-in, a new and a known account get the same answer to a password."""
    for email in (NEW, KNOWN):
        provider.email = email
        hand_in(browser(app), provider)
    answers = [shown(LOGIN["api"](browser(app), email), email) for email in (NEW, KNOWN, "none@example.com")]
    assert answers[0] == answers[1] == answers[2]


def test_provider_with_a_verified_address(app, provider):
    """A verified address of a provider signs in to a new account and to a known one."""
    provider.verified = True
    for email in (NEW, KNOWN):
        provider.email = email
        assert hand_in(browser(app), provider).status_code == 200


@pytest.mark.slow
def test_provider_without_an_address(app, provider):
    """A provider's sign-in without an address is refused."""
    provider.email = None
    assert hand_in(browser(app), provider).status_code == 403


@pytest.mark.parametrize("email", [KNOWN, WAITING])
def test_provider_in_other_modes(url, provider, email):
    """Without the setting, an unverified address of a provider with an account is a conflict."""
    with service_at(url) as service:
        service.accounts.create(email, PASSWORD, verified=email == KNOWN)
        provider.email = email
        with pytest.raises(RefusedError) as caught:
            service.sign_in_with(provider.exchange("", ""), CALLER)
        assert caught.value.status_code == 409


def test_verified_addresses_only(url, provider, postbox):
    """With `require_verified_email`, an unverified address of a provider is refused and gets a mail."""
    with service_at(url, postbox=postbox, require_verified_email=True) as service:
        with pytest.raises(RefusedError) as caught:
            service.sign_in_with(provider.exchange("", ""), CALLER)
        assert caught.value.code == "email_not_verified"
        assert service.outbox.flush()
        assert [mail.to for mail in postbox.mails] == [NEW]
