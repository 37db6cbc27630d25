"""Write the page of commands: the usage, the help and the options of each, as `authguard` defines them."""

import inspect
from collections.abc import Iterator

import click

from authguard.cli.root import root

_HEAD = """\
# Commands and options

Look up a command of `authguard` with each of its options, as `--help` shows them. [The command
`authguard`](../cli.md) describes the effect of each. `make reference` writes this page.

`-h` or `--help` shows the help of each command. `authguard --version` shows the version.

"""


def page() -> str:
    """Return the page."""
    return (_HEAD + "".join(_section(*each) for each in _commands(root, "authguard"))).rstrip() + "\n"


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, by its whole name."""
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from _commands(command.commands[each], f"{name} {each}")
    else:
        yield name, command


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    shown = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    rows = [f"| {_names(option, context)} | {_meaning(option)} |\n" for option in shown]
    table = "| option | meaning |\n|---|---|\n" + "".join(rows) + "\n" if rows else ""
    return f"## `{name}`\n\n    {usage}\n\n{text}\n\n{table}"


def _names(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_flag or option.count:
        return names
    metavar = option.make_metavar(context).replace("|", "\\|")
    return f"{names} `{metavar}`"


def _meaning(option: click.Option) -> str:
    """Return the help, with the default if the command shows it."""
    words = " ".join((option.help or "").split()).replace("|", "\\|")
    if isinstance(option.show_default, str):
        return f"{words} Default: {option.show_default}."
    if option.show_default and option.default is not None and not option.is_flag:
        return f"{words} Default: `{option.default}`."
    return f"{words} Required." if option.required else words
