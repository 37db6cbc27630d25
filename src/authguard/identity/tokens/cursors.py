"""Make cursors: opaque names of places in a list, valid only for that list of that account.

base64url( direction 1 | moment 8 | id | HMAC 16 )
"""

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

from authguard.identity.errors import InvalidFieldsError
from authguard.identity.model import Place
from authguard.identity.settings import Settings
from authguard.identity.tokens.derive import derive_key

MAX_CURSOR = 256  # characters; the longest id of a row needs half of them

_HEAD = struct.Struct(">?d")
_TAG = 16


class Cursors:
    """Make and read cursors.

    Args:
        settings: the secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = [derive_key(secret, "cursors") for secret in settings.secrets]

    def issue(self, scope: str, place: Place) -> str:
        """Return the cursor of a place.

        Args:
            scope: the list and its owner; the cursor is invalid for another list.
            place: the beginning of a page.
        """
        payload = _HEAD.pack(place.is_older, place.created_at) + place.id.encode()
        return _cursor(self._keys[0], scope, payload)

    def parse(self, scope: str, cursor: str) -> Place:
        """Return the place that a cursor names.

        Raises:
            InvalidFieldsError: if it was not issued for this list.
        """
        payload = _payload(cursor)
        # The texts are compared, so that a cursor has only one spelling.
        if payload is None or not any(
            hmac.compare_digest(_cursor(key, scope, payload), cursor) for key in self._keys
        ):
            raise InvalidFieldsError({"cursor": ["is not a cursor of this list"]})
        is_older, created_at = _HEAD.unpack_from(payload)
        return Place(is_older, created_at, payload[_HEAD.size :].decode())


def _cursor(key: bytes, scope: str, payload: bytes) -> str:
    tag = hmac.digest(key, scope.encode() + b"\0" + payload, "sha256")[:_TAG]
    return urlsafe_b64encode(payload + tag).decode().rstrip("=")


def _payload(cursor: str) -> bytes | None:
    if len(cursor) > MAX_CURSOR or not cursor.isascii():
        return None
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        return None
    return data[:-_TAG] if len(data) > _HEAD.size + _TAG else None
