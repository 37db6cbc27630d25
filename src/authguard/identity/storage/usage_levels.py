"""Name the tables of usage, from the minute to the month, and say which period a moment is in."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Table

from authguard.identity.storage.schema import (
    api_key_usage_days,
    api_key_usage_hours,
    api_key_usage_minutes,
    api_key_usage_months,
)

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3_600, 86_400


class Level(NamedTuple):
    """Describe the counts of one kind of period.

    Attributes:
        name: `minute`, `hour`, `day` or `month`.
        table: has a row for each key, generation, rule, outcome and period.
        seconds: of a period; None for months, of which each has its own.
    """

    name: str
    table: Table
    seconds: int | None

    def start_of(self, moment: float) -> int:
        """Return when the period begins that a moment is in, in UTC."""
        if self.seconds is not None:
            return int(moment // self.seconds) * self.seconds
        date = datetime.fromtimestamp(moment, UTC)
        return int(datetime(date.year, date.month, 1, tzinfo=UTC).timestamp())

    def end_of(self, start: int) -> int:
        """Return when the period ends that begins at a moment."""
        if self.seconds is not None:
            return start + self.seconds
        return self.start_of(start + 31 * DAY_SECONDS)


MINUTE = Level("minute", api_key_usage_minutes, MINUTE_SECONDS)
HOUR = Level("hour", api_key_usage_hours, HOUR_SECONDS)
DAY = Level("day", api_key_usage_days, DAY_SECONDS)
MONTH = Level("month", api_key_usage_months, None)
#: Each is rolled up into the one after it.
LEVELS = (MINUTE, HOUR, DAY, MONTH)
