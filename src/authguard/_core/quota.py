"""Define a quota: how much one caller may send in a period."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast, get_args

from authguard._core.options import (
    Duration,
    check_choice,
    check_flag,
    check_list,
    check_text,
    check_whole,
    check_whole_seconds,
    got,
)
from authguard.errors import ConfigurationError

CountedBy: TypeAlias = Literal["owner", "key"]

_MAX_COUNT = 10**12
_MAX_SECONDS = 366 * 86_400
_DAY = 86_400
_MAX_NAME = 128
# A String of RFC 9651 without escapes, because it is in the RateLimit fields.
_NAME = re.compile(rf"[ !#-\[\]-~]{{1,{_MAX_NAME}}}\Z")
_WORDS = {1: "second", 60: "minute", 3600: "hour", _DAY: "24-hours", 7 * _DAY: "7-days"}


@dataclass(frozen=True, slots=True)
class Quota:
    """Limit how much one caller may send in any window of some seconds, or in each calendar day.

    Args:
        count: the amount; a request counts 1, or the `cost` of its rule.
        seconds: the length of the sliding window: whole seconds, or a timedelta. `"day"` is the calendar day
            in UTC.
        name: the policy name in the RateLimit fields, and the key of the count; printable ASCII without
            quotes and backslashes. None derives it from the seconds, such as `per-minute`.
        by: `"owner"` counts all credentials of a subject together, `"key"` each API key separately.
        enforce: if False, requests are counted and reported, but not refused.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    count: int
    seconds: float | Duration | Literal["day"]
    name: str | None = field(default=None, kw_only=True)
    by: CountedBy = field(default="owner", kw_only=True)
    enforce: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_whole(self.count, "count of a Quota", 1, _MAX_COUNT)
        if self.seconds != "day":
            if isinstance(self.seconds, str):
                raise ConfigurationError(
                    f'seconds of a Quota must be a number, a timedelta or "day", got {got(self.seconds)}'
                )
            seconds = check_whole_seconds(self.seconds, "seconds of a Quota", _MAX_SECONDS, least=1)
            object.__setattr__(self, "seconds", seconds)
        if self.name is not None:
            must = f"be at most {_MAX_NAME} printable ASCII characters without quotes and backslashes"
            check_text(self.name, "name of a Quota", pattern=_NAME, must=must)
        check_choice(self.by, "by of a Quota", get_args(CountedBy))
        check_flag(self.enforce, "enforce of a Quota")

    # Cheap, since each request looks up what is counted for it by its quotas.
    def __hash__(self) -> int:
        return hash((self.count, self.name))

    @property
    def is_daily(self) -> bool:
        """Tell a quota for the calendar day from one for a window that slides."""
        return self.seconds == "day"

    @property
    def window(self) -> int:
        """Return its seconds."""
        return _DAY if self.is_daily else cast("int", self.seconds)

    @property
    def policy(self) -> str:
        """Return the name in the RateLimit fields."""
        if self.name is not None:
            return self.name
        return "per-day" if self.is_daily else f"per-{_WORDS.get(self.window, f'{self.window}-seconds')}"

    def named(self, name: str) -> "Quota":
        """Return the same quota under a name."""
        return replace(self, name=name)

    def __str__(self) -> str:
        time = "calendar day" if self.is_daily else f"{self.window} seconds"
        return f"{self.count} per {time} ({self.policy})" + ("" if self.enforce else ", not enforced")


def check_quotas(quotas: object, option: str) -> tuple[Quota, ...]:
    """Check a list of quotas, each of a name of its own.

    Args:
        quotas: any iterable of them, which may be empty.
        option: the name of the option.

    Raises:
        ConfigurationError: for anything else.
    """
    if isinstance(quotas, Quota):
        example = f"[Quota({quotas.count}, {quotas.seconds!r})]"
        raise ConfigurationError(f"{option} must be a list, got a Quota: write {example}")
    if quotas is None or isinstance(quotas, str):
        example = "[Quota(10, 60)], or [] for no quota"
        raise ConfigurationError(f"{option} must be a list, got {got(quotas)}: write {example}")
    listed = check_list(quotas, option, "Quota(10, 60)")
    names: set[str] = set()
    for quota in listed:
        if not isinstance(quota, Quota):
            raise ConfigurationError(
                f"each of {option} must be a Quota, got {got(quota)}: write Quota(10, 60)"
            )
        if quota.policy in names:
            raise ConfigurationError(
                f"each of {option} must have a name of its own, got two of {quota.policy!r}: write "
                f"Quota(…, name=…)"
            )
        names.add(quota.policy)
    return tuple(listed)


def check_quota_or_list(quotas: Quota | Iterable[Quota] | None, option: str) -> tuple[Quota, ...]:
    """Check an option that takes one quota, a list of them that is not empty, or None.

    Raises:
        ConfigurationError: for anything else.
    """
    if quotas is None or isinstance(quotas, Quota):
        return () if quotas is None else (quotas,)
    checked = check_quotas(quotas, option)
    if not checked:
        raise ConfigurationError(f"{option} must name at least one, or be left out, got an empty list")
    return checked
