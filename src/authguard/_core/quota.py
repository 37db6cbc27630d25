"""Define a quota: how much one caller may send in a period."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from authguard._core.options import (
    Duration,
    check_choice,
    check_flag,
    check_list,
    check_text,
    check_whole,
    check_whole_seconds,
    got,
    named_options,
)
from authguard.errors import ConfigurationError

#: Whether a quota counts all credentials of a subject together, or each API key separately.
CountedBy: TypeAlias = Literal["owner", "key"]
QuotaT = TypeVar("QuotaT")

_MAX_COUNT = 10**12
_MAX_SECONDS = 366 * 86_400
_DAY = 86_400
_MAX_NAME = 128
# A String of RFC 9651 without escapes, because it is in the RateLimit fields.
_NAME = re.compile(rf"[ !#-\[\]-~]{{1,{_MAX_NAME}}}\Z")
_WORDS = {1: "second", 60: "minute", 3600: "hour", _DAY: "24-hours", 7 * _DAY: "7-days"}
_RATE = re.compile(r"([0-9]{1,12}) ?(?:/|per) ?([0-9]{0,6}) ?(second|minute|hour|day|week|month)s?\Z")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY}


def _with_seconds(kind: type[QuotaT]) -> type[QuotaT]:
    """Decorate the class, so that a call without its seconds is an error with the spelling that works."""
    call = kind.__init__

    @functools.wraps(call)
    def called(self: QuotaT, *args: Any, **options: Any) -> None:
        if len(args) == 1 and "seconds" not in options and options.keys() <= {"name", "by", "enforce"}:
            raise ConfigurationError(
                f"a Quota must have a count and seconds, got {got(args[0])} alone: write {_meant(args[0])}"
            )
        call(self, *args, **options)

    kind.__init__ = called  # type: ignore[method-assign, assignment]
    return kind


def _meant(value: object) -> str:
    """Return the call that a rate in words means, such as `10/minute`, or an example."""
    rate = _RATE.match(value.strip().lower()) if isinstance(value, str) else None
    if rate is None:
        count = value if type(value) is int else 10
        return f'Quota({count}, 60) for a minute, or Quota({count}, "day")'
    return f"Quota({int(rate[1])}, {int(rate[2] or 1) * _SECONDS[rate[3]]})"


@named_options
@_with_seconds
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
                seconds = _SECONDS.get(self.seconds.lower().removesuffix("s"), 60)
                raise ConfigurationError(
                    f'seconds of a Quota must be a number, a timedelta or "day", got {got(self.seconds)}: '
                    f"write Quota({self.count}, {seconds})"
                )
            seconds = check_whole_seconds(self.seconds, "seconds of a Quota", _MAX_SECONDS, least=1)
            object.__setattr__(self, "seconds", seconds)
        if self.name is not None:
            must = f"be at most {_MAX_NAME} printable ASCII characters without quotes and backslashes"
            check_text(self.name, "name of a Quota", pattern=_NAME, must=must)
        check_choice(self.by, "by of a Quota", get_args(CountedBy))
        check_flag(self.enforce, "enforce of a Quota")

    # The hash is cheap, because each request looks up its counters by its quotas.
    def __hash__(self) -> int:
        return hash((self.count, self.name))

    @property
    def is_daily(self) -> bool:
        """Return whether the quota is for the calendar day, and not for a sliding window."""
        return self.seconds == "day"

    @property
    def window(self) -> int:
        """Return the length of the window in seconds."""
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
