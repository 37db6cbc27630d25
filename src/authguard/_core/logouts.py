"""Asks what has been logged out, of whatever keeps it."""

from collections.abc import Awaitable
from typing import Protocol

from authguard._core.flow import Call, Flow
from authguard._core.model import Principal, api_key_id
from authguard.errors import RevokedTokenError


class Revocations(Protocol):
    """Keeps logouts.

    `is_revoked` may be `async`; if not, it runs in a worker thread, unless the store says of
    itself, by `in_memory = True`, that it never waits for anything. A `ConnectionError` or
    `TimeoutError` that it raises is answered with 503, anything else with 500.
    """

    def is_revoked(self, principal: Principal) -> bool | Awaitable[bool]:
        """Return whether the principal's token, API key, session or subject has been revoked."""
        ...


class Logouts:
    """Asks a store, on the straight path or in a flow.

    Args:
        store: the store.
    """

    def __init__(self, store: Revocations) -> None:
        self._store = store
        #: Whether the straight path may ask.
        self.in_memory = bool(getattr(store, "in_memory", False))

    def has(self, principal: Principal) -> bool:
        """Return whether it is revoked, or that cannot be told: then `check` says what is wrong."""
        try:
            return self._store.is_revoked(principal) is not False
        except Exception:
            return True

    def check(self, principal: Principal) -> Flow[None]:
        """Raise RevokedTokenError if it is revoked."""
        if self.in_memory:
            revoked = self._store.is_revoked(principal)
        else:
            revoked = yield from Call(self._store.is_revoked, principal)
        if revoked is None:
            raise TypeError("is_revoked() must return whether the principal is revoked")
        if revoked:
            raise RevokedTokenError("revoked", key_id=api_key_id(principal))
