"""Hold the options that all clients for Redis share."""

from typing import Any

# Each thread may need one. With the default of redis-py, 100 since release 8, Redis would seem to be down for
# all further threads.
_MAX_CONNECTIONS = 2**31


def redis_options(timeout: float, *, retries: int) -> dict[str, Any]:
    """Return the options of a client of redis-py.

    Args:
        timeout: seconds for connecting, and for each answer.
        retries: how often a call is repeated after an error of the connection, without a pause.
    """
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), retries),
        "max_connections": _MAX_CONNECTIONS,
    }
