"""Show, verify and delete accounts, and set their passwords and roles: `authguard users`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import check_separate, echo_json, moment, printable, write_scopes
from authguard.cli.service import find_user, open_service
from authguard.cli.users.shown import (
    account_document,
    check_separate_roles,
    note_other_spellings,
    read_password,
)

if TYPE_CHECKING:
    from authguard.identity import IdentityService, User
    from authguard.identity.usecases.administration.accounts import AccountView

_ENDED = (
    "its sessions have ended, and other applications refuse its API keys for up to ten minutes. To keep a "
    "role, name all roles."
)
_json = click.option("--json", "as_json", is_flag=True, help="Write the account as JSON.")


@contextmanager
def _account(
    account: str, database: str | None, config: str | None
) -> Iterator[tuple["IdentityService", "User"]]:
    with open_service(read_settings_without_secret(config, database)) as service:
        yield service, find_user(service, account)


@click.command()
@click.argument("account")
@_json
@with_settings
def show(*, account: str, as_json: bool, database: str | None, config: str | None) -> None:
    """Show an account, how its password is hashed, and the number of its sessions, keys and links."""
    with _account(account, database, config) as (service, user):
        view = service.administration.show(user.id)
    if as_json:
        echo_json(_document(view))
        return
    for name, text in _lines(view):
        click.echo(f"{click.style(f'{name}:', bold=True):<12} {printable(text)}".rstrip())


def _document(view: "AccountView") -> dict[str, Any]:
    return account_document(view.user) | {
        "password": view.password or None,
        "providers": [identity.provider for identity in view.identities],
        "sessions": view.sessions,
        "api_keys": view.api_keys,
    }


def _lines(view: "AccountView") -> list[tuple[str, str]]:
    user = view.user
    return [
        ("id", user.id),
        ("address", f"{user.email} ({'verified' if user.email_verified else 'not verified'})"),
        ("name", user.name),
        ("roles", ", ".join(user.roles)),
        ("scopes", " ".join(user.scopes)),
        ("state", "disabled" if user.disabled else "active"),
        ("created", moment(user.created_at)),
        ("password", view.password or "none"),
        ("providers", ", ".join(identity.provider for identity in view.identities)),
        ("sessions", str(view.sessions)),
        ("API keys", str(view.api_keys)),
    ]


@click.command()
@click.argument("account")
@_json
@with_settings
def verify(*, account: str, as_json: bool, database: str | None, config: str | None) -> None:
    """Mark the address of an account as verified."""
    with _account(account, database, config) as (service, user):
        service.administration.verify(user.id)
        _answer(service, user.id, as_json, "The address is verified.")


@click.command("set-password")
@click.argument("account")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, as one line.")
@_json
@with_settings
def set_password(
    *, account: str, password_stdin: bool, as_json: bool, database: str | None, config: str | None
) -> None:
    """Set the password of an account; its sessions end, and its owner gets a mail.

    The command asks for the password, which is never an argument.
    """
    with _account(account, database, config) as (service, user):
        service.administration.set_password(user.id, read_password(password_stdin))
        _answer(service, user.id, as_json, "The password is set, and the sessions of the account have ended.")


@click.command("set-role")
@click.argument("account")
@click.argument("roles", nargs=-1, required=True)
@click.option(
    "--scope", "scopes", multiple=True, help="A scope of its tokens; all others are removed. May be repeated."
)
@click.option("--no-scopes", is_flag=True, help="Remove all scopes of its tokens.")
@_json
@with_settings
def set_role(
    *,
    account: str,
    roles: tuple[str, ...],
    scopes: tuple[str, ...],
    no_scopes: bool,
    as_json: bool,
    database: str | None,
    config: str | None,
) -> None:
    """Replace the roles of an account; the first is the `role` claim of its tokens.

    Its scopes do not change without --scope or --no-scopes. If it loses a role or a scope, its sessions end.
    """
    if scopes and no_scopes:
        raise click.UsageError("--scope and --no-scopes do not go together")
    check_separate(scopes, "each --scope must be one scope", write_scopes)
    with _account(account, database, config) as (service, user):
        must = "each role must be an argument of its own"
        check_separate_roles(roles, service.settings, must, " ".join)
        after = service.administration.set_roles(user.id, roles, scopes if scopes or no_scopes else None)
        note_other_spellings(roles, service.settings)
        text = "The account has these roles from its next token on."
        if lost := sorted({*user.roles, *user.scopes} - {*after.roles, *after.scopes}):
            text += f" It has lost {', '.join(lost)}: {_ENDED}"
        _answer(service, user.id, as_json, text)


@click.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_json
@with_settings
def delete(*, account: str, yes: bool, as_json: bool, database: str | None, config: str | None) -> None:
    """Delete an account with its sessions, API keys and links to providers. This cannot be undone."""
    with _account(account, database, config) as (service, user):
        if not yes:
            question = f"Delete the account {printable(user.email)} with all that belongs to it?"
            click.confirm(question, abort=True, err=True)
        service.administration.delete(user.id)
    if as_json:
        echo_json(account_document(user))
    else:
        click.echo("The account is deleted, and its sessions and API keys have ended.")


def _answer(service: "IdentityService", user_id: str, as_json: bool, text: str) -> None:
    if as_json:
        echo_json(account_document(service.administration.show(user_id).user))
    else:
        click.echo(text)
