"""Judge, hash and verify passwords (NIST SP 800-63B-4 section 3.1.1.2).

A password is normalised to NFC, encoded as UTF-8 and otherwise taken as it was sent: nothing is
trimmed, folded or cut off. The policy, the hasher and the breached-password checks all do the same.
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

#: Characters; hashing is for passwords, not for megabytes. Nothing longer was ever accepted.
MAX_PASSWORD = 1024

_MIN_MEMORY = 8  # KiB; argon2 cannot do with less


def password_bytes(password: str) -> bytes:
    """Return the password as it is hashed: in NFC, so that é is one however it was typed, as UTF-8.

    A lone surrogate, which JSON can carry, has bytes too: such a password is wrong, not an error.
    """
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


class PasswordPolicy:
    """Say what a new password must have; the defaults are those of the documents.

    NIST SP 800-63B-4 advises against rules about kinds of characters, and for 15 characters or
    more: `PasswordPolicy(min_length=15, upper=False, lower=False, digit=False, special=False)`.

    Args:
        min_length: the fewest characters (Unicode code points, after NFC).
        max_length: the most characters; at least 64.
        upper: whether an upper-case letter is needed.
        lower: whether a lower-case letter is needed.
        digit: whether a digit is needed.
        special: whether a punctuation mark or symbol is needed.

    Raises:
        ConfigurationError: for lengths that cannot be meant.
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
            names: texts that a password must not be, such as the e-mail address of its owner.
        """
        if len(password) > self.max_length:  # before any work on it
            return [f"Use at most {self.max_length} characters."]
        text = unicodedata.normalize("NFC", password)
        messages = []
        if len(text) < self.min_length:
            messages.append(f"Use at least {self.min_length} characters.")
        if len(text) > self.max_length:
            messages.append(f"Use at most {self.max_length} characters.")
        if any("\ud800" <= char <= "\udfff" for char in text):
            messages.append("Use characters only, not halves of them.")
        messages += [f"Add {kind}." for is_kind, kind in self._kinds if not any(map(is_kind, text))]
        if text.casefold() in {name.casefold() for name in names}:
            messages.append("Use something else than your name or address.")
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

    Each call takes the memory and the time that are set, in the calling thread and without the
    interpreter's lock: call it from worker threads, never from an event loop.

    Args:
        memory: KiB for one hash. The defaults are those that OWASP's Password Storage Cheat
            Sheet recommends: 19 MiB, two passes, one lane.
        time: passes over the memory.
        parallelism: lanes; threads that work on one hash.
        concurrency: how many hashes are computed at the same time at most, which bounds the
            memory; None for one a processor.
        wait: seconds to wait for a turn.

    Raises:
        ConfigurationError: for numbers that argon2 cannot work with.
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
        # Guesses for an account that does not exist are compared with this one.
        self._dummy_hash = self._argon2.hash(secrets.token_bytes(32))

    @classmethod
    def cheap(cls, *, concurrency: int | None = None, wait: float = 5.0) -> "PasswordHasher":
        """Make a hasher for tests, which costs next to nothing and protects nothing."""
        return cls(memory=_MIN_MEMORY, time=1, concurrency=concurrency, wait=wait)

    def hash(self, password: str) -> str:
        """Hash a password, with a salt of its own; the text has the parameters in it.

        Raises:
            ValueError: for a password over `MAX_PASSWORD`, which no policy lets through.
            VerificationUnavailableError: if too many wait already.
        """
        if len(password) > MAX_PASSWORD:
            raise ValueError(f"a password has at most {MAX_PASSWORD} characters")
        with self._turn():
            return self._argon2.hash(password_bytes(password))

    def verify(self, password_hash: str, password: str) -> bool:
        """Return whether this is the password of the hash; False for a hash that is none, at the same cost.

        Raises:
            VerificationUnavailableError: if too many wait already.
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
        """Return False at the cost of `verify`, for a user who does not exist or has no password.

        Raises:
            VerificationUnavailableError: if too many wait already.
        """
        with self._turn():
            return self._refuse(password[:MAX_PASSWORD])

    def needs_rehash(self, password_hash: str) -> bool:
        """Return whether the hash was made with other parameters or imported: the next login replaces it."""
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
    """Return whether this is the password of a hash of another system; None if it is no such hash.

    Raises:
        VerificationUnavailableError: if its library is missing, so that nothing is known.
    """
    try:
        return verify_imported(password_hash, password)
    except MissingExtraError as error:
        logger.warning("a password cannot be verified: %s", error)
        raise VerificationUnavailableError("a library that imported passwords need is missing") from None
