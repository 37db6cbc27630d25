"""Check options that are numbers, durations and times; bool and NaN are not numbers."""

from math import inf, isfinite
from typing import Protocol, TypeGuard

from authguard._core.options.values import got
from authguard.errors import ConfigurationError

#: The greatest leeway of a verifier for the clock of an issuer, in seconds.
MAX_LEEWAY = 300
#: The last second that a datetime can show: 9999-12-31T23:59:59Z.
LATEST_MOMENT = 253_402_300_799
_FIRST_MOMENT = 978_307_200  # 2001-01-01; a smaller number is a duration, or of a monotonic clock
#: The types of numbers in JSON; bool is not one of them, although it is an int in Python.
NUMERIC_TYPES = (int, float)


class Duration(Protocol):
    """Describe a timedelta, whose module the core does not import."""

    def total_seconds(self) -> float:
        """Return the duration in seconds."""
        ...


class Moment(Protocol):
    """Describe a datetime, whose module the core does not import."""

    def timestamp(self) -> float:
        """Return the time in seconds since the epoch."""
        ...


def is_numeric_date(value: object) -> TypeGuard[float]:
    """Return whether a value of JSON is a number, as the dates of a JWT are (RFC 7519 section 2).

    A bool is not a number, although it is an int in Python. NaN and infinity pass; they fail every check of a
    range.
    """
    return type(value) in NUMERIC_TYPES


def is_finite(number: float) -> bool:
    """Return whether a number is neither NaN nor infinity, and not too large for a float."""
    try:
        return isfinite(number)
    except OverflowError:  # such as 10**400, which JSON may contain, too
        return False


def check_whole(
    value: object, option: str, least: int = 1, most: int | None = None, *, unit: str = ""
) -> int:
    """Check a whole number.

    Args:
        value: the number.
        option: the name of the option.
        least: the smallest accepted number.
        most: the largest accepted number; None for no bound.
        unit: the unit, for the error, such as `characters`.

    Raises:
        ConfigurationError: if the type is wrong, or the number is out of range.
    """
    if type(value) is int and least <= value <= (inf if most is None else most):
        return value
    kind = f"a whole number of {unit}" if unit else "a whole number"
    bounds = f"of at least {least}" if most is None else f"between {least} and {most}"
    raise ConfigurationError(f"{option} must be {kind} {bounds}, got {_got(value)}")


def check_seconds(
    value: object, option: str, most: float, *, least: float = 0, exclusive: bool = False
) -> float:
    """Check a duration: a number of seconds, or a timedelta.

    Args:
        value: the duration.
        option: the name of the option.
        most: the longest accepted duration; infinity for no bound.
        least: the shortest accepted duration.
        exclusive: whether the duration must be longer than `least`.

    Raises:
        ConfigurationError: if the type is wrong, or the duration is out of range.
    """
    seconds = _in_seconds(value)
    is_in_range = is_numeric_date(seconds) and is_finite(seconds) and least <= seconds <= most
    if is_numeric_date(seconds) and is_in_range and not (exclusive and seconds == least):
        return seconds
    if most == inf and least == -inf:
        bounds = "a number of"
    elif most == inf:
        bounds = f"{'more than' if exclusive else 'at least'} {least:g}"
    elif exclusive:
        bounds = f"more than {least:g} and at most {most:g}"
    else:
        bounds = f"between {least:g} and {most:g}"
    raise ConfigurationError(f"{option} must be {bounds} seconds, got {_got(value)}")


def check_whole_seconds(value: object, option: str, most: int, *, least: int = 0) -> int:
    """Check a duration in whole seconds: a number of them, or a timedelta.

    Args:
        value: the duration.
        option: the name of the option.
        most: the longest accepted duration.
        least: the shortest accepted duration.

    Raises:
        ConfigurationError: if the type is wrong, or the duration is not in whole seconds or out of range.
    """
    seconds = _in_seconds(value)
    if is_numeric_date(seconds) and least <= seconds <= most and seconds == int(seconds):
        return int(seconds)
    raise ConfigurationError(
        f"{option} must be a whole number of seconds between {least} and {most}, got {_got(value)}"
    )


def check_moment(value: object, option: str, *, infinite: bool = False) -> float:
    """Check a time: seconds since the epoch, or a datetime with a time zone.

    Args:
        value: the time.
        option: the name of the option.
        infinite: whether `math.inf`, and times after all dates, are allowed, for never.

    Raises:
        ConfigurationError: if the type is wrong, a datetime has no time zone, or the time is out of range.
    """
    never = ", or math.inf for never" if infinite else ""
    seconds = value
    to_seconds = getattr(value, "timestamp", None)
    if callable(to_seconds) and not isinstance(value, type):
        if value.utcoffset() is None:  # type: ignore[attr-defined]
            raise ConfigurationError(
                f"{option} must have a time zone, got {_got(value)}: write datetime(…, tzinfo=timezone.utc)"
            )
        seconds = to_seconds()
    if is_numeric_date(seconds) and 0 <= seconds <= (inf if infinite else LATEST_MOMENT):
        return seconds if seconds <= LATEST_MOMENT or is_finite(seconds) else inf
    raise ConfigurationError(
        f"{option} must be seconds since the epoch, or a datetime with a time zone{never}, got {_got(value)}"
    )


def check_recent_moment(value: object, option: str, write: str, *, infinite: bool = False) -> float:
    """Check a time that cannot be before 2001: a smaller number is a duration, or of a monotonic clock.

    Args:
        value: the time.
        option: the name of the option.
        write: the spelling that works.
        infinite: as that of `check_moment`.

    Raises:
        ConfigurationError: if the value is no time, or before 2001.
    """
    seconds = check_moment(value, option, infinite=infinite)
    if seconds < _FIRST_MOMENT:
        raise ConfigurationError(
            f"{option} must be seconds since the epoch, got {seconds:.0f}, which is before 2001: "
            f"write {write}"
        )
    return seconds


def _got(value: object) -> str:
    return got(value, numeric=True)


def _in_seconds(value: object) -> object:
    """Return the seconds of a timedelta, by its method: the core does not import its module."""
    to_seconds = getattr(value, "total_seconds", None)
    return to_seconds() if callable(to_seconds) and not isinstance(value, type) else value
