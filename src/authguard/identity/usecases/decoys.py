"""Choose the hash to compare with a guess for an unknown address, so that the time discloses nothing.

Verifying imported hashes, and hashes with other cost settings, takes another time than verifying new ones. So
an unknown address takes the time of an account next to a place that only this service can compute. An address
always has the same account, until the owner of that account signs in and its hash is replaced; the same
happens with a known address.
"""

import hmac
from uuid import UUID

from authguard.identity.mail.addresses import email_key
from authguard.identity.tokens.derive import derive_key


class Decoys:
    """Choose places among the ids of accounts.

    Args:
        secret: that of the service.
    """

    def __init__(self, secret: str) -> None:
        self._key = derive_key(secret, "decoys of passwords")

    def place_of(self, address: str) -> str:
        """Return the place of an address, which looks like the id of an account."""
        digest = hmac.digest(self._key, email_key(address).encode("utf-8", "surrogatepass"), "sha256")
        return str(UUID(bytes=digest[:16]))
