"""No command takes a secret as an argument, because every user of a machine can read arguments."""

import re

import click
import pytest

from authguard.cli.root import root

#: Parameters that have a name like a secret: names of variables, files or public names.
_NO_SECRETS = {
    "secret_env": "the name of a variable",
    "key": "a file",
    "key_id": "the public name of a key",
}
_NAME = re.compile(r"password|passwd|secret|token|credential|key|code", re.IGNORECASE)


def commands(command=root, path=()):
    """Yield the path and the parameters of each command."""
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield " ".join(path), command.params


@pytest.mark.parametrize(
    ("path", "parameters"), [pytest.param(*command, id=command[0]) for command in commands()]
)
def test_no_command_takes_a_secret_as_an_argument(path, parameters):
    """Passwords come from standard input or a terminal, keys from files, and secrets from variables."""
    for parameter in parameters:
        takes_value = not getattr(parameter, "is_flag", False)
        if takes_value and _NAME.search(f"{parameter.name} {' '.join(parameter.opts)}"):
            assert parameter.name in _NO_SECRETS, f"{path}: {parameter.opts}"


@pytest.mark.parametrize(
    ("path", "parameters"), [pytest.param(*command, id=command[0]) for command in commands()]
)
def test_a_url_that_may_hold_a_password_has_a_variable(path, parameters):
    """The help of `--database` advises to put a URL with a password into a variable."""
    for parameter in parameters:
        if parameter.name == "database":
            assert "AUTHGUARD_DATABASE" in parameter.help
            assert "put a URL with a password into the variable" in parameter.help
