"""Refuse API keys at the paths for signed-in users."""

from collections.abc import Sequence
from typing import NoReturn

from authguard._core.model import Credential
from authguard._core.verifier import Verifier
from authguard.identity.errors import InteractiveOnlyError

#: The field of API keys in both API documents.
KEY_FIELD = "X-API-Key"


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
