"""Verify password hashes that another system created; the next login replaces them.

The password is hashed as in those systems: as UTF-8, without the NFC of `hashing`. The cost of one hash is
limited, because each sign-in attempt incurs it.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from authguard._extras import needs_extra

#: Characters of a hash; all of these kinds need less than half.
MAX_HASH = 512
#: The greatest cost of one hash.
MAX_ARGON2_MEMORY = 256 * 1024  # KiB
MAX_ARGON2_TIME = 10
MAX_ARGON2_LANES = 16
MAX_BCRYPT_COST = 14
MAX_SCRYPT_MEMORY = 64 * 1024 * 1024  # bytes: 128 times n times r
MAX_SCRYPT_LANES = 4  # p: computed one after the other
MAX_PBKDF2_ROUNDS = 2_000_000  # Django 6.0 has 1,200,000

#: bcrypt uses no more of a password; most systems truncate the rest.
_BCRYPT_BYTES = 72
_ARGON2 = re.compile(
    r"(?:argon2)?(\$argon2id\$v=19\$m=([0-9]{1,8}),t=([0-9]{1,4}),p=([0-9]{1,4})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86})"
)
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_DJANGO = re.compile(r"pbkdf2_(sha256)\$([1-9][0-9]{0,9})\$([^$]{1,128})\$([A-Za-z0-9+/]{43}=)")
_PBKDF2 = re.compile(r"pbkdf2:(sha1|sha256|sha512):([1-9][0-9]{0,9})\$([^$]{1,128})\$([0-9a-f]{40,128})")
_SCRYPT = re.compile(
    r"scrypt:([1-9][0-9]{0,9}):([1-9][0-9]{0,5}):([1-9][0-9]{0,5})\$([^$]{1,128})\$([0-9a-f]{128})"
)
_KINDS = "argon2id, bcrypt, Django's pbkdf2_sha256, or Werkzeug's scrypt or pbkdf2"
_AS_DJANGO_WRITES = "argon2"


class UnusableHashError(ValueError):
    """Report why a hash is not accepted. The text does not contain the hash."""


class _Format(NamedTuple):
    """Define how the hashes of a kind are recognised, limited and verified."""

    name: str
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], None]
    verify: Callable[[re.Match[str], bytes], bool]


def stored_form(text: str) -> str:
    """Return a hash of another system in the form for storing, which `verify_imported` recognises.

    Raises:
        UnusableHashError: if its kind is unknown, or it costs too much.
    """
    for kind in _FORMATS:
        match = kind.pattern.fullmatch(text) if len(text) <= MAX_HASH else None
        if match is not None:
            kind.check(match)
            # Our own hashes begin with a dollar sign.
            return _AS_DJANGO_WRITES + match[1] if kind.pattern is _ARGON2 else text
    raise UnusableHashError(f"must be a hash by {_KINDS}")


def is_imported(password_hash: str) -> bool:
    """Return whether a stored hash was created by another system."""
    return not password_hash.startswith("$argon2")


def kind_of(password_hash: str) -> str:
    """Return the kind of a stored hash, such as `argon2id` or `imported bcrypt`."""
    if not is_imported(password_hash):
        return "argon2id"
    return f"imported {next((kind.name for kind, _ in _matches(password_hash)), 'hash')}"


def verify_imported(password_hash: str, password: str) -> bool | None:
    """Return whether the password matches a hash of another system; None for another kind of hash.

    Args:
        password_hash: as stored.
        password: as it was sent.

    Raises:
        MissingExtraError: if bcrypt is needed and not installed.
    """
    for kind, match in _matches(password_hash):
        return kind.verify(match, password.encode("utf-8", "surrogatepass"))
    return None


def _matches(password_hash: str) -> "list[tuple[_Format, re.Match[str]]]":
    attempts = ((kind, kind.pattern.fullmatch(password_hash)) for kind in _FORMATS)
    return [(kind, match) for kind, match in attempts if match is not None]


def _bound(number: int, most: int, cost: str) -> None:
    if number > most:
        raise UnusableHashError(f"must have {cost} of at most {most}, got {number}")


def _check_argon2(match: re.Match[str]) -> None:
    memory, time, lanes = (int(match[index]) for index in (2, 3, 4))
    _bound(memory, MAX_ARGON2_MEMORY, "a memory (m, in KiB)")
    _bound(time, MAX_ARGON2_TIME, "a time (t)")
    _bound(lanes, MAX_ARGON2_LANES, "a number of lanes (p)")
    if not (lanes and time and memory >= 8 * lanes):
        raise UnusableHashError("must have numbers that argon2id can work with")


def _verify_argon2(match: re.Match[str], password: bytes) -> bool:
    try:
        return argon2.PasswordHasher().verify(match[1], password)
    except (VerificationError, InvalidHashError):
        return False


def _check_bcrypt(match: re.Match[str]) -> None:
    _bound(int(match[1]), MAX_BCRYPT_COST, "a cost")
    if int(match[1]) < 4:
        raise UnusableHashError("must have a cost of at least 4")
    with needs_extra("bcrypt"):
        import bcrypt  # noqa: F401  # these users could not sign in without it


def _verify_bcrypt(match: re.Match[str], password: bytes) -> bool:
    with needs_extra("bcrypt"):
        import bcrypt
    return bcrypt.checkpw(password[:_BCRYPT_BYTES], match[0].encode("ascii"))


def _check_pbkdf2(match: re.Match[str]) -> None:
    _bound(int(match[2]), MAX_PBKDF2_ROUNDS, "a number of iterations")
    if match.re is _PBKDF2 and len(match[4]) != 2 * hashlib.new(match[1], usedforsecurity=False).digest_size:
        raise UnusableHashError("must be as long as its kind makes it")


def _verify_pbkdf2(match: re.Match[str], password: bytes) -> bool:
    expected = _decode(match[4]) if match.re is _DJANGO else bytes.fromhex(match[4])
    digest = hashlib.pbkdf2_hmac(match[1], password, match[3].encode(), int(match[2]))
    return hmac.compare_digest(digest, expected)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _check_scrypt(match: re.Match[str]) -> None:
    n, r, p = (int(match[index]) for index in (1, 2, 3))
    _bound(128 * n * r, MAX_SCRYPT_MEMORY, "a memory (128 times n times r, in bytes)")
    _bound(p, MAX_SCRYPT_LANES, "a number of lanes (p)")
    if n < 2 or n & (n - 1):
        raise UnusableHashError("must have an n that is a power of two")


def _verify_scrypt(match: re.Match[str], password: bytes) -> bool:
    n, r, p = (int(match[index]) for index in (1, 2, 3))
    # OpenSSL counts a few more blocks.
    limit = 132 * n * r * p + 1024 * 1024
    digest = hashlib.scrypt(password, salt=match[4].encode(), n=n, r=r, p=p, maxmem=limit, dklen=64)
    return hmac.compare_digest(digest, bytes.fromhex(match[5]))


_FORMATS = (
    _Format("argon2id", _ARGON2, _check_argon2, _verify_argon2),
    _Format("bcrypt", _BCRYPT, _check_bcrypt, _verify_bcrypt),
    _Format("pbkdf2", _DJANGO, _check_pbkdf2, _verify_pbkdf2),
    _Format("pbkdf2", _PBKDF2, _check_pbkdf2, _verify_pbkdf2),
    _Format("scrypt", _SCRYPT, _check_scrypt, _verify_scrypt),
)
