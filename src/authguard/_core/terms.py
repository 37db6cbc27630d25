"""Hold what a verifier asks of each request with a credential, and wants to be told of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from authguard._core.networks import Network

#: Takes the moment, in seconds since the epoch, and the address of the client if it is known.
Count: TypeAlias = Callable[[float, str | None], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold for each request with a credential, also while the credential is remembered.

    Attributes:
        count: called with each request that passes; it must not wait for anything.
        networks: from where the credential may be used; empty for from everywhere.
        begin: called before the first request passes, with the seconds since the epoch; it may block. None
            for nothing to do.
        response_fields: for the response: names in lower case, and values.
    """

    count: Count
    networks: tuple[Network, ...] = ()
    begin: Callable[[float], None] | None = None
    response_fields: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def needs_request(self) -> bool:
        """Tell terms that need more than the moment of a request."""
        return bool(self.networks) or self.begin is not None
