"""Hold the options that all clients for Redis share, and check those of a URL."""

import re
from typing import Any

from authguard.errors import ConfigurationError

# Each thread may need one. With the default of redis-py, 100 since release 8, Redis would seem to be down for
# all further threads.
_MAX_CONNECTIONS = 2**31
_UNKNOWN = re.compile(r"unexpected keyword argument '([A-Za-z_]{1,40})'")


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


def check_redis_options(url: str, option: str) -> None:
    """Check that redis-py knows each option after the `?` of a URL: it would raise a `TypeError` later.

    A missing redis-py, and a URL that it cannot read, are errors of the code that opens the store.

    Args:
        url: the URL.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: otherwise.
    """
    try:
        from redis import ConnectionPool

        ConnectionPool.from_url(url).make_connection()
    except TypeError as error:
        name = _UNKNOWN.search(str(error))
        raise ConfigurationError(
            f"{option} must have only options of redis-py after `?`, got {name[1] if name else 'another'}: "
            "leave it out"
        ) from None
    except (ImportError, ValueError):
        return
