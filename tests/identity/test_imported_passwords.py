"""Hashes of other systems: which are accepted, the limits of their costs, and that they verify."""

import hashlib
import os

import pytest

from authguard._extras import MissingExtraError
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.passwords.imported import UnusableHashError, kind_of, stored_form
from identity.support import PASSWORD

#: Made by Django 5.2, by Werkzeug 3.1 and by bcrypt 5.0, of `PASSWORD`, with little work.
HASHES = {
    "django": "pbkdf2_sha256$1000$saltsaltsalt$/fjnJCOpTQkDR4ltlS2Lpbx8Ow+J39wMUh16iJZgNyA=",
    "django argon2": "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHRzYWx0$"
    "DDTIYF7DG8H6/9+ukjEz2rSRavXVKuWiy0llSEUcH8Y",
    "argon2id": "$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHRzYWx0$"
    "DDTIYF7DG8H6/9+ukjEz2rSRavXVKuWiy0llSEUcH8Y",
    "sha256": "pbkdf2:sha256:1000$ydk407TSW9Jt2HDj$"
    "18f8c584606c657eb0d97998b0078d1318b0c4a3d07265bdbc465f963abf31fb",
    "sha1": "pbkdf2:sha1:1000$KlgMclOh7oSDvC9G$afb92a6e8ba4e48230bacb20e046858accb2c1bb",
    "sha512": "pbkdf2:sha512:1000$nUJuhErm3glRcxG8$"
    "5fe7f0d99bdf86575075f06002c8a3283ca6cdd45d442159d453c16bc1948cb1"
    "24623d212f5ef1b8132d8ec3db3cb051565066972381e4b32d7a513586512011",
    "scrypt": "scrypt:1024:8:1$dX9FhQffLMdW9db0$"
    "41871c05437b78f6380d62f1d637014303fb229030385d8f73b56ef2e07a7e97"
    "a43e80bce8620130dfa11935eb7890a4dba55fad03889a5342e956cdb182ea26",
}
BCRYPT = "$2b$04$aK4uc0ZJbAYKS8cgn2ghzuVnDChQbmwcCKw5Fyh5FeVpoS1k46pKu"
_SALT, _DIGEST = "c2FsdHNhbHRzYWx0", "DDTIYF7DG8H6/9+ukjEz2rSRavXVKuWiy0llSEUcH8Y"
_HEX = "ab" * 64
#: Hashes that cost too much, and the reason of the refusal.
COSTLY = {
    f"$argon2id$v=19$m=262145,t=2,p=1${_SALT}${_DIGEST}": "a memory .* at most 262144, got 262145",
    f"$argon2id$v=19$m=1024,t=11,p=1${_SALT}${_DIGEST}": "a time .* at most 10, got 11",
    f"$argon2id$v=19$m=1024,t=1,p=17${_SALT}${_DIGEST}": "lanes .* at most 16, got 17",
    BCRYPT.replace("$04$", "$15$"): "a cost of at most 14, got 15",
    f"scrypt:131072:8:1$salt${_HEX}": "at most 67108864, got 134217728",
    f"scrypt:1024:8:5$salt${_HEX}": "lanes .* at most 4, got 5",
    HASHES["django"].replace("$1000$", "$2000001$"): "at most 2000000, got 2000001",
    HASHES["sha256"].replace(":1000$", ":2000001$"): "at most 2000000, got 2000001",
}
UNKNOWN = [
    "",
    PASSWORD,
    hashlib.md5(b"x", usedforsecurity=False).hexdigest(),
    HASHES["argon2id"].replace("argon2id", "argon2i"),
    HASHES["argon2id"].replace("v=19", "v=16"),
    HASHES["argon2id"].replace("m=102400", "m=7"),
    HASHES["argon2id"].replace("t=2", "t=0"),
    HASHES["django"].replace("sha256", "sha1"),
    HASHES["django"].replace("$1000$", "$0$"),
    HASHES["django"] + "\n",
    HASHES["sha256"].replace("sha256", "md5"),
    HASHES["sha256"].replace("sha256", "sha512"),
    HASHES["scrypt"].replace(":1024:", ":1000:"),
    HASHES["scrypt"].replace(":1024:", ":1:"),
    BCRYPT.replace("$04$", "$03$"),
    BCRYPT.replace("$2b$", "$2x$"),
    BCRYPT[:-1],
]


@pytest.mark.slow
@pytest.mark.parametrize("name", HASHES)
def test_hashes_of_other_systems_verify(name):
    """A hash of another system verifies its password, refuses another one, and must be hashed again."""
    hasher, stored = PasswordHasher.cheap(), stored_form(HASHES[name])
    assert hasher.verify(stored, PASSWORD)
    assert not hasher.verify(stored, PASSWORD + "x")
    assert hasher.needs_rehash(stored)
    assert kind_of(stored).startswith("imported ")


def test_bcrypt_verifies():
    """A hash of bcrypt verifies with each of its three prefixes."""
    _need_bcrypt()
    for sign in ("$2a$", "$2b$", "$2y$"):
        stored = stored_form(BCRYPT.replace("$2b$", sign))
        assert PasswordHasher.cheap().verify(stored, PASSWORD)
        assert not PasswordHasher.cheap().verify(stored, "x" * 100)


def test_bcrypt_looks_at_72_bytes():
    """For bcrypt, the bytes of a password after the first 72 are ignored."""
    bcrypt = _need_bcrypt()
    stored = stored_form(bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode())
    assert PasswordHasher.cheap().verify(stored, "p" * 90)


def test_missing_bcrypt_is_told_at_the_import():
    """Without bcrypt, its hashes are refused at the import with the command that installs it."""
    try:
        import bcrypt  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r'pip install "authguard\[bcrypt\]"'):
            stored_form(BCRYPT)
    else:
        assert stored_form(BCRYPT) == BCRYPT


@pytest.mark.parametrize(("text", "why"), COSTLY.items(), ids=[text[:32] for text in COSTLY])
def test_costs_are_bounded(text, why):
    """A hash that costs more than the limit is refused, and the error has the limit."""
    with pytest.raises(UnusableHashError, match=why):
        stored_form(text)


@pytest.mark.parametrize("text", UNKNOWN)
def test_other_texts_are_refused(text):
    """Text that is no supported hash is refused, and the error does not show it."""
    with pytest.raises(UnusableHashError) as caught:
        stored_form(text)
    assert not text or text not in str(caught.value)


def test_passwords_are_taken_as_they_were_typed():
    """A password that was hashed in another normal form of Unicode is accepted in that form."""
    typed = "Cafe\u0301-Pass1!"
    digest = hashlib.pbkdf2_hmac("sha256", typed.encode(), b"salt", 1).hex()
    hasher = PasswordHasher.cheap()
    assert hasher.verify(stored_form(f"pbkdf2:sha256:1$salt${digest}"), typed)


def _need_bcrypt():
    if os.environ.get("CI") == "true":
        import bcrypt

        return bcrypt
    return pytest.importorskip("bcrypt", reason="bcrypt is not installed: pip install authguard[bcrypt]")
