"""Create and update the tables of the identity service: `authguard db`."""

from contextlib import closing

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import echo_json, printable
from authguard.cli.service import open_service


@click.group()
def db() -> None:
    """Manage the tables of the identity service."""


@db.command()
@with_settings
def upgrade(database: str | None, config: str | None) -> None:
    """Create the tables, or migrate them to the version that this release needs, and write the outcome.

    The migration is one transaction. It can be repeated, and several processes may start it at once.
    """
    settings = read_settings_without_secret(config, database)
    from authguard.identity.storage import migrations
    from authguard.identity.storage.database import Database
    from authguard.identity.storage.log import log_name

    with closing(Database(settings.database)) as opened:
        before, after = migrations.migrate(opened)
    # The place shows a mistyped name, because SQLite creates a missing file.
    place = printable(log_name(opened))
    if before is None:
        click.echo(f"Created the tables, of version {after}, in {place}")
    elif before != after:
        click.echo(f"Migrated the tables from {before} to {after} in {place}")
    else:
        click.echo(f"The tables are up to date, of version {after}, in {place}")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Write the numbers as JSON.")
@with_settings
def purge(*, as_json: bool, database: str | None, config: str | None) -> None:
    """Delete expired sessions and links, and mails that could not be sent for two days.

    The running service does this itself, once in purge_interval.
    """
    with open_service(read_settings_without_secret(config, database)) as service:
        done = service.purge.run()
    if as_json:
        echo_json(done._asdict())
    else:
        click.echo(f"Deleted: {done.sessions} sessions, {done.one_time_tokens} links, {done.mails} mails.")
