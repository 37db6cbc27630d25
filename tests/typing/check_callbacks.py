"""Check functions of an application with type checkers; nothing here runs."""

from typing import assert_type

from authguard import APIKey, APIKeyVerifier, Guard, Principal, in_memory

USERS: dict[str, str] = {}


@in_memory
def load(principal: Principal) -> str | None:
    """Load a user from memory."""
    return USERS.get(principal.subject)


class Logouts:
    """Declare that a method of revocations is in memory."""

    @in_memory
    def is_revoked(self, principal: Principal) -> bool:
        return principal.subject in USERS


def find(digest: str) -> APIKey | None:
    """Find a key in memory."""
    return None


guard = Guard(APIKeyVerifier(in_memory(find)), user_loader=load, revocations=Logouts())
assert_type(load(Principal("42")), str | None)
assert_type(Logouts().is_revoked(Principal("42")), bool)
assert_type(in_memory(find)("digest"), APIKey | None)
load(7)  # type: ignore[arg-type]  # pyright: ignore
in_memory(7)  # type: ignore[type-var]  # pyright: ignore
