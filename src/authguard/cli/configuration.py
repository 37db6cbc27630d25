"""Read the settings for a command: options first, then environment variables, then a file."""

import os
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from authguard.identity import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def with_config(command: Command) -> Command:
    """Add the option `--config`."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="A TOML file with settings of the service. Default: AUTHGUARD_CONFIG.",
    )(command)


def with_settings(command: Command) -> Command:
    """Add the options `--database` and `--config`."""
    database = click.option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; else AUTHGUARD_DATABASE. Other users of the "
        "machine see arguments: put a URL with a password into the variable.",
    )
    return database(with_config(command))


def read_settings(config: str | None, database: str | None, **given: Any) -> "Settings":
    """Read the settings of the service.

    Args:
        config: the file that `--config` names.
        database: the URL that `--database` names.
        given: settings with the highest precedence.

    Raises:
        ConfigurationError: as `Settings.from_env` does.
    """
    from authguard.identity import Settings

    if database is not None:
        given["database"] = database
    return Settings.from_env(_environment(config), **given)


def read_settings_without_secret(config: str | None, database: str | None) -> "Settings":
    """Read the settings for commands that neither issue nor read tokens: secret and issuer may be missing."""
    given: dict[str, Any] = {}
    set_already = raw_settings(config)
    if "secret" not in set_already:
        given["secret"] = secrets.token_urlsafe(32)
    if "issuer" not in set_already:
        given["issuer"] = "http://localhost"
    return read_settings(config, database, **given)


def raw_settings(config: str | None) -> dict[str, Any]:
    """Return the settings that are set, as written in the environment or else in the file.

    A secret is included if a variable names its file; its text is empty here.

    Raises:
        ConfigurationError: if the file cannot be read.
    """
    from authguard.identity.setting_variables import read_file

    environment = _environment(config)
    path = environment.get("AUTHGUARD_CONFIG")
    from_file = read_file(path) if path is not None else {}
    prefix = "AUTHGUARD_"
    from_variables = {
        name.removeprefix(prefix).lower(): text
        for name, text in environment.items()
        if name.startswith(prefix)
    }
    in_files = {name.removesuffix("_file"): "" for name in from_variables if name.endswith("_file")}
    return from_file | in_files | from_variables


def _environment(config: str | None) -> dict[str, str]:
    return dict(os.environ) | ({} if config is None else {"AUTHGUARD_CONFIG": config})
