"""Import accounts with the password hashes of another system: `authguard users import`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import Failure, echo_json
from authguard.cli.service import open_service

if TYPE_CHECKING:
    from authguard.identity.usecases.administration.account_files import Line

_EVERY = 1000  # lines between two updates of the progress bar


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check whether all lines are valid.")
@click.option(
    "--json", "as_json", is_flag=True, help="Write the numbers of accounts as JSON: made and existing."
)
@with_settings
def import_file(*, file: Path, check: bool, as_json: bool, database: str | None, config: str | None) -> None:
    """Create the accounts of a file: FILE.csv, or FILE.jsonl with one object per line.

    All lines are checked before anything is written. Existing accounts are not changed, so a second run
    changes nothing.
    """
    if file.suffix not in (".csv", ".jsonl"):
        raise click.UsageError("FILE must end in .csv or .jsonl")
    from authguard.identity.usecases.administration.account_files import RecordError

    with open_service(read_settings_without_secret(config, database)) as service:
        try:
            with _lines(file, "checked") as lines:
                problems = service.account_import.check(lines)
        except RecordError as error:
            raise Failure(f"line 1: {error}") from None
        if problems:
            texts = [f"line {line}: {text}" for line, text in problems]
            raise Failure("\n".join(["nothing was imported", *texts]))
        made = existing = 0
        if not check:
            with _lines(file, "imported") as lines:
                made, existing = service.account_import.add(lines)
    if as_json:
        echo_json({"made": made, "existing": existing})
    else:
        click.echo(
            "All lines are valid." if check else f"Accounts created: {made}. Existing before: {existing}."
        )


@contextmanager
def _lines(file: Path, label: str) -> Iterator[Iterator["Line"]]:
    """Read the records of a file, with a progress bar if standard error is a terminal."""
    from authguard.identity.usecases.administration.account_files import (
        open_accounts,
        read_csv,
        read_json_lines,
    )

    read: Callable[[TextIO], Iterator[Line]] = read_csv if file.suffix == ".csv" else read_json_lines
    is_hidden = not sys.stderr.isatty()
    length = file.stat().st_size
    with (
        open_accounts(file) as opened,
        click.progressbar(length=length, label=label, file=sys.stderr, hidden=is_hidden) as bar,
    ):

        def moving() -> Iterator["Line"]:
            for number, line in enumerate(read(opened)):
                if number % _EVERY == 0:
                    bar.update(opened.buffer.tell() - bar.pos)
                yield line
            bar.update(length - bar.pos)

        yield moving()
