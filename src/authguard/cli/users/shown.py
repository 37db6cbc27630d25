"""Show accounts to operators, and read new passwords."""

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from authguard.identity import User


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


def read_password(from_stdin: bool) -> str:
    """Return a password from the terminal, or the first line of standard input; it is never an argument."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
