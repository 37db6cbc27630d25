"""Log for operators why the database of the service does not answer."""

import logging
from threading import Lock
from time import monotonic

from sqlalchemy import exc

from authguard.stores.sql.reasons import driver_reason

#: A separate logger, so that commands, which report the reason themselves, can switch it off.
logger = logging.getLogger("authguard.outages")

#: Seconds in which one reason is logged once, because every request fails for it during an outage.
LOG_SECONDS = 10.0
_MAX_REASONS = 100


def reason_of(error: exc.SQLAlchemyError) -> str:
    """Return why a database does not answer, in words, with its error code if it sent one."""
    return driver_reason(getattr(error, "orig", None) or error)


class OutageLog:
    """Log a WARNING about an outage of a database, once in `LOG_SECONDS` for each reason."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: dict[str, float] = {}

    def warn(self, reason: str) -> None:
        """Log a warning, unless the same was logged recently."""
        now = monotonic()
        with self._lock:
            if now < self._next.get(reason, 0.0):
                return
            if len(self._next) >= _MAX_REASONS:
                self._next.clear()
            self._next[reason] = now + LOG_SECONDS
        logger.warning("requests are answered with 503: %s", reason)
