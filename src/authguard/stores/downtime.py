"""Check the options that all stores share."""

from typing import Literal, TypeAlias

from authguard._core.options import Duration, check_choice, check_seconds, got
from authguard.errors import ConfigurationError

#: `"deny"` refuses with 503; `("stale", seconds)` uses the known revocations for that many seconds beyond the
#: bound.
Down: TypeAlias = Literal["deny"] | tuple[Literal["stale"], float | Duration]

MIN_BOUND, MAX_BOUND = 0.1, 60.0  # seconds
MAX_STALE = 86_400.0


def check_bound(bound: object) -> float:
    """Check the seconds within which a revocation reaches every process.

    Raises:
        ConfigurationError: if the type is wrong, or the number is out of range.
    """
    return check_seconds(bound, "bound", MAX_BOUND, least=MIN_BOUND)


def check_revocations_down(down: object) -> float:
    """Check the option, and return the seconds for which stale revocations may be used.

    Raises:
        ConfigurationError: if the word or type is wrong, or the number is out of range.
    """
    if isinstance(down, (tuple, list)) and len(down) == 2 and down[0] == "stale":
        return check_seconds(down[1], "the seconds of revocations_down", MAX_STALE)
    if down == "deny":
        return 0.0
    raise ConfigurationError(f'revocations_down must be "deny" or ("stale", seconds), got {got(down)}')


def check_replays_down(down: object) -> None:
    """Check the option `replays_down`. A proof that may have been used is always refused.

    Raises:
        ConfigurationError: for anything but `"deny"`.
    """
    check_choice(down, "replays_down", ("deny",))
