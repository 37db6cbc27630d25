"""Hold the options of all clients for Redis, check those of a URL, and describe errors in words."""

import re
from typing import Any

from authguard.errors import ConfigurationError

# Each thread may need one. With the default of redis-py, 100 since release 8, Redis would seem to be down for
# all further threads.
_MAX_CONNECTIONS = 2**31
_UNKNOWN = re.compile(r"unexpected keyword argument '([A-Za-z_]{1,40})'")
# The code at the beginning of an error of the server, such as WRONGTYPE.
_CODE = re.compile(r"[A-Z]{3,20}\b")
#: Patterns of the errors of redis-py, and the remedy. Their texts may contain the address with its password.
_REMEDIES = {
    "DB index is out of range": "the server has no database of the number in the URL",
    r"\[SSL|certificate verify failed": "TLS failed; rediss:// needs a port with TLS and a valid certificate",
    "Timeout connecting": "check the host and port of the URL; rediss:// needs a port with TLS",
    "maxmemory": "the server has no memory for writes; raise maxmemory, or let it evict keys of others",
    "read only replica": "the server is a replica, which takes no writes; use the address of the primary",
    "max number of clients": "the server takes no more connections; raise maxclients",
    r"Error -\d+ connecting|Name or service not known": "the host of the URL is not known",
    r"connecting to (?:unix socket: ?)?/.*No such file": "no server listens at the socket of the URL",
    "Connection refused": "no server listens at the host and port of the URL",
    "No route to host|Network is unreachable": "check the host and port of the URL, and firewalls",
    "Protocol Error": "the server at the host and port of the URL is not Redis",
    "Connection closed by server|Connection reset by peer": (
        "the server has closed the connection: it stops, or is not Redis"
    ),
    "invalid username-password pair|WRONGPASS": "the server refuses the user or the password of the URL",
    "Authentication required|client already authenticated": (
        "the server requires a password, and the URL has none"
    ),
    "without any password configured": "the server has no password, and the URL has one",
    "no permissions": "the user of the URL may not use the commands or keys; change its ACL",
}


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
        from redis import ConnectionPool, RedisError
    except ImportError:
        return
    try:
        ConnectionPool.from_url(url).make_connection()
    except TypeError as error:
        name = _UNKNOWN.search(str(error))
        raise ConfigurationError(
            f"{option} must have only options of redis-py after `?`, got {name[1] if name else 'another'}: "
            "leave it out"
        ) from None
    except (RedisError, UnboundLocalError):
        # Of a value such as protocol=9; its text may contain the value. redis-py 5.0 has another error for a
        # protocol that is not a number.
        raise ConfigurationError(
            f"{option} must have values of redis-py in its options after `?`, got others: leave them out"
        ) from None
    except ValueError:
        return


def redis_reason(error: BaseException) -> str:
    """Return the class of an error, its code if it has one, and a remedy if one is known."""
    text = str(error)
    code = _CODE.match(text)
    remedy = next((words for pattern, words in _REMEDIES.items() if re.search(pattern, text)), None)
    is_code = code is not None and remedy is None
    name = type(error).__name__ + (f" ({code[0]})" if code and is_code else "")
    return f"{name}: {remedy}" if remedy else name
