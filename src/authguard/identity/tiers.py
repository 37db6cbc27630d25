"""Read the tiers of API keys: the requests of an owner a minute and a day, and the store of their counts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from authguard._core.options import check_mapping, check_whole, got
from authguard._core.quota import Quota
from authguard.errors import ConfigurationError
from authguard.stores import RedisQuotas

MAX_REQUESTS = 1_000_000_000
#: The name differs from that of applications with quotas in the same Redis, whose counts are separate.
_PREFIX = "authguard:identity"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_TIER = re.compile(r"\s*([0-9]{1,10})\s*/\s*([0-9]{1,10})\s*")


@dataclass(frozen=True, slots=True)
class Tier:
    """Allow a number of requests.

    Attributes:
        per_minute: in any 60 seconds.
        per_day: in a calendar day in UTC.

    Raises:
        ConfigurationError: unless both are whole numbers of at least 1.
    """

    per_minute: int
    per_day: int

    def __post_init__(self) -> None:
        for name in ("per_minute", "per_day"):
            check_whole(getattr(self, name), f"{name} of a tier such as Tier(10, 1000)", 1, MAX_REQUESTS)


#: The tiers without a setting: requests a minute, and requests a day.
DEFAULT_TIERS: Mapping[str, Tier] = {
    "free": Tier(10, 1_000),
    "basic": Tier(60, 10_000),
    "pro": Tier(600, 100_000),
    "enterprise": Tier(6_000, 1_000_000),
}


def parse_tiers(tiers: object) -> dict[str, Tier]:
    """Return the default tiers, replaced or extended by others.

    Args:
        tiers: for each name a `Tier`, a text such as `10/1000` (a minute and a day), or a table with
            `per_minute` and `per_day`.

    Raises:
        ConfigurationError: if a name is invalid, a value has another form, or a tier allows more requests a
            minute than a day.
    """
    given = check_mapping(tiers, "api_key_tiers", 'api_key_tiers={"free": "10/1000"}')
    parsed = {_check_name(name): _parse_tier(name, value) for name, value in given.items()}
    for name, tier in parsed.items():
        if tier.per_minute > tier.per_day:
            raise ConfigurationError(
                f"the tier {name} must not allow more requests a minute than a day, got {tier.per_minute} a "
                f"minute and {tier.per_day} a day: write the minute first, such as 10/1000"
            )
    return {**DEFAULT_TIERS, **parsed}


def _check_name(name: object) -> str:
    if isinstance(name, str) and _NAME.match(name):
        return name
    raise ConfigurationError(
        f'each name of api_key_tiers must be 1 to 32 letters, digits, "_" or "-", got {got(name)}'
    )


def _parse_tier(name: str, value: object) -> Tier:
    try:
        if isinstance(value, Tier):
            return value
        if isinstance(value, str) and (numbers := _TIER.fullmatch(value)):
            return Tier(int(numbers[1]), int(numbers[2]))
        if isinstance(value, Mapping) and value.keys() == {"per_minute", "per_day"}:
            return Tier(value["per_minute"], value["per_day"])
    except ConfigurationError:
        pass
    raise ConfigurationError(
        f"the tier {name} must be requests a minute and a day, both at least 1, such as 10/1000, got "
        f"{got(value)}"
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Show the requests with the keys of an owner, and their limits.

    Attributes:
        tier: the tier with these limits.
        today: requests of this day in UTC.
        month: requests of this month in UTC.
        per_day: the limit a day.
        per_minute: the limit in 60 seconds.
    """

    tier: str
    today: int
    month: int
    per_day: int
    per_minute: int


def tier_quotas(tiers: Mapping[str, object] | None = None) -> dict[str | None, list[Quota]]:
    """Return the limits of tiers for `Guard(quotas=…)`; callers without a tier have none.

    Args:
        tiers: as `Settings.api_key_tiers`; None for the defaults.

    Raises:
        ConfigurationError: for an invalid name, and for invalid limits.
    """
    if tiers is not None:
        check_mapping(tiers, "tiers", 'tier_quotas({"free": "10/1000"})')
    parsed = parse_tiers({} if tiers is None else tiers)
    quotas: dict[str | None, list[Quota]] = {
        name: [Quota(tier.per_minute, 60), Quota(tier.per_day, "day")] for name, tier in parsed.items()
    }
    return {None: [], **quotas}


def open_key_quotas(limits_url: str) -> RedisQuotas | None:
    """Return the store that counts the requests with API keys, for all processes of the service.

    Args:
        limits_url: as `Settings.limits_url`.

    Returns:
        None for the memory of this process.

    Raises:
        ConfigurationError: if it is not a URL of Redis, or redis-py is missing.
    """
    return None if limits_url.startswith("memory:") else RedisQuotas(limits_url, prefix=_PREFIX)
