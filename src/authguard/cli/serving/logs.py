"""Configure the server's logs: text for people or JSON for programs, with times in UTC."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from uvicorn.logging import AccessFormatter, DefaultFormatter

from authguard._logs import redact_path
from authguard.cli.output import Failure
from authguard.errors import AuthGuardError

logger = logging.getLogger("authguard")

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
#: The requests in the access log: refused and failed requests have a status of 400 or more.
ACCESS = ("all", "errors", "none")
_ACCESS_LOGGER = "uvicorn.access"
_AUDIT_LOGGER = "authguard.audit"  # each message of the level INFO is an event as JSON
_REFUSED_ACCEPT = "socket.accept() out of system resource"  # asyncio's words
_LATE_ATTEMPT = "Exception in callback BaseSelectorEventLoop._start_serving("
_REFUSED_ACCEPT_SECONDS = 60.0
_ACCESS_NAMES = ("client", "method", "path", "http_version", "status")


class WithoutSecrets(logging.Filter):
    """Remove secrets from the access log, and escape the address, which a proxy may take from the caller.

    The query may contain one-time tokens and OAuth codes, and the path a token or API key by mistake of a
    client.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; the address is its first argument, and the path its third one."""
        if isinstance(record.args, tuple) and len(record.args) > 2:
            address, method, target, *rest = record.args
            path = redact_path(str(target).partition("?")[0])
            record.args = (ascii(str(address))[1:-1], method, path, *rest)
        return True


class ErrorsAlone(logging.Filter):
    """Drop the lines of the access log about successful requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the status, which is the last argument, is that of an error."""
        status = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        return not isinstance(status, int) or status >= 400


class FewRefusedAccepts(logging.Filter):
    """Pass one line a minute about connections that cannot be accepted, and name the remedy in it.

    Without file descriptors, asyncio tries again for each place in the backlog, and logs each attempt with a
    traceback: many thousand lines a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, or drop it if the last one is less than a minute ago."""
        text = record.getMessage()
        if not text.startswith(_REFUSED_ACCEPT):
            # The attempts that are left when the service stops find its socket closed.
            return not (text.startswith(_LATE_ATTEMPT) and self._next > 0)
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _REFUSED_ACCEPT_SECONDS
        error = record.exc_info[1] if record.exc_info else None
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no resources"
        record.msg = (
            "new connections are not accepted: %s; raise LimitNOFILE of the systemd unit, or ulimit -n, and "
            "look for clients that leave connections open"
        )
        record.args, record.exc_info, record.exc_text = (reason,), None, None
        return True


def _moment(record: logging.LogRecord) -> str:
    """Return the time of a record as in RFC 3339, in UTC and milliseconds."""
    text = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class TextFormatter(DefaultFormatter):
    """Write a line of text, with the time before it."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of a record."""
        return _moment(record)


class AccessTextFormatter(AccessFormatter):
    """Write a line of text about a request, with the time before it."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of a record."""
        return _moment(record)


class JSONFormatter(logging.Formatter):
    """Write one JSON object per line; its contents cannot start another line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a request has one member for each part, an event is one member."""
        line: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.name == _ACCESS_LOGGER and isinstance(record.args, tuple):
            line |= dict(zip(_ACCESS_NAMES, record.args, strict=False))
        if record.name == _AUDIT_LOGGER and record.levelno == logging.INFO:
            line["event"] = json.loads(record.getMessage())
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_config(level: str, form: str, access: str, *, colors: bool | None) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`.

    Args:
        level: the lowest level to log, one of `LEVELS`.
        form: one of `FORMATS`.
        access: one of `ACCESS`.
        colors: whether text is coloured; None for coloured on a terminal.
    """
    text = {"use_colors": colors, "fmt": "%(asctime)s %(levelprefix)s %(message)s"}
    line = '%(asctime)s %(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'
    formatters: dict[str, Any] = {"default": {"()": JSONFormatter}, "access": {"()": JSONFormatter}}
    if form == "text":
        formatters = {
            "default": {"()": TextFormatter, **text},
            "access": {"()": AccessTextFormatter, **text, "fmt": line},
        }
    filters = ["without_secrets", *(["errors_alone"] if access == "errors" else [])]
    stream = {"class": "logging.StreamHandler"}
    name = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "without_secrets": {"()": WithoutSecrets},
            "errors_alone": {"()": ErrorsAlone},
            "few_refused_accepts": {"()": FewRefusedAccepts},
        },
        "formatters": formatters,
        "handlers": {
            "default": {**stream, "formatter": "default", "stream": "ext://sys.stderr"},
            "access": {**stream, "formatter": "access", "stream": "ext://sys.stdout", "filters": filters},
        },
        "loggers": {
            "authguard": {"handlers": ["default"], "level": name, "propagate": False},
            "uvicorn": {"handlers": ["default"], "level": name, "propagate": False},
            _ACCESS_LOGGER: {"handlers": ["access"], "level": name, "propagate": False},
            "asyncio": {
                "handlers": ["default"],
                "level": "WARNING",
                "propagate": False,
                "filters": ["few_refused_accepts"],
            },
        },
    }


@contextmanager
def logged_failures() -> Iterator[None]:
    """End the process with a line of the log for an error at the start, so that each line is JSON."""
    try:
        yield
    except (AuthGuardError, Failure) as error:
        failure = error if isinstance(error, Failure) else Failure.of(error)
        logger.error("the service cannot start: %s", failure.message)
        sys.exit(failure.exit_code)
