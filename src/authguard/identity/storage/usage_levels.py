"""Define the tables of usage, from the minute to the month, and compute the period of a given time."""

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
        seconds: of a period; None for months, whose lengths differ.
    """

    name: str
    table: Table
    seconds: int | None

    def start_of(self, moment: float) -> int:
        """Return the beginning of the period of a given time, in UTC."""
        if self.seconds is not None:
            return int(moment // self.seconds) * self.seconds
        date = datetime.fromtimestamp(moment, UTC)
        return int(datetime(date.year, date.month, 1, tzinfo=UTC).timestamp())

    def end_of(self, start: int) -> int:
        """Return the end of the period that begins at a given time."""
        if self.seconds is not None:
            return start + self.seconds
        return self.start_of(start + 31 * DAY_SECONDS)


MINUTE = Level("minute", api_key_usage_minutes, MINUTE_SECONDS)
HOUR = Level("hour", api_key_usage_hours, HOUR_SECONDS)
DAY = Level("day", api_key_usage_days, DAY_SECONDS)
MONTH = Level("month", api_key_usage_months, None)
#: Each level is rolled up into the next one.
LEVELS = (MINUTE, HOUR, DAY, MONTH)
