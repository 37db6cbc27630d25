"""Report whether the service is ready: its database, tables, signing keys, stores and outbox."""

import logging
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TypeAlias

from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.mail.outbox import Outbox
from authguard.identity.storage import migrations
from authguard.identity.storage.database import Database
from authguard.identity.tokens.signing import SigningKeys

logger = logging.getLogger("authguard")

#: The parts that are checked, in this order.
PARTS = ("database", "migrations", "keys", "limits", "revocations", "quotas", "mail")
_KEPT_SECONDS = 1.0  # seconds for which an answer is reused, so that frequent probes cost nothing

#: A function for each store besides the database, which raises an error if the store does not answer.
StoreChecks: TypeAlias = Mapping[str, Callable[[], None]]


class Readiness:
    """Check the parts that the service needs.

    Args:
        database: the database.
        keys: the signing keys.
        outbox: the outbox of mails.
        stores: the checks of the other stores, by their names in `PARTS`.
        clock: seconds since the epoch.

    Attributes:
        checked: the part that is checked now, or was checked last.
    """

    def __init__(
        self,
        database: Database,
        keys: SigningKeys,
        outbox: Outbox,
        stores: StoreChecks,
        clock: Callable[[], float],
    ) -> None:
        self._database, self._keys, self._outbox, self._clock = database, keys, outbox, clock
        self._stores = stores
        self.checked = PARTS[0]
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
                told = "; ".join(f"{part}: {reasons[part].removeprefix(f'{part}: ')}" for part in failing)
                logger.warning("the service is not ready: %s", told)
            else:
                logger.info("the service is ready again")
        self._failing = failing

    def _look(self, now: float) -> dict[str, str]:
        """Return the reasons why parts fail, in words without secrets."""
        self.checked = PARTS[0]
        reasons = self._look_at_database(now)
        for part, check in self._stores.items():
            self.checked = part
            try:
                check()
            except VerificationUnavailableError as error:
                reasons[part] = error.reason
        if not self._outbox.has_room:
            reasons["mail"] = "the outbox is full or closed"
        return reasons

    def _look_at_database(self, now: float) -> dict[str, str]:
        reasons: dict[str, str] = {}
        file = self._database.file
        try:
            if file is not None and not file.exists():
                raise StoreUnavailableError("its file is not there")
            migrations.check(self._database, may_be_newer=True)
            self._database.check_writes()
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
        return reasons
