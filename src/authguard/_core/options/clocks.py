"""Check clocks, which are functions without arguments that return seconds."""

from authguard._core.options.numbers import is_finite
from authguard._core.options.objects import check_function, is_async_function
from authguard._core.options.values import got
from authguard.errors import ConfigurationError


def check_clock(clock: object, write: str = "time.time") -> None:
    """Check a clock by reading it once.

    Args:
        clock: the function.
        write: the usual clock, for the error.

    Raises:
        ConfigurationError: if it is not a function, takes arguments, or does not return seconds.
    """
    example = f"write clock={write}"
    check_function(clock, "clock", f"clock={write}", or_none=False)
    if is_async_function(clock):
        raise ConfigurationError(f"clock must be a plain function, got an async one: {example}")
    try:
        reading = clock()  # type: ignore[operator]
    except TypeError as error:
        raise ConfigurationError(f"clock must be a function, got one with arguments: {example}") from error
    if isinstance(reading, bool) or not isinstance(reading, (int, float)) or not is_finite(reading):
        raise ConfigurationError(f"clock must return seconds, got {got(reading, numeric=True)}: {example}")
