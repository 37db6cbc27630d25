"""Choose the hash with which a guess for an unknown address is compared, so that its time discloses nothing.

Verifying imported hashes, and those with other cost settings, takes another time than verifying new ones. So
an unknown address costs as much as the account next to a place that only this service can compute. It is
always the same account, until its owner signs in and its hash is replaced, as with a known address.
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
