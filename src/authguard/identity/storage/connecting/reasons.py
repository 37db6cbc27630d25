"""Log for operators why the database of the service does not answer."""

import logging

from sqlalchemy import exc

from authguard._logs.by_reason import LineCounts
from authguard.stores.sql.reasons import driver_reason

#: A separate logger, so that commands, which report the reason themselves, can switch it off.
logger = logging.getLogger("authguard.outages")

#: Seconds in which one reason is logged once, because every request fails for it during an outage.
LOG_SECONDS = 10.0


def reason_of(error: exc.SQLAlchemyError) -> str:
    """Return why a database does not answer, in words, with its error code if it sent one."""
    return driver_reason(getattr(error, "orig", None) or error)


class OutageLog:
    """Log a WARNING about an outage, once in `LOG_SECONDS` for each reason, with the number of the others."""

    def __init__(self) -> None:
        self._counts = LineCounts(LOG_SECONDS)

    def warn(self, reason: str) -> None:
        """Log a warning, unless the same was logged recently."""
        more = self._counts.take(reason)
        if more is not None:
            logger.warning("requests are answered with 503: %s%s", reason, more)
