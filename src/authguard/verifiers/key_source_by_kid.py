"""Fetch keys that each have a URL, by the `kid` of the token, as for load balancers of AWS."""

import random
import time
from math import ceil

from authguard._core.flow import FetchFailedError
from authguard._core.jose.compact import Header
from authguard._core.remote.http import RemoteHealth
from authguard._core.remote.keys import Parse, Plan, RemoteKeys
from authguard._core.remote.keys_by_kid import KeysByKid, ParseSingleKey
from authguard.errors import Cause, InvalidSignatureError, VerificationUnavailableError
from authguard.verifiers.http import Remote
from authguard.verifiers.key_source import KeySource, Location, Place, UnusableAnswerError, logger


class KeySourceByKid(KeySource):
    """Find the keys of one issuer, each at its own URL.

    Args:
        place: the URL with `{kid}` in it, and the times for which keys are used.
        remote: the server.
        algorithms: the allowed algorithms of the keys.
    """

    def __init__(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> None:
        super().__init__(place, remote, algorithms)
        self._keys = KeysByKid(place.url, place.ttl, place.max_stale, random.random)

    def state_for(self, header: Header, now: float) -> RemoteKeys:
        """Return the key that a token names; fetch it first if necessary."""
        state = Plan.REFUSE if header.key_id is None else self._keys.find(header.key_id, now)
        if isinstance(state, RemoteKeys):
            return state
        if state is Plan.REFUSE:
            raise InvalidSignatureError("no key for the token's alg and kid", cause=Cause.UNKNOWN_KEY)
        raise VerificationUnavailableError(
            f"the key of the token cannot be fetched from {self._keys.name} now",
            retry_after=max(1, ceil(self._keys.pause(now))),
        )

    def parser(self, location: Location, state: RemoteKeys) -> Parse:
        """Return the parser of the key of a `kid`."""
        return ParseSingleKey(self._algorithms, state.key_id)

    def fetched(self, state: RemoteKeys) -> None:
        """Store the key."""
        self._keys.has_come(state)

    def failed(self, state: RemoteKeys, error: FetchFailedError | UnusableAnswerError, now: float) -> None:
        """Record that the key does not exist, or cannot be fetched."""
        if isinstance(error, UnusableAnswerError) and error.is_missing:
            self._keys.is_missing(state, now)
            logger.info("there is no key at %s", state.shown)
        else:
            super().failed(state, error, now)
            self._keys.has_failed(state, str(error))

    def health(self, now: float | None) -> RemoteHealth:
        """Return the state of the issuer; None for now."""
        return self._keys.health(time.time() if now is None else now)
