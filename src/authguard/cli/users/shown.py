"""Show accounts to operators, and read new passwords."""

import sys
import warnings
from collections.abc import Iterable
from getpass import GetPassWarning
from typing import TYPE_CHECKING, Any

import click

from authguard.cli.output import note, printable

if TYPE_CHECKING:
    from authguard.identity import Settings, User


def account_document(user: "User") -> dict[str, Any]:
    """Return an account as commands write it with `--json`."""
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "picture": user.picture,
        "roles": list(user.roles),
        "scopes": list(user.scopes),
    }


def note_other_spellings(roles: Iterable[str], settings: "Settings") -> None:
    """Note each role that is probably misspelled: rules compare exactly.

    Only its case distinguishes it from a role of the settings, or it has commas.
    """
    known = (*settings.admin_roles, settings.default_role)
    for role in roles:
        near = next((name for name in known if name.casefold() == role.casefold()), role)
        if near != role and role not in known:
            note(f"{printable(role)} is another role than {near} of the settings; to give that, write {near}")
        if "," in role and role not in known:
            write = " ".join(part for part in printable(role).split(",") if part)
            note(f"{printable(role)} is one role, with a comma in its name; for several roles, write {write}")


def read_password(from_stdin: bool) -> str:
    """Return a password from the terminal, or the first line of standard input; it is never an argument."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)  # otherwise the password would be shown
        try:
            answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        except GetPassWarning:
            raise click.UsageError(
                "the password must be typed in a terminal, got none: send it with --password-stdin"
            ) from None
    return answer
