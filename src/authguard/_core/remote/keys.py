"""Keep the keys of a remote issuer: decide which keys to use, and when to fetch them again."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256

from authguard._core.jose.compact import Header
from authguard._core.jose.documents import Document, read_document, told_apart
from authguard._core.jose.jwk import ASYMMETRIC, OtherPurposeError, VerificationKey
from authguard._core.jose.keyset import KeySet
from authguard._core.memory import Memory
from authguard._core.options import shown_url
from authguard._core.remote.http import Backoff, Budget, RemoteHealth
from authguard.errors import ConfigurationError

MAX_KEYS = 64
_AHEAD = 30.0  # seconds before the end of freshness at which to refresh
UNKNOWN_FETCHES = 3
UNKNOWN_SECONDS = 30.0
MISSING_KEYS = 1_000
_OUTAGE_SECONDS = 60.0  # seconds after a failure during which requests do not wait for the next attempt
# `now` of overlapping requests may run backwards a little; more means that the clock was set back.
_JUMP = 5.0


class Plan(Enum):
    """Name the next step in the search for a token's key."""

    USE = auto()
    REFRESH = auto()  # use the key, and fetch in the background
    WAIT = auto()  # wait for a fetch, and look again
    REFUSE = auto()
    UNAVAILABLE = auto()


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """Hold the keys of one answer of an issuer, and its times.

    A request reads the state once: if it combined the keys of one answer with the times of the next, it would
    use a key that the issuer has withdrawn.

    Attributes:
        keys: the keys.
        asked_at: the time of the request for them.
        refresh_at: the time to refresh them in advance.
        fresh_until: the time when their freshness ends.
    """

    keys: KeySet
    asked_at: float
    refresh_at: float
    fresh_until: float

    def is_fresh(self, now: float) -> bool:
        """Return whether the answer still applies."""
        return self.asked_at - _JUMP <= now < self.fresh_until


class RemoteKeys:
    """Keep the keys of one issuer, and decide when to fetch them; nothing is fetched here.

    Args:
        name: of the issuer or its key set, for `health`.
        ttl: seconds for which keys are fresh, if the answer does not specify it.
        max_stale: seconds for which they are still used in an outage.
        random: see `Backoff`.
        backoff: that of the server, if several key sets share it.
        key_id: the `kid` of the single key, if each key has a URL of its own.
    """

    def __init__(
        self,
        name: str,
        ttl: float,
        max_stale: float,
        random: Callable[[], float],
        *,
        backoff: Backoff | None = None,
        key_id: str = "",
    ) -> None:
        self.name = name
        self.shown = shown_url(name)
        self.key_id = key_id
        self.ttl = ttl
        self._max_stale = max_stale
        self.backoff = Backoff(random) if backoff is None else backoff
        self._budget = Budget(UNKNOWN_FETCHES, UNKNOWN_SECONDS)
        self._missing: Memory[bytes, float] = Memory(2 * MISSING_KEYS)
        self._held: HeldKeys | None = None
        self._reason = ""
        #: Why keys of the last answer are skipped that should be usable, unlike those for encryption.
        self.faults: list[str] = []
        #: The number of attempts that have ended, by which a waiting request notices the end of another
        #: attempt.
        self.attempts = 0
        #: Whether a fetch is running.
        self.fetching = False
        self._is_withdrawn = False

    def held(self, now: float) -> HeldKeys | None:
        """Return the keys of the last valid answer, if they may be used."""
        held = self._held
        return None if held is None or self._is_over(held, now) else held

    def plan(self, header: Header, key: VerificationKey | None, held: HeldKeys | None, now: float) -> Plan:
        """Decide on the next step.

        Args:
            header: that of the token.
            key: the key that it names, or that signed it; None for an unknown key.
            held: the keys, from `held`, that were searched.
            now: seconds since the epoch.
        """
        paused = self.backoff.remaining(now) > 0
        if held is None:
            return Plan.UNAVAILABLE if paused else Plan.WAIT
        if key is not None:
            return self._plan_known(held, now, paused=paused)
        return self._plan_unknown(held, header, now, paused=paused)

    def _plan_unknown(self, held: HeldKeys, header: Header, now: float, *, paused: bool) -> Plan:
        if held.keys.has(header.key_id):
            return Plan.REFUSE  # the key is known, and is for another algorithm
        if self.fetching or not (held.is_fresh(now) or self.backoff.failures):
            return Plan.WAIT
        if self.backoff.failures:
            return Plan.WAIT if not paused and self._budget.take(now) else Plan.UNAVAILABLE
        if now < (self._missing.get(_mark(header)) or 0.0) or not self._budget.take(now):
            return Plan.REFUSE
        return Plan.WAIT

    def _plan_known(self, held: HeldKeys, now: float, *, paused: bool) -> Plan:
        if held.is_fresh(now):
            due = now >= held.refresh_at and not paused and not self.fetching
            return Plan.REFRESH if due else Plan.USE
        if paused:
            return Plan.USE
        # In an outage, requests do not wait. After a time without requests, one must wait, otherwise a
        # withdrawn key might be used.
        lately = 0 <= now - self.backoff.failed_at < _OUTAGE_SECONDS
        return Plan.REFRESH if lately else Plan.WAIT

    def plan_after(self, header: Header, key: VerificationKey | None, now: float) -> Plan:
        """Decide on the next step after a fetch has ended; this is never `WAIT`."""
        if self._is_withdrawn:
            return Plan.REFUSE
        if key is not None:
            return Plan.USE
        held = self._held
        if held is None or self.backoff.failures:
            return Plan.UNAVAILABLE
        if held.asked_at >= now and not held.keys.has(header.key_id):
            # The key is unknown only if the answer was requested after this request began: the key may be
            # newer than the answer.
            self._missing.put(_mark(header), now + UNKNOWN_SECONDS)
        return Plan.REFUSE

    def is_as_new_as(self, now: float) -> bool:
        """Return whether the last attempt was made at a time or later; a failed attempt counts, too."""
        return self.fetched_at >= now or self._is_withdrawn or self.backoff.failures > 0

    def usable_until(self, held: HeldKeys, now: float) -> float:
        """Return the time until which a token that was verified with keys may be remembered."""
        if held.is_fresh(now):
            return held.fresh_until
        return min(now + _AHEAD, held.fresh_until + self._max_stale)

    def succeeded(self, document: Document, parse: "Parse", ttl: float, now: float) -> None:
        """Note that a key set has been fetched; `now` is the time of the request.

        Raises:
            ConfigurationError: if it is not a key set, or none of its keys can be used.
        """
        keys, reasons = parse(document)
        reason = "; ".join(map(str, reasons))
        if not keys:
            raise ConfigurationError(
                f"the key set must have a usable key, got none: {reason or 'it is empty'}"
            )
        # The issuer alone decides about kids, so each of its keys may have signed a token without one.
        key_set = KeySet(keys, tries_named=True)
        self._held = HeldKeys(key_set, now, now + ttl - min(_AHEAD, ttl / 2), now + ttl)
        self._reason = reason
        self.faults = [str(error) for error in reasons if not isinstance(error, OtherPurposeError)]
        self.backoff.succeeded()

    def withdraw(self) -> None:
        """Note that the issuer has withdrawn these keys, or never had them; they are not used again."""
        self._held = None
        self._is_withdrawn = True
        self.backoff.succeeded()

    def failed(self, reason: str, now: float) -> None:
        """Record that a fetch has failed; the known keys are used for a while."""
        self._reason = reason
        self.backoff.failed(now)

    def health(self, now: float) -> RemoteHealth:
        """Return the state of this issuer."""
        held = self._held
        if held is not None and not self._is_over(held, now):
            state = "fresh" if held.is_fresh(now) else "stale"
        else:
            state = "failing" if held or self.backoff.failures else "unused"
        return RemoteHealth(
            self.shown,
            state,  # type: ignore[arg-type]
            self.backoff.failures,
            self._reason,
            None if held is None else held.asked_at,
            None if held is None else held.fresh_until,
        )

    @property
    def reason(self) -> str:
        """Return the reason why the last attempt failed."""
        return self._reason

    @property
    def fetched_at(self) -> float:
        """Return the time of the request whose answer is in use."""
        held = self._held
        return float("-inf") if held is None else held.asked_at

    def _is_over(self, held: HeldKeys, now: float) -> bool:
        return now >= held.fresh_until + self._max_stale and not held.is_fresh(now)


def _mark(header: Header) -> bytes:
    return sha256(f"{header.algorithm} {header.key_id}".encode()).digest()


class Parse:
    """Read the usable keys of a key set, and the reasons why others are unusable.

    Args:
        algorithms: the allowed algorithms of keys; HMAC is never among them.
        hints: the algorithms with which the issuer signs according to its metadata, for RSA keys without
            `alg`.
    """

    def __init__(self, algorithms: frozenset[str], hints: frozenset[str] = frozenset()) -> None:
        self._algorithms = algorithms & ASYMMETRIC
        self._hinted = (self._algorithms & hints) or self._algorithms

    def __call__(self, document: Document) -> tuple[list[VerificationKey], list[ConfigurationError]]:
        """Return the keys, and the reasons.

        Raises:
            ConfigurationError: if it is not a key set (RFC 7517 section 5).
        """
        reading = read_document(
            document, self._algorithms, hinted=self._hinted, published=True, most=MAX_KEYS
        )
        keys = told_apart(reading)
        return keys, reading.skipped
