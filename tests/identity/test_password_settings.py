"""The settings of the policy of passwords and of the list of breached ones."""

import hashlib

import pytest

from authguard import ConfigurationError, VerificationUnavailableError
from authguard.identity import IdentityService, Settings
from authguard.identity.errors import InvalidFieldsError
from authguard.identity.passwords import BreachedFile, BreachedWords
from identity.support import CALLER, ISSUER, PASSWORD, SECRET, Postbox, settings

pytestmark = pytest.mark.one_database  # the accepted passwords do not depend on the database

PLAIN = "correct horse battery staple"
NEEDED = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}


@pytest.fixture
def build(url):
    """Return a function that builds services from settings."""
    built = []

    def build(**given):
        built.append(IdentityService(settings(url, **given), mailer=Postbox()))
        return built[-1]

    yield build
    for service in built:
        service.close()


def problems(service, password):
    try:
        service.accounts.register("ann@example.com", password, "", CALLER)
    except InvalidFieldsError as error:
        return error.fields["password"]
    return []


@pytest.mark.slow
def test_the_documents_by_default(build):
    """By default the policy requires kinds of characters, as the documents have it."""
    assert {"Add an upper-case letter.", "Add a digit."} <= set(problems(build(), PLAIN))
    assert problems(build(), PASSWORD) == []


@pytest.mark.slow
def test_nist_with_a_setting(build):
    """A policy of the settings requires a length, and the kinds of characters that it names."""
    service = build(password_policy={"min_length": 20})
    assert problems(service, PASSWORD) == ["Use at least 20 characters."]
    assert problems(build(password_policy={"digit": True}), "x" * 15) == ["Add a digit."]
    assert problems(build(password_policy={"max_length": 64}), "short") == ["Use at least 15 characters."]
    assert problems(service, PLAIN) == []


def test_by_a_variable():
    """The variable of the policy has numbers and booleans."""
    read = Settings.from_env({**NEEDED, "AUTHGUARD_PASSWORD_POLICY": "min_length=12, upper=false,digit=true"})
    assert read.password_policy == {"min_length": 12, "upper": False, "digit": True}


def test_by_toml(tmp_path):
    """A file of settings has the policy as a table."""
    path = tmp_path / "authguard.toml"
    text = f'secret = "{SECRET}"\nissuer = "{ISSUER}"\nbreached_passwords = "/lists/words.txt"\n'
    path.write_text(text + "[password_policy]\nmin_length = 12\n")
    read = Settings.from_toml(str(path))
    assert (read.password_policy, read.breached_passwords) == ({"min_length": 12}, "/lists/words.txt")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"password_policy": {"length": 12}}, "password_policy must be a table with some of min_length"),
        ({"password_policy": {"min_length": 4}}, "password_policy: min_length must be a whole number"),
        ({"password_policy": {"min_length": "x"}}, "password_policy: min_length must be"),
        ({"password_policy": {"upper": "perhaps"}}, "password_policy: upper must be True or False"),
        ({"password_policy": "nist"}, "password_policy must be a mapping"),
        ({"breached_passwords": 7}, "breached_passwords must be the path of a list"),
        ({"breached_passwords": None}, "breached_passwords must be the path of a list"),
        ({"breached_passwords_fail_open": "no"}, "breached_passwords_fail_open must be True or False"),
        ({"breached_passwords_fail_open": True}, "unless breached_passwords is the address of a service"),
    ],
)
def test_what_cannot_be_meant(given, text):
    """A wrong policy or list is refused when the settings are built, by the name of the setting."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(secret=SECRET, issuer=ISSUER, **given)
    assert text in str(caught.value)


@pytest.mark.parametrize("place", ["/nowhere/list.txt", "http://example.com/range/", "ftp://example.com/"])
def test_a_list_that_cannot_be_used(build, place):
    """A missing list, or a service without https, is refused when the service is built."""
    with pytest.raises(ConfigurationError, match=r"^breached_passwords: (path|url) must"):
        build(breached_passwords=place)


def test_a_list_of_digests(build, tmp_path):
    """A list of SHA-1 digests, such as that of Have I Been Pwned, is searched on disk."""
    path = tmp_path / "digests.txt"
    path.write_text(hashlib.sha1(PASSWORD.encode()).hexdigest().upper() + ":7\n")  # noqa: S324
    service = build(breached_passwords=str(path))
    assert isinstance(service._base.breaches, BreachedFile)
    assert problems(service, PASSWORD) == ["Use another password: this one is known from a breach."]


def test_a_list_of_passwords(build, tmp_path):
    """A list of plain passwords has one of them on each line."""
    path = tmp_path / "words.txt"
    path.write_text(f"other\n{PASSWORD}\n")
    service = build(breached_passwords=str(path))
    assert isinstance(service._base.breaches, BreachedWords)
    assert problems(service, PASSWORD) == ["Use another password: this one is known from a breach."]
    assert problems(service, "Another-Pass-456!") == []


@pytest.mark.slow
@pytest.mark.parametrize("fail_open", [False, True])
def test_a_service_that_is_down(build, fail_open):
    """While the service is down, new passwords are refused or accepted by the setting, and logins succeed."""
    build().accounts.create("bob@example.com", PASSWORD)
    service = build(breached_passwords="http://127.0.0.1:9/range/", breached_passwords_fail_open=fail_open)
    if fail_open:
        assert problems(service, PASSWORD) == []
    else:
        with pytest.raises(VerificationUnavailableError):
            problems(service, PASSWORD)
    assert service.accounts.login("bob@example.com", PASSWORD, CALLER)
