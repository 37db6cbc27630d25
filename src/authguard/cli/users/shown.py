"""Show accounts to operators, and read new passwords."""

import sys
import warnings
from collections.abc import Callable, Iterable
from getpass import GetPassWarning
from typing import TYPE_CHECKING, Any

import click

from authguard.cli.output import check_separate, note, printable

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


def known_roles(settings: "Settings") -> tuple[str, ...]:
    """Return the roles that the settings name."""
    return (*settings.admin_roles, settings.default_role)


def check_separate_roles(
    roles: Iterable[str], settings: "Settings", must: str, write: Callable[[list[str]], str]
) -> None:
    """Check that no argument has several roles, with commas, or known roles with spaces, between them.

    Args:
        roles: the arguments.
        settings: the settings of the service.
        must: the condition, for the error.
        write: makes the spelling that works from the roles in an argument.

    Raises:
        click.UsageError: if one has.
    """
    known = known_roles(settings)
    check_separate(roles, must, write)
    for role in roles:
        if role not in known and len(words := role.split()) > 1 and set(words) <= set(known):
            raise click.UsageError(f"{must}, got {printable(role)}: write {write(words)}")


def note_other_spellings(roles: Iterable[str], settings: "Settings") -> None:
    """Note each role that only its case distinguishes from a role of the settings: rules compare exactly."""
    known = known_roles(settings)
    for role in roles:
        near = next((name for name in known if name.casefold() == role.casefold()), role)
        if near != role and role not in known:
            note(f"{printable(role)} is another role than {near} of the settings; to give that, write {near}")


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
