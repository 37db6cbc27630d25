"""Write the output of commands: failures, tables, JSON, and colours on a terminal."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, Any

import click

from authguard._characters import is_plain
from authguard._core.options import several_names
from authguard.errors import AuthGuardError, ConfigurationError, RefusedError, VerificationUnavailableError

MISUSED = 2  # click's exit status for unusable options

#: Errors of a write to standard output. Those of files have a name, and click handles a closed pipe.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

#: The styles keep the width of the cells in a column.
Style = Callable[[str], str]


class Failure(click.ClickException):
    """End a command with an error.

    Args:
        message: the fault and the remedy, without secrets.
        exit_code: the exit status.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click has it as a class variable

    @classmethod
    def of(cls, error: AuthGuardError) -> "Failure":
        """Return the failure of a command that ends with an error of the package."""
        return cls(_in_words(error), MISUSED if isinstance(error, ConfigurationError) else 1)

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to standard error."""
        label = click.style("authguard:", fg="red", bold=True)
        click.echo(f"{label} {self.format_message()}", file=file, err=True)


def _in_words(error: AuthGuardError) -> str:
    fields: dict[str, Sequence[str]] | None = getattr(error, "fields", None)
    if fields:
        return "\n".join(f"{name}: {message}" for name, messages in fields.items() for message in messages)
    if isinstance(error, VerificationUnavailableError):
        return error.reason
    return error.detail if isinstance(error, RefusedError) else str(error)


def note(message: str) -> None:
    """Write a remark to standard error, apart from the data."""
    with suppress(OSError):  # such as a full disk: the work is worth more than a remark
        click.echo(f"{click.style('authguard:', bold=True)} {message}", err=True)


def unwritten(error: OSError, lost: str = "what the command has done is done") -> Failure:
    """Return the failure of a command whose output cannot be written, such as on a full disk.

    Args:
        error: the error of the write.
        lost: the consequence, and the remedy.
    """
    with suppress(OSError):  # the end of the process writes the rest of the output again, and would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Failure(f"standard output cannot be written: {error.strerror}: {lost}")


def is_unwritten(error: OSError) -> bool:
    """Return whether an error is that of a write to standard output."""
    return error.filename is None and error.errno in _UNWRITABLE


@contextmanager
def showing_secret(remedy: str) -> Iterator[None]:
    """Write a new secret, which is stored already; it is lost if standard output cannot be written.

    Args:
        remedy: the command by which another secret is made.

    Raises:
        Failure: if it is lost.
    """
    try:
        yield
    except OSError as error:
        raise unwritten(error, f"the new secret was not shown, and cannot be shown again: {remedy}") from None


def echo_json(data: object) -> None:
    """Write data as JSON in ASCII, so that no control sequence reaches the terminal."""
    click.echo(json.dumps(data, indent=2))


def echo_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, Style] | None = None
) -> None:
    """Write rows under headings.

    Args:
        headings: the columns.
        rows: their cells.
        styles: the style of a cell, by its heading.
    """
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *table, strict=True)]
    heads = [click.style(head.ljust(width), bold=True) for head, width in zip(headings, widths, strict=True)]
    click.echo("  ".join(heads).rstrip())
    for row in table:
        cells = [
            (styles or {}).get(head, str)(cell.ljust(width))
            for head, cell, width in zip(headings, row, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Replace the characters that a terminal interprets."""
    return "".join(character if is_plain(character) else "?" for character in text)


def moment(seconds: float) -> str:
    """Format a time for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Format a duration in its largest unit, such as `3 days`."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if abs(seconds) >= size:
            return _counted(int(abs(seconds) // size), unit)
    return _counted(int(abs(seconds)), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def write_options(option: str, values: list[str]) -> str:
    """Return the arguments for several values of an option, such as `--scope a --scope b`."""
    return " ".join(f"{option} {value}" for value in values)


def write_scopes(scopes: list[str]) -> str:
    """Return the arguments for several scopes."""
    return write_options("--scope", scopes)


def check_separate(names: Iterable[str], must: str, write: Callable[[list[str]], str]) -> None:
    """Check that no argument has several names with commas or semicolons between them.

    Args:
        names: the arguments; the name of a group in a directory, such as `CN=Admins,OU=Groups`, is one name.
        must: the condition, for the error.
        write: makes the spelling that works from the names in an argument.

    Raises:
        click.UsageError: if one has.
    """
    for name in names:
        if several := several_names(printable(name)):
            raise click.UsageError(f"{must}, got {printable(name)}: write {write(several)}")
