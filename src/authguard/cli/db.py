"""Make and update the tables of the identity service: `authguard db`."""

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings


@click.group()
def db() -> None:
    """Look after the tables of the identity service."""


@db.command()
@with_settings
def upgrade(database: str | None, config: str | None) -> None:
    """Make the tables, or bring them to the version that this release needs.

    In one transaction; several may try at once. It may be repeated.
    """
    settings = read_settings_without_secret(config, database)
    from authguard.identity import upgrade as upgrade_tables

    upgrade_tables(settings.database)
    click.echo("The tables are up to date.")
