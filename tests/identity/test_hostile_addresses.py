"""The work that an e-mail address can cause, at each endpoint that is open to anonymous callers."""

import unicodedata

import pytest
from starlette.testclient import TestClient

from authguard.errors import RateLimitedError
from authguard.identity import Identity
from authguard.identity.errors import InvalidFieldsError, NoAddressError
from authguard.identity.limits import Limit, Limiter
from authguard.identity.mail import addresses
from authguard.identity.mail.addresses import MAX_ADDRESS, canonical_key, lookup_address, parse_email
from authguard.identity.model import SocialIdentity
from authguard.identity.passwords.hashing import MAX_PASSWORD
from authguard.identity.web.bodies import MAX_MEMBERS
from identity.support import CALLER, GENEROUS, ISSUER, PASSWORD, browser

MARKS = "\u0301\u0316"  # in an order that normalisation must sort
MAX_TEXT = max(MAX_ADDRESS, MAX_PASSWORD)

HOSTILE = {
    "combining marks in the local part": "a" + MARKS * 8000 + "@x.com",
    "combining marks in the domain": "a@b" + MARKS * 8000 + ".com",
    "ligatures that normalising makes eighteen characters of": "\ufdfa" * 5000 + "@x.com",
    "Tibetan vowels": "\u0f71\u0f72\u0f74" * 4000 + "@x.com",
    "a long label": "a@" + "b" * 15_000 + ".com",
    "many labels": "a@" + "b." * 7_000 + "com",
    "many at signs": "@" * 15_000,
    "a quoted local part": '"' + "\\a" * 7_000 + '"@x.com',
    "white space": " " * 15_000 + "a@x.com",
    "one character too many": "a" * (MAX_ADDRESS + 1 - len("@x.com")) + "@x.com",
    "one character too many, not ASCII": "é" * (MAX_ADDRESS + 1 - len("@x.com")) + "@x.com",
}


@pytest.fixture
def worked_on(monkeypatch):
    """Return the lengths of all texts that are normalised or parsed."""
    lengths = []
    normalize, validate = unicodedata.normalize, addresses.validate_email

    def normalized(form, text):
        lengths.append(len(text))
        return normalize(form, text)

    def validated(text, **options):
        lengths.append(len(text))
        return validate(text, **options)

    monkeypatch.setattr(unicodedata, "normalize", normalized)
    monkeypatch.setattr(addresses, "validate_email", validated)
    return lengths


ENTRANCES = {
    "token": lambda client, email: client.post(
        "/v1/oauth/token", data={"grant_type": "password", "username": email, "password": PASSWORD}
    ),
    "login": lambda client, email: client.post(
        "/v1/auth/login", data={"username": email, "password": PASSWORD}
    ),
    "login in JSON": lambda client, email: client.post(
        "/v1/auth/login-json", json={"username": email, "password": PASSWORD}
    ),
    "register": lambda client, email: client.post(
        "/v1/auth/register", json={"email": email, "password": PASSWORD}
    ),
    "forgotten password": lambda client, email: client.post(
        "/v1/auth/forgot-password", json={"email": email}
    ),
    "verification": lambda client, email: client.post("/v1/auth/verify-email/resend", json={"email": email}),
    "login page": lambda client, email: client.post("/login", data={"email": email, "password": PASSWORD}),
    "registration page": lambda client, email: client.post(
        "/register", data={"email": email, "password": PASSWORD}
    ),
    "page for a forgotten password": lambda client, email: client.post(
        "/forgot-password", data={"email": email}
    ),
    "page for a verification": lambda client, email: client.post(
        "/verify-email/resend", data={"email": email}
    ),
}


@pytest.mark.one_database
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("entrance", ENTRANCES.values(), ids=ENTRANCES)
def test_long_address_is_refused_before_it_is_worked_on(service, worked_on, entrance, text):
    """No endpoint normalises or parses a text that is longer than an address can be."""
    response = entrance(browser(Identity(service)), text)
    assert response.status_code in (400, 401, 413, 422)
    assert max(worked_on, default=0) <= MAX_TEXT
    assert not any(length == len(text) for length in worked_on)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_functions_refuse_a_long_address(worked_on, text):
    """A text beyond the limit is no address, has no account, and is counted unchanged."""
    assert parse_email(text) is None
    assert lookup_address(text) is None
    assert canonical_key(text) == text
    assert worked_on == []


@pytest.mark.one_database
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_long_address_of_a_provider_is_none(service, worked_on, text):
    """A provider's address beyond the limit is refused like a missing address."""
    identity = SocialIdentity(provider="github", subject="1", email=text, email_verified=True, name="Ann")
    with pytest.raises(NoAddressError):
        service.social_sign_in.sign_in_with(identity, CALLER)
    assert worked_on == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_operators_get_the_same_answer(service, text):
    """An operator's text beyond the limit is refused as an invalid address."""
    assert service.accounts.find(text) is None
    with pytest.raises(InvalidFieldsError) as caught:
        service.accounts.create(text, PASSWORD)
    assert caught.value.fields["email"] == ["is not an e-mail address"]


@pytest.mark.parametrize("text", ["ann" + MARKS * 50 + "@x.com", "ann@b" + MARKS * 50 + ".com"])
def test_counting_comes_before_parsing(worked_on, text):
    """A caller who is over the limit causes no parsing of an address."""
    limiter = Limiter(limits={name: Limit(1, 600) for name in GENEROUS})
    for count in (limiter.count_login, limiter.count_mail):
        count("ann@example.com", CALLER.address)
        worked_on.clear()
        with pytest.raises(RateLimitedError):
            count(text, CALLER.address)
        assert worked_on == []


def test_longest_address_is_taken(service):
    """The longest address that mail servers accept is accepted."""
    local = "a" * 64
    domain = ".".join(["b" * 61] * 3) + ".com"
    assert parse_email(f"{local}@{domain}") == f"{local}@{domain}"


@pytest.mark.parametrize("count", [MAX_MEMBERS + 1, 5_000])
def test_unknown_members_are_not_listed_one_by_one(service, count):
    """The answer to a body with many unknown members does not grow with their number."""
    client = TestClient(Identity(service), base_url=ISSUER)
    response = client.post("/v1/auth/register", json={f"m{number}": 1 for number in range(count)})
    assert response.status_code == 422
    assert len(response.content) < 1_000
