"""Build the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11: Lists of Strings (RFC 9651)."""

from collections.abc import Iterable
from math import ceil
from typing import TypeAlias

from authguard._core.quota import Quota

#: The remaining amount of a quota, the seconds until it grows, and the seconds until a cost can be taken.
State: TypeAlias = tuple[int, float, float]


def policy_field(quotas: Iterable[Quota]) -> str:
    """Return the value of RateLimit-Policy: the size of each quota, and its window in seconds.

    Args:
        quotas: the quotas, whose names need no escapes.
    """
    return ", ".join([f'"{quota.policy}";q={quota.count};w={quota.window}' for quota in quotas])


def limit_template(quotas: Iterable[Quota]) -> bytes:
    """Return the template of `limit_field`, because building it for each request would take longer.

    Args:
        quotas: the quotas, whose names need no escapes.
    """
    names = [quota.policy.replace("%", "%%") for quota in quotas]
    return ", ".join([f'"{name}";r=%d;t=%d' for name in names]).encode("ascii")


def limit_field(template: bytes, states: Iterable[State]) -> bytes:
    """Return the value of RateLimit: the remaining amount of each quota, and the seconds until it grows.

    Args:
        template: the template of the quotas.
        states: the states of the quotas.
    """
    values: tuple[int, ...] = ()
    for remaining, reset, _ in states:
        values += (remaining, ceil(reset))
    return template % values


def refused_field(quotas: Iterable[Quota], states: Iterable[State]) -> str:
    """Return the value of RateLimit for a refusal.

    Other quotas may lack more for longer than the caller has to wait, so no time is given for them.

    Args:
        quotas: the quotas.
        states: of the quotas.
    """
    return ", ".join(
        [
            f'"{quota.policy}";r={remaining}' + (f";t={ceil(reset)}" if wait and quota.enforce else "")
            for quota, (remaining, reset, wait) in zip(quotas, states, strict=True)
        ]
    )
