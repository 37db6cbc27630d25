"""Describe why a database does not answer, for operators.

The driver's text is never shown, because it may contain a part of the URL, the statement, or values.
"""

import logging
import re
from threading import Lock
from time import monotonic

from sqlalchemy import exc

#: A separate logger, so that commands, which report the reason themselves, can switch it off.
logger = logging.getLogger("authguard.outages")

#: Seconds in which one reason is logged once, because every request meets it during an outage.
LOG_SECONDS = 10.0
_MAX_REASONS = 100

_NO_TABLES = "it has no tables of the service; run `authguard db upgrade`, or correct the URL"
_LOST = "the connection was lost"
#: Patterns of drivers' messages, and the text for the log.
_TEXTS = {
    'no such table|relation ".*" does not exist': _NO_TABLES,
    "unable to open database file": "the file cannot be opened; its folder must exist and be writable",
    "database is locked": "it is locked by another process",
    "Connection refused": "no server listens at the host and port of the URL",
    "failed to resolve host|Name or service not known": "the host of the URL is not known",
    "password authentication failed": "the server refuses the user or the password of the URL",
    'FATAL:  database ".*" does not exist': "the server has no database of the name in the URL",
    'FATAL:  role ".*" does not exist': "the server has no user of the name in the URL",
    "too many clients|remaining connection slots|no more connections allowed": (
        "the server takes no more connections; raise max_connections, or lower worker_threads"
    ),
    "the database system is (starting up|in recovery|shutting down)": "the server is starting or stopping",
    "no pg_hba.conf entry": "the server does not let this host or user in; see its pg_hba.conf",
    "the server does not answer|connection timeout expired|timeout expired": (
        "the server does not answer in time"
    ),
    "server closed the connection|terminating connection|connection is closed|SSL SYSCALL": _LOST,
}
#: By SQLSTATE, or its class of two characters.
_STATES = {
    "42P01": _NO_TABLES,
    "42703": "its tables are of another version; run `authguard db upgrade`",
    "42501": "the user of the URL may not use the tables",
    "25006": "it accepts no writes: it is a standby, or read-only",
    "53100": "its disk is full",
    "53200": "its server is out of memory",
    "53300": "the server takes no more connections; raise max_connections, or lower worker_threads",
    "55P03": "a row is locked by another transaction for too long",
    "57014": "a statement took too long",
    "57P03": "the server is starting or stopping",
    "57P": _LOST,
    "40P01": "two transactions waited for each other",
    "28": "the server refuses the user or the password of the URL",
    "3D": "the server has no database of the name in the URL",
    "08": _LOST,
    "58": "its server cannot read or write its files",
    "XX": "its server reports an internal error",
}
#: By the name of SQLite's code, or what it begins with.
_SQLITE = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file cannot be written; the file and its folder must be writable",
    "SQLITE_CANTOPEN": "the file cannot be opened; its folder must exist and be writable",
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_LOCKED": "it is locked by another process",
    "SQLITE_IOERR": "its disk cannot be read or written",
    "SQLITE_CORRUPT": "the file is damaged; restore a backup",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_PERM": "the file may not be used by this user",
}


def reason_of(error: exc.SQLAlchemyError) -> str:
    """Return why a database does not answer, in our own words, with its error code if it sent one."""
    cause = getattr(error, "orig", None)
    text = str(cause)
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    words = next((words for pattern, words in _TEXTS.items() if re.search(pattern, text)), None)
    if isinstance(code, str):
        words = words or _of_code(code)
        return f"{words} ({code})" if words else f"error {code}"
    return words or type(cause or error).__name__


def _of_code(code: str) -> str | None:
    table = _SQLITE if code.startswith("SQLITE_") else _STATES
    names = sorted((name for name in table if code.startswith(name)), key=len)
    return table[names[-1]] if names else None


class OutageLog:
    """Log a WARNING about an outage of a database, once in some seconds for each reason."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: dict[str, float] = {}

    def warn(self, reason: str) -> None:
        """Log a warning, unless the same was logged recently."""
        now = monotonic()
        with self._lock:
            if now < self._next.get(reason, 0.0):
                return
            if len(self._next) >= _MAX_REASONS:
                self._next.clear()
            self._next[reason] = now + LOG_SECONDS
        logger.warning("requests are answered with 503: %s", reason)
