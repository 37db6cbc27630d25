"""Collect the commands of `authguard users`."""

import click

from authguard.cli.users.accounts import create, disable, enable, list_users
from authguard.cli.users.changes import delete, set_password, set_role, show, verify
from authguard.cli.users.importing import import_file


@click.group()
def users() -> None:
    """Manage accounts. Use the same settings as the service.

    Most commands take the ID or the address of an account.
    """


for command in (
    create,
    list_users,
    show,
    disable,
    enable,
    verify,
    set_password,
    set_role,
    delete,
    import_file,
):
    users.add_command(command)
