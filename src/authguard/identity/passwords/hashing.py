"""Check, hash and verify passwords (NIST SP 800-63B-4 section 3.1.1.2).

A password is normalised to NFC, encoded as UTF-8, and otherwise used as it was sent: it is not trimmed,
case-folded or truncated. The policy, the hasher and the checks for breached passwords all do the same.
"""

import logging
import os
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from authguard._core.options import check_flag, check_seconds, check_whole
from authguard._extras import MissingExtraError
from authguard.errors import VerificationUnavailableError
from authguard.identity.passwords.imported import is_imported, verify_imported

logger = logging.getLogger("authguard")

#: Characters of the longest password that is hashed, so that no caller can cause hashing of megabytes. Every
#: policy refuses longer passwords.
MAX_PASSWORD = 1024

_MIN_MEMORY = 8  # KiB; the minimum of argon2


def password_bytes(password: str) -> bytes:
    """Return the bytes of a password for hashing.

    The text is normalised to NFC, so that é is the same regardless of how it was typed, and encoded as UTF-8.
    A lone surrogate, which JSON can contain, is encoded too: such a password is wrong, but causes no error.
    """
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


class PasswordPolicy:
    """Define the rules for a new password; the defaults are those of the AINative guide.

    NIST SP 800-63B-4 advises against rules about character classes, and recommends 15 characters or more:
    `PasswordPolicy(min_length=15, upper=False, lower=False, digit=False, special=False)`.

    Args:
        min_length: the least number of characters (Unicode code points, after NFC).
        max_length: the greatest number of characters; at least 64.
        upper: whether an upper-case letter is required.
        lower: whether a lower-case letter is required.
        digit: whether a digit is required.
        special: whether a punctuation mark or symbol is required.

    Raises:
        ConfigurationError: if the lengths contradict each other or are out of range.
    """

    def __init__(
        self,
        *,
        min_length: int = 8,
        max_length: int = 256,
        upper: bool = True,
        lower: bool = True,
        digit: bool = True,
        special: bool = True,
    ) -> None:
        self.min_length = check_whole(min_length, "min_length", 8, 64, unit="characters")
        self.max_length = check_whole(max_length, "max_length", 64, MAX_PASSWORD, unit="characters")
        for name, flag in {"upper": upper, "lower": lower, "digit": digit, "special": special}.items():
            check_flag(flag, name)
        self._kinds = [
            (kind, text)
            for kind, text, is_needed in (
                (_is_upper, "an upper-case letter", upper),
                (_is_lower, "a lower-case letter", lower),
                (_is_digit, "a digit", digit),
                (_is_special, "a special character, such as !@#$%^&*", special),
            )
            if is_needed
        ]

    def check(self, password: str, *, names: Iterable[str] = ()) -> list[str]:
        """Return a sentence for each rule that a password breaks; an empty list if it is accepted.

        Args:
            password: the new password.
            names: texts that are refused as passwords, such as the e-mail address of the owner.
        """
        if len(password) > self.max_length:  # the length is checked before any other work
            return [f"Use at most {self.max_length} characters."]
        text = unicodedata.normalize("NFC", password)
        messages = []
        if len(text) < self.min_length:
            messages.append(f"Use at least {self.min_length} characters.")
        if len(text) > self.max_length:
            messages.append(f"Use at most {self.max_length} characters.")
        if any("\ud800" <= char <= "\udfff" for char in text):
            messages.append("Use complete characters.")
        messages += [f"Add {kind}." for is_kind, kind in self._kinds if not any(map(is_kind, text))]
        if text.casefold() in {name.casefold() for name in names}:
            messages.append("Do not use your name or address.")
        return messages


def _is_upper(char: str) -> bool:
    return char.isupper()


def _is_lower(char: str) -> bool:
    return char.islower()


def _is_digit(char: str) -> bool:
    return char.isdecimal()


def _is_special(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


class PasswordHasher:
    """Hash and verify passwords with argon2id, a few at a time.

    Each call takes the configured memory and time, in the calling thread and without the interpreter's lock.
    Call it from worker threads, never from an event loop.

    Args:
        memory: KiB for one hash. The defaults are those of OWASP's Password Storage Cheat Sheet: 19 MiB, two
            passes, one lane.
        time: passes over the memory.
        parallelism: lanes: the threads that compute one hash.
        concurrency: the greatest number of hashes computed at the same time, which limits the memory; None
            for one per processor.
        wait: seconds to wait for a turn.

    Raises:
        ConfigurationError: if argon2 does not support the numbers.
    """

    def __init__(
        self,
        *,
        memory: int = 19_456,
        time: int = 2,
        parallelism: int = 1,
        concurrency: int | None = None,
        wait: float = 5.0,
    ) -> None:
        check_whole(parallelism, "parallelism", unit="lanes")
        check_whole(time, "time", unit="passes")
        check_whole(memory, "memory", _MIN_MEMORY * parallelism, unit="KiB")
        if concurrency is not None:
            check_whole(concurrency, "concurrency", unit="hashes")
        wait = check_seconds(wait, "wait", 60, exclusive=True)
        self._argon2 = argon2.PasswordHasher(time_cost=time, memory_cost=memory, parallelism=parallelism)
        self._wait = wait
        self._turns = BoundedSemaphore(concurrency or os.cpu_count() or 1)
        # Guesses for unknown accounts are compared with this hash.
        self._dummy_hash = self._argon2.hash(secrets.token_bytes(32))

    @classmethod
    def cheap(cls, *, concurrency: int | None = None, wait: float = 5.0) -> "PasswordHasher":
        """Return a hasher for tests, which is fast and protects nothing."""
        return cls(memory=_MIN_MEMORY, time=1, concurrency=concurrency, wait=wait)

    def hash(self, password: str) -> str:
        """Hash a password with a random salt; the returned text includes the parameters.

        Raises:
            ValueError: if the password is longer than `MAX_PASSWORD`, which every policy refuses.
            VerificationUnavailableError: if too many calls are waiting.
        """
        if len(password) > MAX_PASSWORD:
            raise ValueError(f"a password has at most {MAX_PASSWORD} characters")
        with self._turn():
            return self._argon2.hash(password_bytes(password))

    def verify(self, password_hash: str, password: str) -> bool:
        """Return whether the password matches the hash; False for an invalid hash, at the same cost.

        Raises:
            VerificationUnavailableError: if too many calls are waiting.
        """
        if len(password) > MAX_PASSWORD:
            return self.verify_dummy("")
        with self._turn():
            if is_imported(password_hash) and (answer := _verify_other(password_hash, password)) is not None:
                return answer
            try:
                return self._argon2.verify(password_hash.encode("utf-8", "replace"), password_bytes(password))
            except InvalidHashError:
                pass
            except VerificationError:
                return False
            return self._refuse(password)

    def verify_dummy(self, password: str) -> bool:
        """Return False at the cost of `verify`, for an unknown user or one without a password.

        Raises:
            VerificationUnavailableError: if too many calls are waiting.
        """
        with self._turn():
            return self._refuse(password[:MAX_PASSWORD])

    def needs_rehash(self, password_hash: str) -> bool:
        """Return whether the hash has other parameters or was imported; the next login replaces it."""
        if is_imported(password_hash):
            return True
        try:
            return self._argon2.check_needs_rehash(password_hash.encode("utf-8", "replace"))
        except InvalidHashError:
            return True

    def _refuse(self, password: str) -> bool:
        with suppress(VerificationError):
            self._argon2.verify(self._dummy_hash, password_bytes(password))
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._wait):
            raise VerificationUnavailableError("too many passwords at a time", retry_after=5)
        try:
            yield
        finally:
            self._turns.release()

    def __repr__(self) -> str:
        cost = self._argon2
        return f"PasswordHasher(memory={cost.memory_cost}, time={cost.time_cost})"


def _verify_other(password_hash: str, password: str) -> bool | None:
    """Return whether the password matches a hash of another system; None for another kind of hash.

    Raises:
        VerificationUnavailableError: if the library for the hash is missing.
    """
    try:
        return verify_imported(password_hash, password)
    except MissingExtraError as error:
        logger.warning("a password cannot be verified: %s", error)
        raise VerificationUnavailableError("a library that imported passwords need is missing") from None
