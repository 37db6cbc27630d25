"""International names and addresses in registrations, logins, providers, API keys and pages."""

import pytest

from authguard.identity.errors import InvalidCredentialsError, InvalidFieldsError
from authguard.identity.mail.addresses import canonical_key, parse_email
from authguard.identity.model import MAX_NAME, APIKeyRequest, Operator, SocialIdentity
from authguard.identity.person_names import is_name, trim_name, usable_name
from identity.support import CALLER, PASSWORD, browser

pytestmark = pytest.mark.one_database  # the valid characters do not depend on the database

NAMES = {
    "ideographic space": "山田\u3000太郎",
    "no-break space": "Jean\xa0Dupont",
    "narrow no-break space": "Jean\u202fDupont",
    "zero width non-joiner": "می\u200cخواهم",
    "zero width joiner": "ක්\u200dෂ",
    "emoji of several": "Ann 👩\u200d💻",
    "combining marks": "Zoe\u0308 Śmith",
    "apostrophe": "O’Brien",
    "Arabic": "محمد",
    "Hebrew": "דוד",
    "two spaces": "Ann  Lee",
}
DECEIVING = {
    "line break": "Ann\nLee",
    "escape": "Ann\x1b[2J",
    "null": "Ann\x00",
    "right-to-left override": "Ann\u202egnp.exe",
    "line separator": "Ann\u2028x",
    "private use": "Ann\ue000",
    "lone surrogate": "Ann\ud800",
}
HIDDEN = {
    "mark of direction": ("\u200fאבג", "אבג"),
    "Arabic mark of direction": ("\u061cمحمد", "محمد"),
    "isolate": ("\u2068Ann\u2069", "Ann"),
    "embedding": ("\u202bדוד\u202c", "דוד"),
    "zero width space": ("สมชาย\u200bใจดี", "สมชายใจดี"),
    "soft hyphen": ("Donau\xaddampf", "Donaudampf"),
    "byte order mark": ("\ufeffAnn\ufeff", "Ann"),
    "flag with tags": ("Ann 🏴\U000e0067\U000e0062\U000e007f", "Ann 🏴"),
    "space beside a mark": ("\u200e Ann \u200e", "Ann"),
    "nothing to see": ("\u200f\u200b", ""),
}
AROUND = {
    "spaces": "  {} ",
    "line break": "{}\n",
    "tab": "\t{}",
    "no-break space": "\xa0{}\xa0",
    "ideographic space": "{}\u3000",
    "byte order mark": "\ufeff{}",
    "zero width space": "{}\u200b",
}


def identity(email, name="Ann", verified=True):
    """Return a provider's identity."""
    return SocialIdentity(provider="op", subject="1", email=email, email_verified=verified, name=name)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_are_accepted(service, name):
    """An international name of a registration, an operator or a provider is stored unchanged."""
    service.accounts.register("a@example.com", PASSWORD, name, CALLER)
    service.accounts.create("b@example.com", PASSWORD, name)
    service.social_sign_in.sign_in_with(identity("c@example.com", name), CALLER)
    assert [user.name for user in service.accounts.list()] == [name] * 3


@pytest.mark.parametrize("name", DECEIVING.values(), ids=DECEIVING)
def test_what_deceives_is_refused(service, name):
    """A name with control characters or invisible ones is refused, and a provider's is changed."""
    accounts = service.accounts
    for make, more in ((accounts.register, (CALLER,)), (accounts.create, ())):
        with pytest.raises(InvalidFieldsError) as caught:
            make("a@example.com", PASSWORD, name, *more)
        assert list(caught.value.fields) == ["name"]
    kept = service.social_sign_in.sign_in_with(identity("c@example.com", name), CALLER).user.name
    assert kept.startswith("Ann")
    assert is_name(kept)


@pytest.mark.parametrize(("name", "stored"), HIDDEN.values(), ids=HIDDEN)
def test_hidden_characters_are_removed(app, service, name, stored):
    """Hidden characters of a registration, an operator, a form or a provider are removed alike."""
    service.accounts.register("a@example.com", PASSWORD, name, CALLER)
    service.accounts.create("b@example.com", PASSWORD, name)
    service.social_sign_in.sign_in_with(identity("c@example.com", name), CALLER)
    form = {"email": "d@example.com", "password": PASSWORD, "name": name}
    assert browser(app).post("/register", data=form).status_code == 303
    assert [user.name for user in service.accounts.list()] == [stored] * 4


def test_hidden_characters_hide_no_password(service):
    """A password that is the name is refused, also beside hidden characters in the name."""
    with pytest.raises(InvalidFieldsError) as caught:
        service.accounts.register("a@example.com", PASSWORD, f"\u200f{PASSWORD}", CALLER)
    assert list(caught.value.fields) == ["password"]


@pytest.mark.parametrize("name", ["", " ", "\u3000", "\u200d", " \u200c \u200d", "\xa0\u3000"])
def test_names_with_nothing_to_see(name):
    """A name of spaces and joiners alone is empty."""
    assert trim_name(name) == usable_name(name) == ""


def test_spaces_around_a_name():
    """Spaces of all scripts around a name are removed, also after a long name is cut."""
    assert trim_name("\u3000山田\u3000太郎\xa0") == "山田\u3000太郎"
    assert usable_name("x" * (MAX_NAME - 1) + " y") == "x" * (MAX_NAME - 1)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("山田\u3000太郎", True), ("a\u202eb", False), ("\u200d", False), ("\u200f\u200b", False)],
)
def test_names_of_api_keys(service, name, accepted):
    """Names of API keys have the rule of other names, and must not be empty."""
    user = service.accounts.create("a@example.com", PASSWORD)
    operator = Operator(user.id)
    if accepted:
        assert service.api_keys.create(operator, APIKeyRequest(name=name), CALLER).key.name == name
    else:
        with pytest.raises(InvalidFieldsError):
            service.api_keys.create(operator, APIKeyRequest(name=name), CALLER)


def test_hidden_characters_in_names_of_api_keys(service):
    """Hidden characters are removed from the name of an API key, too."""
    operator = Operator(service.accounts.create("a@example.com", PASSWORD).id)
    created = service.api_keys.create(operator, APIKeyRequest(name="\u200fשרת\ufeff"), CALLER)
    assert created.key.name == "שרת"


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_white_space_around_an_address(service, around):
    """White space around an address is ignored: in registrations, logins and searches, and from providers."""
    text = around.format("ann@example.com")
    assert service.accounts.register(text, PASSWORD, "", CALLER).user.email == "ann@example.com"
    assert service.accounts.login(text, PASSWORD, CALLER).user.email == "ann@example.com"
    assert service.accounts.find(text).email == "ann@example.com"
    signed_in = service.social_sign_in.sign_in_with(identity(text), CALLER)
    assert signed_in.user.email == "ann@example.com"
    assert canonical_key(text) == canonical_key("ann@example.com"), "tries are counted together"


@pytest.mark.parametrize(
    "text", ["ann @example.com", "ann@ example.com", "ann\u3000@example.com", "a\u200bnn@example.com"]
)
def test_white_space_within_an_address(service, text):
    """An address with white space inside is invalid."""
    assert parse_email(text) is None
    service.accounts.create("ann@example.com", PASSWORD)
    with pytest.raises(InvalidCredentialsError):
        service.accounts.login(text, PASSWORD, CALLER)


@pytest.mark.parametrize("stored", ["ann@bücher.example", "ann@xn--bcher-kva.example", "ann@BÜCHER.example"])
@pytest.mark.parametrize(
    "typed", ["ann@bücher.example", "Ann@xn--bcher-kva.example", "ann@XN--BCHER-KVA.example"]
)
def test_spellings_of_a_domain(service, stored, typed):
    """A domain in Unicode and in its ASCII form leads to one account, by a login and by a provider."""
    service.accounts.create(stored, PASSWORD)
    assert service.accounts.login(typed, PASSWORD, CALLER).user.email == "ann@bücher.example"
    assert service.accounts.find(typed) is not None
    joined = service.social_sign_in.sign_in_with(identity(typed), CALLER)
    assert joined.user.email == "ann@bücher.example"
    assert len(service.accounts.list()) == 1


def test_forms_of_pages(app, service):
    """The forms of pages accept international names, and white space around an address."""
    client = browser(app)
    form = {"email": " ann@example.com\u3000", "password": PASSWORD, "name": "山田\u3000太郎"}
    assert client.post("/register", data=form).status_code == 303
    client = browser(app)
    assert client.post("/login", data={"email": " ann@example.com ", "password": PASSWORD}).status_code == 303
    assert "山田\u3000太郎" in [user.name for user in service.accounts.list()]
