"""Limit how often something is tried: passwords, mails, registrations."""

from authguard.identity.limits.limiter import (
    DEFAULT_LIMITS,
    DELAY,
    Limit,
    Limiter,
    networks,
    parse_limits,
)
from authguard.identity.limits.stores import check_limits_url

__all__ = ["DEFAULT_LIMITS", "DELAY", "Limit", "Limiter", "check_limits_url", "networks", "parse_limits"]
