"""Describe in words for operators why a database does not answer.

The driver's text is never shown, because it may contain a part of the URL, the statement, or values.
"""

import re

#: Why a log that another program creates cannot be read.
NO_TABLES = "it has no tables of the service; run `authguard db upgrade`, or correct the URL"
_NO_TABLE = (
    "it has no table {}; run `authguard db upgrade` if the database is new, restore a backup if other tables "
    "of the service are there, or correct the URL"
)
_LOST = "the connection was lost"
#: Patterns of drivers' messages, and the text for the log.
_TEXTS = {
    r"no such table: (?:main\.)?([a-z_]{1,63})": _NO_TABLE,
    'relation "([a-z_]{1,63})" does not exist': _NO_TABLE,
    "permission denied for (?:table|relation) ([a-z_]{1,63})": (
        "the user of the URL may not use the tables, such as {}; GRANT SELECT, INSERT, UPDATE and DELETE on "
        "all tables of the service"
    ),
    r"permission denied for schema (\w{1,63})": (
        "the user of the URL may not use the schema {0}, or create tables in it; GRANT USAGE ON SCHEMA {0}, "
        "and CREATE to the user of `authguard db upgrade`"
    ),
    r"must be owner of (?:table|relation) ([a-z_]{1,63})": (
        "the user of the URL does not own the table {}; run `authguard db upgrade` as its owner"
    ),
    "no such database file": (
        "the file does not exist; correct the URL, restore it, or run `authguard db upgrade`"
    ),
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
    "pg_hba.conf rejects|no pg_hba.conf entry": (
        "the server does not let this host or user in; see its pg_hba.conf"
    ),
    "the server does not answer": "the server does not answer in time",
    "timeout expired|Connection timed out|No route to host|Network is unreachable": (
        "the server does not answer in time; check the host and port of the URL, and firewalls"
    ),
    "no password supplied": "the server requires a password, and the URL has none",
    'role ".*" is not permitted to log in': "the user of the URL may not log in: ALTER ROLE … LOGIN",
    'FATAL:  permission denied for database ".*"': (
        "the user of the URL may not connect to its database: GRANT CONNECT ON DATABASE …"
    ),
    'too many connections for (?:role|database) ".*"': (
        "the user or the database of the URL has as many connections as it may; raise its CONNECTION LIMIT, "
        "or lower worker_threads"
    ),
    'database ".*" is not currently accepting connections': (
        "the database accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true"
    ),
    "server does not support SSL": (
        "the server has no TLS, which sslmode in the URL requires; switch TLS on, or change sslmode"
    ),
    'root certificate file ".*"': "the file of sslrootcert cannot be read; correct its path",
    "certificate verify failed": (
        "the certificate of the server is not trusted; name that of its issuer as sslrootcert"
    ),
    "does not match host name": "the certificate of the server is for another host than that of the URL",
    'private key file|could not (?:open|read|load) certificate file ".*"': (
        "the files of sslcert and sslkey cannot be used; check their paths and modes"
    ),
    "(?:server|session) is (?:not )?(?:in hot standby mode|read-only)": (
        "no server of the URL is of the kind in target_session_attrs; change it, or name other hosts"
    ),
    "FATAL:  (?:unrecognized configuration|invalid value for|parameter|permission denied to set|--)": (
        "the server refuses a setting in the URL; correct `options`"
    ),
    "invalid port number": "the port of the URL is not a port",
    # the name of an option of libpq
    r'invalid "?([a-z_]{1,40})"? value: ': "the value of {} in the URL is invalid; correct it",
    r'invalid integer value ".*" for connection option "([a-z_]{1,40})"': (
        "the value of {} in the URL is invalid; write a whole number"
    ),
    'definition of service ".*" not found': "the service in the URL is in no file of services of libpq",
    "channel binding required|authentication method requirement": (
        "the server does not authenticate as channel_binding or require_auth in the URL demands"
    ),
    "invalid response to SSL negotiation|expected authentication request": (
        "the server at the host and port of the URL is not PostgreSQL"
    ),
    r'on socket ".*" failed: No such file': "no server listens at the socket of the URL",
    "server closed the connection|terminating connection|connection is closed|SSL SYSCALL": _LOST,
}
#: The text by SQLSTATE, or by its class of two characters.
_STATES = {
    "42P01": NO_TABLES,
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
#: The text by the name of SQLite's error code, or by the beginning of the name.
_SQLITE = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file cannot be written; the file and its folder must be writable",
    "SQLITE_CANTOPEN": "the file cannot be opened; its folder must exist and be writable",
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_LOCKED": "it is locked by another process",
    "SQLITE_IOERR": "its disk cannot be read or written",
    "SQLITE_IOERR_SHM": "its disk is full, or cannot be written",  # the file that is needed beside a WAL
    "SQLITE_CORRUPT": "the file is damaged; restore a backup",
    "SQLITE_NOTADB": "the file is not a database of SQLite; correct the URL, or restore a backup",
    "SQLITE_PERM": "the file may not be used by this user",
}


def driver_reason(error: BaseException) -> str:
    """Return why a database does not answer, in words of this module, with its error code if it sent one.

    Args:
        error: an exception of psycopg or `sqlite3`, or an `OSError`. For any other, the result is the name of
            its class.
    """
    text = str(error)
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    matches = ((re.search(pattern, text), words) for pattern, words in _TEXTS.items())
    words = next((words.format(*match.groups()) for match, words in matches if match), None)
    if isinstance(code, str):
        words = words or _of_code(code)
        return f"{words} ({code})" if words else f"error {code}"
    return words or getattr(error, "strerror", None) or type(error).__name__


def _of_code(code: str) -> str | None:
    table = _SQLITE if code.startswith("SQLITE_") else _STATES
    names = sorted((name for name in table if code.startswith(name)), key=len)
    return table[names[-1]] if names else None
