"""Create, list and disable accounts: `authguard users`."""

from typing import TYPE_CHECKING

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import echo_json, echo_table, moment, note, printable
from authguard.cli.service import find_user, open_service
from authguard.cli.users.shown import (
    account_document,
    check_separate_roles,
    note_other_spellings,
    read_password,
)

if TYPE_CHECKING:
    from authguard.identity import User

_PAGE_SIZE, _MAX_PAGE_SIZE = 1000, 10_000


@click.command()
@click.argument("email")
@click.option("--role", help="The role. Default: from the settings.")
@click.option("--name", default="", help="The name of the owner.")
@click.option("--verified", is_flag=True, help="Mark the address as verified.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, as one line.")
@click.option("--json", "as_json", is_flag=True, help="Write the account as JSON.")
@with_settings
def create(
    *,
    email: str,
    role: str | None,
    name: str,
    verified: bool,
    password_stdin: bool,
    as_json: bool,
    database: str | None,
    config: str | None,
) -> None:
    """Create an account. The command asks for the password, which is never an argument."""
    settings = read_settings_without_secret(config, database)
    if role is not None:
        check_separate_roles([role], settings, "--role must be one role", _write_one_role)
    with open_service(settings) as service:
        user = service.accounts.create(email, read_password(password_stdin), name, role, verified=verified)
        note_other_spellings(user.roles, service.settings)
    if as_json:
        echo_json(account_document(user))
    else:
        click.echo(f"Created the account {user.email} with the id {user.id}.")


def _write_one_role(roles: list[str]) -> str:
    return f"--role {roles[0]}, and set several with `authguard users set-role`"


@click.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, _MAX_PAGE_SIZE),
    default=_PAGE_SIZE,
    show_default=True,
    help="The greatest number of accounts.",
)
@click.option("--after", default="", metavar="EMAIL", help="Start after this address, for the next page.")
@click.option("--json", "as_json", is_flag=True, help="Write the accounts as JSON.")
@with_settings
def list_users(*, limit: int, after: str, as_json: bool, database: str | None, config: str | None) -> None:
    """List a page of accounts, sorted by address."""
    with open_service(read_settings_without_secret(config, database)) as service:
        accounts = service.accounts.list(limit + 1, after)
    page = accounts[:limit]
    if as_json:
        echo_json([account_document(user) for user in page])
    else:
        _echo_accounts(page)
    if len(accounts) > limit:
        note(f"there are more accounts: repeat the command with --after {printable(page[-1].email)}")


def _echo_accounts(accounts: "list[User]") -> None:
    rows = [
        [
            user.email,
            ", ".join(user.roles),
            "yes" if user.email_verified else "no",
            "disabled" if user.disabled else "active",
            moment(user.created_at),
            user.id,
        ]
        for user in accounts
    ]
    echo_table(["address", "roles", "verified", "state", "created", "id"], rows)


@click.command()
@click.argument("account")
@with_settings
def disable(account: str, database: str | None, config: str | None) -> None:
    """Disable an account; its sessions end at once."""
    _switch(account, database, config, disabled=True)
    click.echo("The account is disabled, and its sessions have ended.")


@click.command()
@click.argument("account")
@with_settings
def enable(account: str, database: str | None, config: str | None) -> None:
    """Enable an account."""
    _switch(account, database, config, disabled=False)
    click.echo("The account is enabled.")


def _switch(account: str, database: str | None, config: str | None, *, disabled: bool) -> None:
    with open_service(read_settings_without_secret(config, database)) as service:
        service.accounts.disable(find_user(service, account).id, disabled=disabled)
