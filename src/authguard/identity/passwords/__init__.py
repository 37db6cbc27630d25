"""Hash passwords, and refuse breached ones."""

from authguard.identity.passwords.breaches import (
    BreachedFile,
    BreachedPasswords,
    BreachedService,
    BreachedWords,
)
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy

__all__ = [
    "BreachedFile",
    "BreachedPasswords",
    "BreachedService",
    "BreachedWords",
    "PasswordHasher",
    "PasswordPolicy",
]
