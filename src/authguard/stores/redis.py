"""Share revocations and DPoP proofs by Redis, for several machines."""

import re
from typing import TYPE_CHECKING

from authguard._core.options import Duration, check_text, named_options
from authguard._extras import needs_extra
from authguard.errors import ConfigurationError
from authguard.stores.downtime import Down
from authguard.stores.places import redis_place, shown_url, split_url
from authguard.stores.redis_log import RedisLog
from authguard.stores.redis_options import check_redis_options, redis_options
from authguard.stores.store import Store
from authguard.stores.url_checks import check_url_text

if TYPE_CHECKING:
    from redis import Redis

# The braces are the hash tag of a cluster, which ends at the first closing brace.
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")


@named_options
class RedisStore(Store):
    """Store revocations and used proofs in Redis 6.2 or later.

    Configure Redis to write its data to disk (`appendonly yes`). If Redis loses its data, running processes
    restore the revocations that they have in memory. Meanwhile, for about the bound, requests are refused
    with 503.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        bound: seconds after which a revocation applies in every process, 0.1 to 60.
        revocations_down: the behaviour when Redis has not answered for the bound: `"deny"` answers with 503;
            `("stale", seconds)` uses the known revocations for that many more seconds.
        replays_down: the same for DPoP proofs: `"deny"` only.
        prefix: the beginning of each key: letters, digits, and `_.:-`. Processes with another prefix share
            nothing with this one; the identity service uses the default.

    Attributes:
        revocations: for `Guard(revocations=…)`.
        replays: for `DPoP(replays=…)`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        bound: float | Duration = 1.0,
        revocations_down: Down = "deny",
        replays_down: Down = "deny",
        prefix: str = "authguard",
    ) -> None:
        check_prefix(prefix)
        super().__init__(
            lambda timeout: RedisLog(lambda: _connect(url, timeout), prefix),
            check_redis_url(url, prefix),
            bound=bound,
            revocations_down=revocations_down,
            replays_down=replays_down,
        )


def check_prefix(prefix: object) -> None:
    """Check the beginning of all keys.

    Raises:
        ConfigurationError: if it contains other characters.
    """
    check_text(prefix, "prefix", pattern=_PREFIX, must="be letters, digits and _.:- (at most 100)")


def check_redis_url(url: object, prefix: str) -> str:
    """Check the URL of a server, and return the place of the store, which may be shown.

    Raises:
        ConfigurationError: if it is not the URL of a Redis server, or redis-py is not installed.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in ("redis", "rediss", "unix"):
        raise _wrong_url(url)
    check_url_text(str(url), "url")
    if parts.scheme != "unix" and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise _wrong_url(url)  # redis-py would use database 0
    with needs_extra("redis"):
        import redis  # noqa: F401 (the error of a missing library names the extra)
    try:
        place = redis_place(str(url), prefix)
    except ValueError:  # its text contains the URL
        raise _wrong_url(url) from None
    check_redis_options(str(url), "url")
    return place


def _wrong_url(url: object) -> ConfigurationError:
    shown = shown_url(url, '"redis://localhost:6379/0"')
    return ConfigurationError(f"url must be the URL of a Redis server, got {shown}")


def _connect(url: str, timeout: float) -> "Redis":
    from redis import Redis

    # A call is retried once, because the server may have closed a pooled connection. Every script may run
    # twice.
    return Redis.from_url(url, **redis_options(timeout, retries=1))
