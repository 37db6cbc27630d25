"""Find the exception of an outage, such as a lost connection, among those of drivers and clients."""

import errno
import re

# Python's own exceptions, and those of libraries with other base classes, such as `redis.exceptions`.
_OUTAGES = frozenset({"ConnectionError", "TimeoutError", "gaierror"})
_OF_HTTPX = frozenset({"TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"})
# The classes of clients for a server that breaks off or has another role now; not for mistakes of the caller.
# For other drivers, an `OperationalError` may also be a mistake in a statement.
_OUTAGES_BY_MODULE = {
    "psycopg": {"OperationalError"},
    "psycopg2": {"OperationalError"},
    "pymongo.errors": {"ConnectionFailure", "ExecutionTimeout"},
    "httpx": _OF_HTTPX,
    "httpx2": _OF_HTTPX,
    "httpcore": _OF_HTTPX,
    "http.client": {"IncompleteRead", "BadStatusLine"},
    "ssl": {"SSLError"},
    "urllib3.exceptions": {"ProtocolError", "SSLError"},
    "aiohttp.client_exceptions": {"ClientConnectionError", "ClientPayloadError"},
    "redis.exceptions": {"ReadOnlyError", "ClusterDownError", "MasterDownError", "TryAgainError"},
}
# The classes for an answer with a status of failure.
_STATUS_ERRORS = {
    "httpx": "HTTPStatusError",
    "httpx2": "HTTPStatusError",
    "requests.exceptions": "HTTPError",
    "urllib.error": "HTTPError",
    "aiohttp.client_exceptions": "ClientResponseError",
}
# The SQLSTATE classes that psycopg raises as an `OperationalError`: connection, authorization, database name,
# rollback, resources, locks, operators, system. asyncpg has classes of its own for them, under `sqlstate`.
_OUTAGE_SQLSTATES = ("08", "28", "3D", "40", "53", "55", "57", "58")
_SQLSTATE = re.compile("[0-9A-Z]{5}", re.ASCII)
_SQLITE_NAME = re.compile("SQLITE_[A-Z_]{1,40}", re.ASCII)
# The names of SQLite's codes for a file that is locked, full, damaged, or cannot be read or opened. The class
# of most of them is `OperationalError`, as that of a mistake in a statement.
_OUTAGE_SQLITE = tuple(
    f"SQLITE_{name}" for name in ["BUSY", "LOCKED", "IOERR", "FULL", "CANTOPEN", "CORRUPT", "NOTADB"]
)
# The drivers of MySQL and MariaDB, whose exceptions have a number, and the numbers of outages. Those of the
# client: the server cannot be reached, or is lost. Those of the server: its disk or memory is full, no more
# connections, account or database refused, shutting down, locks, read-only, a statement took too long.
_MYSQL = ("pymysql.", "MySQLdb.", "mysql.connector.", "asyncmy.", "mariadb.")
_OUTAGE_MYSQL = frozenset(
    {2002, 2003, 2004, 2005, 2006, 2012, 2013, 2026, 2027, 2055, 2061}
    | {1021, 1037, 1038, 1040, 1041, 1042, 1043, 1044, 1045, 1049, 1053, 1114, 1129, 1130, 1152}
    | {1158, 1159, 1160, 1161, 1184, 1194, 1195, 1203, 1205, 1213, 1226, 1290, 1317, 1792, 1836}
    | {1927, 1969, 3024, 4031}
)
# A connection that the drivers have closed themselves, without a number of the server.
_MYSQL_CLOSED = frozenset({("InterfaceError", 0), ("OperationalError", -1)})
_OUTAGE_ERRNOS = frozenset({errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH})
# Python's own exceptions that applications raise because of an outage.
_WRAPPERS = (Exception, RuntimeError, OSError)
_MAX_CAUSES = 8  # libraries wrap an exception two or three times


def find_outage(error: BaseException | None) -> BaseException | None:
    """Return the exception that shows an outage; None for a bug.

    Libraries wrap such an exception in their own, so its causes are examined. A built-in exception such as
    TypeError is a bug, even if it is raised while an outage is being handled, unless it is raised `from` the
    outage; but a RuntimeError is raised on purpose. An exception group, such as that of a TaskGroup, is an
    outage if each of its exceptions is.
    """
    for _ in range(_MAX_CAUSES):
        if error is None:
            break
        kind = type(error)
        if any(_is_outage(base) for base in kind.__mro__) or _is_database_outage(error):
            return error
        if _failed_status(error) is not None:
            return error
        if isinstance(error, OSError) and error.errno in _OUTAGE_ERRNOS:
            return error
        if isinstance(error, BaseExceptionGroup):
            outages = [find_outage(each) for each in error.exceptions]
            return None if None in outages else outages[0]
        error = error.__cause__ or (error.__context__ if _may_wrap(error) else None)
    return None


def _may_wrap(error: BaseException) -> bool:
    """Return whether an exception that is raised while another one is handled may stand for it."""
    if type(error) in _WRAPPERS:
        return not error.__suppress_context__
    # The context of a library's exception counts even if `from None` hides it, as httpcore does.
    return type(error).__module__ != "builtins"


def _is_outage(kind: type) -> bool:
    return kind.__name__ in _OUTAGES or kind.__name__ in _OUTAGES_BY_MODULE.get(kind.__module__, ())


def _failed_status(error: BaseException) -> int | None:
    """Return the status 429 or 5xx of an answer that an HTTP client reports; None for anything else."""
    if not any(_STATUS_ERRORS.get(base.__module__) == base.__name__ for base in type(error).__mro__):
        return None
    for answer in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            status = getattr(answer, name, None)
            if isinstance(status, int) and (status == 429 or 500 <= status <= 599):
                return status
    return None


def _is_database_outage(error: BaseException) -> bool:
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str) and sqlstate.startswith(_OUTAGE_SQLSTATES):
        return True
    name = getattr(error, "sqlite_errorname", None)
    if isinstance(name, str) and name.startswith(_OUTAGE_SQLITE):
        return True
    number = _mysql_number(error)
    if number in _OUTAGE_MYSQL or (type(error).__name__, number) in _MYSQL_CLOSED:
        return True
    # SQLAlchemy sets this for any driver whose connection is lost.
    return getattr(error, "connection_invalidated", None) is True


def _mysql_number(error: BaseException) -> int | None:
    """Return the number of an exception of a driver for MySQL or MariaDB; None for any other."""
    if not any(f"{base.__module__}.".startswith(_MYSQL) for base in type(error).__mro__):
        return None
    number = getattr(error, "errno", None) or next(iter(error.args), None)
    return number if isinstance(number, int) else None


def describe_outage(error: BaseException, outage: BaseException) -> str:
    """Return the names of the exceptions, with the code of the server.

    Only the text of an exception of the operating system is shown, because it contains no secrets.

    Args:
        error: the exception of the callback.
        outage: the exception among its causes that shows the outage.
    """
    text = _name_of(error) if error is outage else f"{_name_of(error)} from {_name_of(outage)}"
    number, status = _mysql_number(outage), _failed_status(outage)
    if number is not None or status is not None:
        return f"{text} (error {number})" if status is None else f"{text} (status {status})"
    sqlstate = getattr(outage, "sqlstate", None)
    if isinstance(sqlstate, str) and _SQLSTATE.fullmatch(sqlstate):
        return f"{text} (SQLSTATE {sqlstate})"
    name = getattr(outage, "sqlite_errorname", None)
    if isinstance(name, str) and _SQLITE_NAME.fullmatch(name):
        return f"{text} ({name})"
    return f"{text} ({outage})" if isinstance(outage, OSError) and outage.errno is not None else text


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
