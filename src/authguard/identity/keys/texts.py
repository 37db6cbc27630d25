"""Create the texts and public ids of API keys."""

import secrets
from typing import NamedTuple
from uuid import uuid4

from authguard._core.credential.key_format import KeyFormat
from authguard._core.encoding import sha256_hex
from authguard.identity.settings import Settings

#: The prefix of client secrets.
CLIENT_SECRET_PREFIX = "clsk_"
#: The prefix of keys with a client secret.
PAIR_PREFIX = "claw_"
_SHOWN_CHARACTERS = 12


class MadeKey(NamedTuple):
    """Hold the texts of a new key or generation; `text` and `secret` are secret.

    Attributes:
        text: the text to present.
        digest: the digest of the text.
        secret: the client secret; None for keys without one.
        client_digest: the digest of the client secret.
    """

    text: str
    digest: str
    secret: str | None
    client_digest: str | None

    def __repr__(self) -> str:
        return f"MadeKey({shown_part(self.text)}…)"


class KeyTexts:
    """Create the texts of keys, and recognise texts that are not keys.

    Args:
        settings: the prefixes, and the secret of the checksum.
    """

    def __init__(self, settings: Settings) -> None:
        check_secret = settings.api_key_check_secret
        self.keys = KeyFormat(settings.key_prefixes, check_secret=check_secret)
        self.client_secrets = KeyFormat([CLIENT_SECRET_PREFIX], check_secret=check_secret)

    def make(self, prefix: str, readable_id: str) -> MadeKey:
        """Create the text of a key, and its client secret if it has one."""
        text = self.keys.make(prefix, readable_id)
        if prefix != PAIR_PREFIX:
            return MadeKey(text, sha256_hex(text), None, None)
        secret = self.client_secrets.make(CLIENT_SECRET_PREFIX, readable_id)
        return MadeKey(text, sha256_hex(text), secret, sha256_hex(secret))


def secret_pattern(settings: Settings) -> str:
    """Return a regular expression that matches all keys and client secrets of a service."""
    return KeyFormat([*settings.key_prefixes, CLIENT_SECRET_PREFIX]).pattern


def make_key_id(prefix: str) -> str:
    """Create a public id in the format of the API document whose keys have this prefix."""
    return secrets.token_hex(12) if prefix == PAIR_PREFIX else f"key_{uuid4()}"


def shown_part(text: str) -> str:
    """Return the first twelve characters of a key, for lists."""
    return text[:_SHOWN_CHARACTERS]
