"""docs/cli.md and the tree of commands say the same."""

import re
from pathlib import Path

import click
import pytest

from authguard.cli.root import root

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def commands(group=root, path=("authguard",)):
    """All commands that are no groups, with their paths."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def options_of(command):
    """The long options of a command."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {name for parameter in options for name in parameter.opts if name.startswith("--")}


def section_of(path):
    """What stands under the heading of a command."""
    match = re.search(rf"^## `{path}`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return "" if match is None else match[1]


COMMANDS = dict(commands())
EACH_COMMAND = pytest.mark.parametrize("path", COMMANDS)


@EACH_COMMAND
def test_command_has_a_section(path):
    """Each command has a section that is called after it."""
    assert section_of(path)


@EACH_COMMAND
def test_options_are_described(path):
    """Each option and argument of a command is in its section."""
    section = section_of(path)
    arguments = [parameter for parameter in COMMANDS[path].params if isinstance(parameter, click.Argument)]
    assert options_of(COMMANDS[path]) - set(_OPTION.findall(section)) == set()
    assert [
        parameter.name
        for parameter in arguments
        if str(parameter.metavar or parameter.name).upper() not in section.upper()
    ] == []


@EACH_COMMAND
def test_described_options_exist(path):
    """The lines that show how a command is used, and the table of its options, have none that it has not."""
    lines = re.findall(rf"^    {path} .*(?:\n     +.*)*|^\| `-[^|]*\|", section_of(path), re.MULTILINE)
    usage = "\n".join(lines)
    assert set(_OPTION.findall(usage)) - options_of(COMMANDS[path]) == set()


def test_no_section_of_a_command_that_is_gone():
    """Each section that is called after a command is about one that exists."""
    assert set(re.findall(r"^## `(authguard[^`]*)`$", TEXT, re.MULTILINE)) == set(COMMANDS)


@EACH_COMMAND
def test_help_says_what_everything_is_for(path):
    """Each command and each of its options has a help text."""
    options = [parameter for parameter in COMMANDS[path].params if isinstance(parameter, click.Option)]
    assert COMMANDS[path].help
    assert [parameter.name for parameter in options if not parameter.help] == []
