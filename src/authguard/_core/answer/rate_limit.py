"""Make the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11: Lists of Strings (RFC 9651)."""

from collections.abc import Iterable
from math import ceil

from authguard._core.quota import Quota

#: A policy, how much of it remains, and in how many seconds there is more; None to leave that out.
Remaining = tuple[str, int, float | None]


def policy_field(quotas: Iterable[Quota]) -> str:
    """Return the value of RateLimit-Policy: what there is of each quota, and for how many seconds.

    Args:
        quotas: the quotas, whose names need no escapes.
    """
    return ", ".join([f'"{quota.policy}";q={quota.count};w={quota.window}' for quota in quotas])


def limit_field(states: Iterable[Remaining]) -> str:
    """Return the value of RateLimit: what remains of each quota, and for how many seconds no more than that.

    Args:
        states: of the quotas.
    """
    return ", ".join(
        [
            f'"{policy}";r={remaining}' if reset is None else f'"{policy}";r={remaining};t={ceil(reset)}'
            for policy, remaining, reset in states
        ]
    )
