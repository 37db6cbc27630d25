"""Refuse API keys at the paths for signed-in users, and tokens of programs at all paths."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from authguard._core.model import Credential, Principal
from authguard._core.verifier import Verifier
from authguard.errors import InvalidTokenError
from authguard.identity.errors import ClientTokenError, InteractiveOnlyError
from authguard.identity.model import User
from authguard.identity.usecases.session_claims import is_of_key, session_id_or_empty

#: The field of API keys in both API documents.
KEY_FIELD = "X-API-Key"

_OF_PROGRAM = "a token of client_credentials, where a person has to sign in"


class KeysRefused(Verifier):
    """Refuse each API key with 403, without verifying it: valid or not, it is not accepted here.

    Args:
        prefixes: the prefixes of keys in the Authorization field.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        self.header = KEY_FIELD
        self.prefixes = prefixes

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential is an API key."""
        return credential.method == "api_key"

    def flow(self, credential: Credential, now: float) -> NoReturn:
        """Refuse a key.

        Raises:
            InteractiveOnlyError: always.
        """
        raise InteractiveOnlyError("an API key, where a person has to sign in")


class PeopleOnly:
    """Load the accounts of users' tokens, and refuse the tokens of `client_credentials`.

    An answer 401 would make a program request new tokens without end.

    Args:
        authenticate: returns the account of a token; None if its session has ended.
    """

    def __init__(self, authenticate: Callable[[Principal], Awaitable[User | None]]) -> None:
        self._authenticate = authenticate

    async def load(self, principal: Principal) -> User | None:
        """Return the account of a token; None if its session has ended.

        Raises:
            ClientTokenError: if the token belongs to no session of a user, and no browser has it as a cookie.
        """
        if not _is_of_person(principal):
            if principal.method == "cookie":
                return None
            raise ClientTokenError(_OF_PROGRAM)
        return await self._authenticate(principal)


def check_person(principal: Principal) -> None:
    """Check that a token belongs to a session of a user; the session is not looked up.

    Raises:
        ClientTokenError: if it belongs to none.
        InvalidTokenError: if it belongs to none, and a browser has it as a cookie.
    """
    if not _is_of_person(principal):
        raise (InvalidTokenError if principal.method == "cookie" else ClientTokenError)(_OF_PROGRAM)


def _is_of_person(principal: Principal) -> bool:
    return bool(session_id_or_empty(principal)) and not is_of_key(principal)
