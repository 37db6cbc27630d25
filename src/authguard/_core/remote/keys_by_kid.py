"""Keep the keys that an issuer publishes one by one, each at a URL with its `kid` in it."""

import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from authguard._core.jose.documents import Document
from authguard._core.jose.jwk import VerificationKey
from authguard._core.memory import Memory
from authguard._core.options import got, shown_url
from authguard._core.remote.http import Backoff, Budget, RemoteHealth
from authguard._core.remote.keys import (
    MISSING_KEYS,
    UNKNOWN_FETCHES,
    UNKNOWN_SECONDS,
    Parse,
    Plan,
    RemoteKeys,
)
from authguard.errors import ConfigurationError

PLACE = "{kid}"
MAX_KEPT = 64
# Only characters that cannot end the path of a URL, lead out of it, or be read in two ways.
_KEY_ID = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
_MAX_PENDING = 16


def check_template(url: str) -> None:
    """Check the position of the `kid` in a URL.

    Raises:
        ConfigurationError: unless it occurs once, in the path or the query.
    """
    before, place, after = url.partition(PLACE)
    is_in_host = {"/", "?"}.isdisjoint(before.partition("://")[2])
    if not place or is_in_host or not {"{", "}"}.isdisjoint(before + after):
        raise ConfigurationError(
            f"url must have {PLACE} once, after the host, and no other braces, got {got(url)}: write "
            f"'https://keys.example.com/{PLACE}'"
        )


class KeysByKid:
    """Keep the keys of one issuer by `kid`, and decide when to fetch them; nothing is fetched here.

    Args:
        template: the URL, with `{kid}` in it.
        ttl: seconds for which a key is fresh, if the answer does not specify it.
        max_stale: seconds for which it is used in an outage.
        random: see `Backoff`.
    """

    def __init__(self, template: str, ttl: float, max_stale: float, random: Callable[[], float]) -> None:
        self.name = shown_url(template)
        self._template = template
        self._options = (ttl, max_stale, random)
        self.backoff = Backoff(random)  # the backoff of the server, which is the same for all keys
        self._budget = Budget(UNKNOWN_FETCHES, UNKNOWN_SECONDS)
        self._missing: Memory[bytes, float] = Memory(2 * MISSING_KEYS)
        self._kept: dict[str, RemoteKeys] = {}
        self._pending: dict[str, RemoteKeys] = {}
        self._reason = ""

    def find(self, key_id: str, now: float) -> RemoteKeys | Plan:
        """Return the key of this `kid`, or the state of its fetch; otherwise the refusal.

        A few unknown keys are fetched at once, and then one in 30 seconds; meanwhile, tokens with other
        unknown keys are refused. A `kid` that the issuer reported as missing is refused for 30 seconds.
        """
        state = self._kept.get(key_id) or self._pending.get(key_id)
        if state is not None:
            return state
        if not _KEY_ID.match(key_id) or now < (self._missing.get(_mark(key_id)) or 0.0):
            return Plan.REFUSE
        if self.backoff.remaining(now) > 0 or not self._budget.take(now):
            return Plan.UNAVAILABLE
        if len(self._pending) >= _MAX_PENDING:  # states of requests that were cancelled before they asked
            # a copy, because other threads may change it meanwhile
            self._pending.pop(next(iter(list(self._pending)), ""), None)
        ttl, max_stale, random = self._options
        url = self._template.replace(PLACE, key_id)
        state = self._pending[key_id] = RemoteKeys(
            url, ttl, max_stale, random, backoff=self.backoff, key_id=key_id
        )
        return state

    def pause(self, now: float) -> float:
        """Return the seconds after which a retry makes sense."""
        return self.backoff.remaining(now) or self._budget.remaining()

    def has_come(self, state: RemoteKeys) -> None:
        """Record that a key was fetched: store it, and return the attempt to the budget."""
        self._pending.pop(state.key_id, None)
        self._reason = ""
        if state.key_id in self._kept:
            return
        self._budget.give_back()
        while len(self._kept) >= MAX_KEPT:
            oldest = min(list(self._kept.values()), key=lambda kept: kept.fetched_at, default=state)
            self._kept.pop(oldest.key_id, None)
        self._kept[state.key_id] = state

    def is_missing(self, state: RemoteKeys, now: float) -> None:
        """Record that the issuer does not have the key, or has withdrawn it."""
        state.withdraw()
        self._kept.pop(state.key_id, None)
        self._pending.pop(state.key_id, None)
        self._missing.put(_mark(state.key_id), now + UNKNOWN_SECONDS)

    def has_failed(self, state: RemoteKeys, reason: str) -> None:
        """Record that a fetch has failed; a known key is still used."""
        self._pending.pop(state.key_id, None)
        self._reason = reason

    def health(self, now: float) -> RemoteHealth:
        """Return the state of the issuer: that of the newest key, because older keys may be unused."""
        of_keys = [state.health(now) for state in list(self._kept.values())]
        newest = max(of_keys, key=lambda health: health.fresh_until or 0.0, default=None)
        if newest is None:
            state = "failing" if self.backoff.failures else "unused"
            return RemoteHealth(self.name, state, self.backoff.failures, self._reason)  # type: ignore[arg-type]
        return replace(newest, name=self.name, reason=self._reason)


class ParseSingleKey(Parse):
    """Read the single key at the URL of a `kid`.

    Args:
        algorithms: the allowed algorithms of the key.
        key_id: its `kid`, which PEM does not contain.
    """

    def __init__(self, algorithms: frozenset[str], key_id: str) -> None:
        super().__init__(algorithms)
        self._key_id = key_id

    def __call__(self, document: Document) -> tuple[list[VerificationKey], list[ConfigurationError]]:
        """Return the key, and the reasons why others are not used."""
        keys, reasons = super().__call__(document)
        named = [replace(key, key_id=self._key_id) for key in keys if key.key_id in (None, self._key_id)]
        if len(named) > 1:
            raise ConfigurationError(f"there must be one key at the URL of a kid, got {len(named)}")
        return named, reasons


def _mark(key_id: str) -> bytes:
    return sha256(key_id.encode()).digest()
