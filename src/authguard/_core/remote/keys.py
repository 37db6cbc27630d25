"""Keep the keys of a remote issuer: which of them to use now, and when to ask for them again."""

from collections.abc import Callable
from enum import Enum, auto
from hashlib import sha256

from authguard._core.jose.compact import Header
from authguard._core.jose.documents import Document, read_document, told_apart
from authguard._core.jose.jwk import ASYMMETRIC, VerificationKey
from authguard._core.jose.keyset import KeySet
from authguard._core.memory import Memory
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
    """Name the next step for a token's key."""

    USE = auto()
    REFRESH = auto()  # use it, and fetch in the background
    WAIT = auto()  # for a fetch, and look again
    REFUSE = auto()
    UNAVAILABLE = auto()


class RemoteKeys:
    """Keep the keys of one issuer, and decide when to fetch them; nothing is fetched here.

    Args:
        name: of the issuer or its key set, for `health`.
        ttl: seconds for which keys are fresh, if the answer does not say.
        max_stale: seconds for which they go on in an outage.
        random: see `Backoff`.
        backoff: that of the server, if it is shared with others.
        key_id: the `kid` of the one key, where each has a URL of its own.
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
        self.key_id = key_id
        self.ttl = ttl
        self._max_stale = max_stale
        self.backoff = Backoff(random) if backoff is None else backoff
        self._budget = Budget(UNKNOWN_FETCHES, UNKNOWN_SECONDS)
        self._missing: Memory[bytes, float] = Memory(2 * MISSING_KEYS)
        self._keys: KeySet | None = None
        self._asked_at = self._refresh_at = self._fresh_until = float("-inf")
        self._reason = ""
        #: How many attempts have ended; who waits can tell whether one has since.
        self.attempts = 0
        #: Whether one is under way.
        self.fetching = False
        self._is_withdrawn = False

    def candidates(self, header: Header, now: float) -> tuple[VerificationKey, ...]:
        """Return the keys that the token can have been signed with, if we have any and may use them."""
        return () if self._keys is None or self._is_over(now) else self._keys.candidates(header)

    def find(self, header: Header, now: float) -> VerificationKey | None:
        """Return the one key that the token can have been signed with, if we have it and may use it."""
        return None if self._keys is None or self._is_over(now) else self._keys.find(header)

    def plan(self, header: Header, key: VerificationKey | None, now: float) -> Plan:
        """Decide on the next step.

        Args:
            header: the token's.
            key: the key that it names, or that signed it; None for an unknown key.
            now: seconds since the epoch.
        """
        paused = self.backoff.remaining(now) > 0
        if self._keys is None or self._is_over(now):
            return Plan.UNAVAILABLE if paused else Plan.WAIT
        if key is not None:
            return self._plan_known(now, paused=paused)
        return self._plan_unknown(self._keys, header, now, paused=paused)

    def _plan_unknown(self, keys: KeySet, header: Header, now: float, *, paused: bool) -> Plan:
        if keys.has(header.key_id):
            return Plan.REFUSE  # the key is here, and is for another algorithm
        if self.fetching or not (self._is_fresh(now) or self.backoff.failures):
            return Plan.WAIT
        if self.backoff.failures:
            return Plan.WAIT if not paused and self._budget.take(now) else Plan.UNAVAILABLE
        if now < (self._missing.get(_mark(header)) or 0.0) or not self._budget.take(now):
            return Plan.REFUSE
        return Plan.WAIT

    def _plan_known(self, now: float, *, paused: bool) -> Plan:
        if self._is_fresh(now):
            due = now >= self._refresh_at and not paused and not self.fetching
            return Plan.REFRESH if due else Plan.USE
        if paused:
            return Plan.USE
        # In an outage requests do not wait; after a quiet time one must, or a withdrawn key might be used.
        lately = 0 <= now - self.backoff.failed_at < _OUTAGE_SECONDS
        return Plan.REFRESH if lately else Plan.WAIT

    def plan_after(self, header: Header, key: VerificationKey | None, now: float) -> Plan:
        """Decide on the next step when a fetch has ended; never `WAIT` again."""
        if self._is_withdrawn:
            return Plan.REFUSE
        if key is not None:
            return Plan.USE
        if self._keys is None or self.backoff.failures:
            return Plan.UNAVAILABLE
        if self._asked_at >= now and not self._keys.has(header.key_id):
            # Only if it was asked for after this request: the key may be newer than the answer.
            self._missing.put(_mark(header), now + UNKNOWN_SECONDS)
        return Plan.REFUSE

    def is_as_new_as(self, now: float) -> bool:
        """Return whether the last attempt was made at a time or later; a failure is as good as a new one."""
        return self._asked_at >= now or self._is_withdrawn or self.backoff.failures > 0

    def usable_until(self, now: float) -> float:
        """Return until when a token that was verified with these keys may be remembered."""
        if self._is_fresh(now):
            return self._fresh_until
        return min(now + _AHEAD, self._fresh_until + self._max_stale)

    def succeeded(self, document: Document, parse: "Parse", ttl: float, now: float) -> None:
        """Note that a key set has been fetched; `now` is when it was asked for.

        Raises:
            ConfigurationError: if it is not one, or none of its keys can be used.
        """
        keys, reasons = parse(document)
        if not keys:
            raise ConfigurationError(
                f"the key set must have a usable key, got none: {'; '.join(reasons) or 'it is empty'}"
            )
        # The issuer alone decides about kids, so that a token without one may be by each of its keys.
        self._keys = KeySet(keys, tries_named=True)
        self._reason = "; ".join(reasons)
        self._asked_at = now
        self._fresh_until = now + ttl
        self._refresh_at = now + ttl - min(_AHEAD, ttl / 2)
        self.backoff.succeeded()

    def withdraw(self) -> None:
        """Note that the issuer has none of these keys any more, or never had: they are not used again."""
        self._keys = None
        self._is_withdrawn = True
        self.backoff.succeeded()

    def failed(self, reason: str, now: float) -> None:
        """Record that a fetch has failed; the known keys are used for a while."""
        self._reason = reason
        self.backoff.failed(now)

    def health(self, now: float) -> RemoteHealth:
        """Return how this issuer is doing."""
        held = self._keys is not None
        usable = held and not self._is_over(now)
        if usable:
            state = "fresh" if self._is_fresh(now) else "stale"
        else:
            state = "failing" if held or self.backoff.failures else "unused"
        return RemoteHealth(
            self.name,
            state,  # type: ignore[arg-type]
            self.backoff.failures,
            self._reason,
            self._asked_at if held else None,
            self._fresh_until if held else None,
        )

    @property
    def reason(self) -> str:
        """Return why the last attempt failed."""
        return self._reason

    @property
    def fetched_at(self) -> float:
        """Return when the keys were asked for, of which we have the answer."""
        return self._asked_at

    def _is_fresh(self, now: float) -> bool:
        return self._asked_at - _JUMP <= now < self._fresh_until

    def _is_over(self, now: float) -> bool:
        return now >= self._fresh_until + self._max_stale and not self._is_fresh(now)


def _mark(header: Header) -> bytes:
    return sha256(f"{header.algorithm} {header.key_id}".encode()).digest()


class Parse:
    """Read the usable keys of a key set, and say why the others are not.

    Args:
        algorithms: those that keys may be for; HMAC is never among them.
        hints: the algorithms that the issuer says it signs with, for RSA keys that leave a choice.
    """

    def __init__(self, algorithms: frozenset[str], hints: frozenset[str] = frozenset()) -> None:
        self._algorithms = algorithms & ASYMMETRIC
        self._hinted = (self._algorithms & hints) or self._algorithms

    def __call__(self, document: Document) -> tuple[list[VerificationKey], list[str]]:
        """Return the keys, and the reasons.

        Raises:
            ConfigurationError: if it is not a key set (RFC 7517 section 5).
        """
        reading = read_document(
            document, self._algorithms, hinted=self._hinted, published=True, most=MAX_KEYS
        )
        keys = told_apart(reading)
        return keys, [str(error) for error in reading.skipped]
