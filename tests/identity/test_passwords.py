"""The policy of passwords, their hashes, and the limit of parallel hashing."""

import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard import ConfigurationError, VerificationUnavailableError
from authguard.identity.passwords.hashing import MAX_PASSWORD, PasswordHasher, PasswordPolicy

HASHER = PasswordHasher.cheap()


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("SecurePass123!", []),
        ("NewPass456!", []),
        ("Ab1!efg", ["Use at least 8 characters."]),
        ("securepass123!", ["Add an upper-case letter."]),
        ("SECUREPASS123!", ["Add a lower-case letter."]),
        ("SecurePass!!!", ["Add a digit."]),
        ("SecurePass123", ["Add a special character, such as !@#$%^&*."]),
        ("Secure Pass 123", ["Add a special character, such as !@#$%^&*."]),
        ("Ünïcode pässwörd ٣€", []),
    ],
)
def test_policy_names_what_is_missing(password, missing):
    """The default policy names each requirement that a password does not meet."""
    assert PasswordPolicy().check(password) == missing


def test_policy_names_all_that_is_missing():
    """The policy names all missing requirements at once."""
    assert len(PasswordPolicy().check("")) == 5


def test_policy_can_ask_for_length_alone():
    """The rules about kinds of characters can be switched off, as NIST advises."""
    policy = PasswordPolicy(min_length=15, upper=False, lower=False, digit=False, special=False)
    assert policy.check("correct horse battery") == []


def test_length_is_of_code_points_after_nfc():
    """A letter with a combining accent is one character."""
    policy = PasswordPolicy(upper=False, lower=False, digit=False, special=False)
    assert policy.check(unicodedata.normalize("NFD", "é" * 7)) == ["Use at least 8 characters."]


def test_too_long_is_refused_at_once():
    """A password of a megabyte is refused by its length alone."""
    assert PasswordPolicy().check("a" * 1_000_000) == ["Use at most 256 characters."]


def test_text_that_grows_is_refused():
    """A password that becomes too long by normalisation is refused."""
    assert "Use at most 256 characters." in PasswordPolicy().check("\u0958" * 200)


def test_lone_surrogate_is_refused():
    """A password with a lone surrogate, which JSON can carry, is refused."""
    assert PasswordPolicy().check("SecurePass123!\ud800") == ["Use complete characters."]


def test_own_name_is_refused():
    """A password that is the address of its owner in other case is refused."""
    assert PasswordPolicy().check("Ann.1@Example.com", names=["ann.1@example.com"]) != []


@pytest.mark.parametrize(
    "options",
    [{"min_length": 7}, {"min_length": 65}, {"max_length": 63}, {"max_length": 1025}, {"min_length": True}],
)
def test_policy_checks_its_numbers(options):
    """Lengths that are out of range are refused when the policy is built."""
    with pytest.raises(ConfigurationError):
        PasswordPolicy(**options)


@pytest.mark.slow
@given(st.text(max_size=80))
def test_hash_verifies_its_password(password):
    """The hash of any password verifies it."""
    assert HASHER.verify(HASHER.hash(password), password)


@pytest.mark.slow
@given(st.text(max_size=80), st.text(min_size=1, max_size=5))
def test_hash_refuses_a_longer_password(password, more):
    """A longer password is refused, also after a NUL or 72 bytes."""
    longer = password + more
    same = unicodedata.normalize("NFC", longer) == unicodedata.normalize("NFC", password)
    assert HASHER.verify(HASHER.hash(password), longer) is same


@pytest.mark.parametrize("other", [" Secret", "Secret ", "secret", "Secret\x00", "Secre", "Ｓecret"])
def test_other_spellings_are_other_passwords(other):
    """A password with other spaces, case or letters is refused."""
    assert not HASHER.verify(HASHER.hash("Secret"), other)


def test_both_ways_to_write_an_accent_are_one():
    """NFC and NFD of a password are the same password."""
    assert HASHER.verify(HASHER.hash("caf\u00e9"), "cafe\u0301")


def test_default_is_argon2id_as_owasp_recommends():
    """The default is argon2id with 19 MiB, two passes and one lane."""
    assert PasswordHasher().hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_each_hash_has_its_own_salt():
    """Two hashes of a password are different."""
    assert HASHER.hash("x") != HASHER.hash("x")


@pytest.mark.parametrize(
    "kept", ["", "!", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=8,t=1,p=1$", "\u00e9"]
)
def test_no_hash_verifies_nothing(kept):
    """A stored text that is no hash verifies no password, and raises no error."""
    assert not HASHER.verify(kept, "x")


def test_too_long_a_password_is_wrong():
    """A password beyond the maximum is neither hashed nor verified."""
    long = "x" * (MAX_PASSWORD + 1)
    assert not HASHER.verify(HASHER.hash("x"), long)
    assert not HASHER.verify_dummy(long)
    with pytest.raises(ValueError):
        HASHER.hash(long)


def test_nobody_has_no_password():
    """The decoy verifies no password."""
    assert not HASHER.verify_dummy("x")
    assert not HASHER.verify_dummy("\ud800")


def test_nobody_costs_as_much_as_somebody(monkeypatch):
    """Verifying the decoy computes one hash with the parameters of a stored hash."""
    hasher = PasswordHasher.cheap()
    kept = hasher.hash("right")
    seen = []
    verify = hasher._argon2.verify
    monkeypatch.setattr(
        type(hasher._argon2),
        "verify",
        lambda self, kept, given: (
            seen.append(bytes(kept, "ascii") if isinstance(kept, str) else kept),
            verify(kept, given),
        )[1],
    )
    hasher.verify(kept, "wrong")
    hasher.verify_dummy("wrong")
    somebody, nobody = (text.split(b"$")[1:4] for text in seen)
    assert somebody == nobody


def test_other_parameters_need_a_rehash():
    """A hash with other parameters needs a rehash, and one with the current parameters does not."""
    assert PasswordHasher(memory=64, time=1).needs_rehash(HASHER.hash("x"))
    assert not HASHER.needs_rehash(HASHER.hash("x"))
    assert HASHER.needs_rehash("!")


def test_hash_with_other_parameters_verifies():
    """A hash is verified with its own parameters, so that the settings can be raised."""
    assert PasswordHasher(memory=64, time=1).verify(HASHER.hash("x"), "x")


def test_hashing_is_bounded(monkeypatch):
    """A hash beyond the limit of parallel hashes raises VerificationUnavailableError."""
    hasher = PasswordHasher.cheap(concurrency=1, wait=0.01)
    with hasher._turn(), pytest.raises(VerificationUnavailableError) as caught:
        hasher.hash("x")
    assert (caught.value.status_code, caught.value.retry_after) == (503, 5)
    assert hasher.hash("x")  # the turn was given back


def test_turn_is_given_back_after_a_failure():
    """A failed verification gives its turn back."""
    hasher = PasswordHasher.cheap(concurrency=1, wait=0.01)
    for _ in range(3):
        hasher.verify("!", "x")
    assert not hasher.verify_dummy("x")


def test_many_threads_get_their_turn():
    """Fifty parallel verifications with two turns all succeed."""
    hasher = PasswordHasher.cheap(concurrency=2)
    kept = hasher.hash("x")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(hasher.verify(kept, "x"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 50


@pytest.mark.parametrize(
    "options", [{"memory": 7}, {"time": 0}, {"parallelism": 0}, {"concurrency": 0}, {"wait": 0}, {"wait": 61}]
)
def test_hasher_checks_its_numbers(options):
    """Parameters that argon2 does not accept are refused when the hasher is built."""
    with pytest.raises(ConfigurationError):
        PasswordHasher(**options)


def test_repr_says_the_cost_only():
    """The repr of a hasher has its costs only."""
    assert repr(HASHER) == "PasswordHasher(memory=8, time=1)"
