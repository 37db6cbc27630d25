"""Open the store of counts: the memory of this process, or Redis."""

import re

from authguard._core.options import check_text
from authguard._extras import needs_extra
from authguard.errors import ConfigurationError
from authguard.identity.limits.memory import CountMemory
from authguard.identity.limits.redis import CountRedis
from authguard.stores.places import check_redis_parts
from authguard.stores.redis_options import check_redis_options, redis_options
from authguard.stores.url_checks import check_url_text

STORE_SECONDS = 1.0  # seconds for connecting, and for each answer
_STORE_URL = re.compile(r"memory://\Z|rediss?://")


def check_limits_url(url: str, option: str) -> str:
    """Check the URL of the store of limits.

    Args:
        url: the URL.
        option: the name of the option.

    Raises:
        ConfigurationError: if it is of another kind.
    """
    must = "be memory://, redis://… or rediss://…"
    if isinstance(url, str):
        check_url_text(url, option)
    check_text(url, option, pattern=_STORE_URL, must=must, secret=True)
    if url != "memory://":
        check_redis_parts(url, option)
        check_redis_options(url, option)
    return url


def open_counts(url: str) -> CountMemory | CountRedis:
    """Open the store of counts at a URL; a connection is made by the first request.

    Raises:
        ConfigurationError: if the URL is of another kind, or cannot be read.
    """
    check_limits_url(url, "url")
    if url == "memory://":
        return CountMemory()
    with needs_extra("redis"):
        from redis import ConnectionPool
    try:
        pool = ConnectionPool.from_url(url, **redis_options(STORE_SECONDS, retries=1))
        return CountRedis(url, connection_pool=pool, key_prefix="authguard", wrap_exceptions=True)
    except ValueError:  # its text may contain the password
        raise ConfigurationError("url must be a redis:// URL that can be read, got another") from None
