"""docs/cli.md, docs/reference/cli.md and the tree of commands agree."""

import re
from pathlib import Path

import click
import pytest

from authguard.cli.root import root

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "cli.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def commands(group=root, path=("authguard",)):
    """Yield all commands that are no groups, with their paths."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def options_of(command):
    """Return the long options of a command."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name for option in options for name in option.opts if name.startswith("--")}


def section_of(path):
    """Return the text of the reference below the heading of a command."""
    section = re.search(rf"^## `{path}`\n(.*?)(?=^## |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    return "" if section is None else section[1]


COMMANDS = dict(commands())
EACH_COMMAND = pytest.mark.parametrize("path", COMMANDS)


@EACH_COMMAND
def test_options_are_described(path):
    """Each option of a command has a row in the reference, and each argument is in its usage."""
    section = section_of(path)
    rows = "\n".join(re.findall(r"^\| (`-[^|]*)\|", section, re.MULTILINE))
    usage = re.search(rf"^    {path}.*$", section, re.MULTILINE)[0].upper()
    arguments = [param for param in COMMANDS[path].params if isinstance(param, click.Argument)]
    assert set(_OPTION.findall(rows)) == options_of(COMMANDS[path])
    assert [
        argument.name for argument in arguments if str(argument.metavar or argument.name).upper() not in usage
    ] == []


@EACH_COMMAND
def test_a_command_is_in_the_table(path):
    """The table of docs/cli.md has a link to the reference of each command."""
    assert f"](reference/cli.md#{path.replace(' ', '-')})" in TEXT


def test_the_options_of_the_page_exist():
    """Each option in docs/cli.md is an option of a command, `--help` or `--version`."""
    known = {name for command in COMMANDS.values() for name in options_of(command)}
    assert set(_OPTION.findall(TEXT)) - known - {"--help", "--version"} == set()


@EACH_COMMAND
def test_examples_have_options_of_their_command(path):
    """A line with a command has options of that command alone."""
    lines = re.findall(rf"^ .*\b{path} .*$", TEXT, re.MULTILINE)
    assert set(_OPTION.findall("\n".join(lines))) - options_of(COMMANDS[path]) == set()


def test_no_section_of_a_command_that_is_gone():
    """Each section with the name of a command is about an existing command."""
    assert set(re.findall(r"^## `(authguard[^`]*)`$", TEXT, re.MULTILINE)) <= set(COMMANDS)


@EACH_COMMAND
def test_help_says_what_everything_is_for(path):
    """Each command and each of its options has a help text."""
    options = [param for param in COMMANDS[path].params if isinstance(param, click.Option)]
    assert COMMANDS[path].help
    assert [option.name for option in options if not option.help] == []
