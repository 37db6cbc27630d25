"""Say what happens while a store does not answer."""

from typing import Literal, TypeAlias

from authguard.errors import ConfigurationError

#: `"deny"` refuses with 503; `("stale", seconds)` trusts what is known for that much longer than the bound.
Down: TypeAlias = Literal["deny"] | tuple[Literal["stale"], float]

MIN_BOUND = 0.1  # seconds
MAX_BOUND = 60.0
MAX_STALE = 86_400.0


def check_down(bound: object, revocations_down: object, replays_down: object) -> float:
    """Check the options that all stores have, and return the seconds to trust stale revocations.

    Raises:
        ConfigurationError: if one is of the wrong type or out of range.
    """
    if not _is_between(bound, MIN_BOUND, MAX_BOUND):
        raise ConfigurationError(f"bound must be {MIN_BOUND:g} to {MAX_BOUND:g} seconds, got {bound!r}")
    if replays_down != "deny":
        raise ConfigurationError(
            f'replays_down must be "deny", got {replays_down!r}: a proof that may have been used is refused'
        )
    if revocations_down == "deny":
        return 0.0
    if isinstance(revocations_down, (tuple, list)) and len(revocations_down) == 2:
        word, seconds = revocations_down
        if word == "stale" and _is_between(seconds, 0, MAX_STALE):
            return float(seconds)
    raise ConfigurationError(
        f'revocations_down must be "deny" or ("stale", seconds) with at most {MAX_STALE:g} seconds, '
        f"got {revocations_down!r}"
    )


def _is_between(value: object, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
