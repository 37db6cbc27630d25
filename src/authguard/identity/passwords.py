"""Passwords: which are accepted, and how they are hashed."""

from dataclasses import dataclass
from threading import BoundedSemaphore

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """Which passwords are accepted."""

    min_length: int = 8

    def check(self, password: str) -> list[str]:
        """What is missing."""
        wanted = {
            f"has at least {self.min_length} characters": len(password) >= self.min_length,
            "has an upper-case letter": any(c.isupper() for c in password),
            "has a lower-case letter": any(c.islower() for c in password),
            "has a digit": any(c.isdigit() for c in password),
            "has a special character": any(not c.isalnum() for c in password),
        }
        return [text for text, met in wanted.items() if not met]


class PasswordHasher:
    """Argon2id in a bounded pool."""

    def __init__(self) -> None:
        self._argon2 = Argon2()
        self._room = BoundedSemaphore(2)
        self._nobody = self._argon2.hash("nobody")

    def hash(self, password: str) -> str:
        """Hash a password."""
        with self._room:
            return self._argon2.hash(password)

    def verify(self, password: str, password_hash: str) -> bool:
        """Whether this is the password."""
        with self._room:
            try:
                return self._argon2.verify(password_hash, password)
            except (VerificationError, InvalidHashError):
                return False

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the parameters have changed."""
        return self._argon2.check_needs_rehash(password_hash)

    def verify_nobody(self, password: str) -> None:
        """Take as long as for somebody."""
        self.verify(password, self._nobody)
