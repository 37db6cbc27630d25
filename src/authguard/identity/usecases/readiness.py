"""Report whether the service is ready: its database, tables, signing keys and outbox."""

import logging
from collections.abc import Callable
from threading import Lock

from authguard.errors import ConfigurationError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.mail.outbox import Outbox
from authguard.identity.storage import migrations
from authguard.identity.storage.database import Database
from authguard.identity.tokens.signing import SigningKeys

logger = logging.getLogger("authguard")

#: The parts that are checked, in this order.
PARTS = ("database", "migrations", "keys", "mail")
_KEPT_SECONDS = 1.0  # of an answer: to ask often costs nothing


class Readiness:
    """Check the parts that the service needs.

    Args:
        database: where accounts are.
        keys: what tokens are signed with.
        outbox: where mails wait.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: Database, keys: SigningKeys, outbox: Outbox, clock: Callable[[], float]
    ) -> None:
        self._database, self._keys, self._outbox, self._clock = database, keys, outbox, clock
        self._lock = Lock()
        self._failing: tuple[str, ...] = ()
        self._known_at: float | None = None

    def known_failing(self) -> tuple[str, ...] | None:
        """Return the failing parts, if they were checked in the last second; this never waits."""
        known_at = self._known_at
        is_known = known_at is not None and 0 <= self._clock() - known_at < _KEPT_SECONDS
        return self._failing if is_known else None

    def find_failing(self) -> tuple[str, ...]:
        """Return the parts that fail, of `PARTS`; the answer is up to a second old."""
        with self._lock:
            if self.known_failing() is None:
                now = self._clock()
                self._note(self._look(now))
                self._known_at = now
            return self._failing

    def _note(self, reasons: dict[str, str]) -> None:
        failing = tuple(part for part in PARTS if part in reasons)
        if failing != self._failing:
            if failing:
                told = "; ".join(f"{part}: {reasons[part]}" for part in failing)
                logger.warning("the service is not ready: %s", told)
            else:
                logger.info("the service is ready again")
        self._failing = failing

    def _look(self, now: float) -> dict[str, str]:
        """Return why parts fail, in words without secrets."""
        reasons: dict[str, str] = {}
        file = self._database.file
        try:
            if file is not None and not file.exists():
                raise StoreUnavailableError("its file is not there")
            migrations.check(self._database, may_be_newer=True)
        except StoreUnavailableError as error:
            reasons["database"] = error.reason
        except ConfigurationError as error:
            reasons["migrations"] = str(error)
        else:
            try:
                self._keys.load(now)
            except StoreUnavailableError as error:
                reasons["database"] = error.reason
            except ConfigurationError as error:
                reasons["keys"] = str(error)
        if not self._outbox.has_room:
            reasons["mail"] = "the outbox is full or closed"
        return reasons
