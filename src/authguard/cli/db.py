"""Create and update the tables of the identity service: `authguard db`."""

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import echo_json
from authguard.cli.service import open_service


@click.group()
def db() -> None:
    """Manage the tables of the identity service."""


@db.command()
@with_settings
def upgrade(database: str | None, config: str | None) -> None:
    """Create the tables, or migrate them to the version that this release needs.

    The migration is one transaction. It can be repeated, and several processes may start it at once.
    """
    settings = read_settings_without_secret(config, database)
    from authguard.identity import upgrade as upgrade_tables

    upgrade_tables(settings.database)
    click.echo("The tables are up to date.")


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
