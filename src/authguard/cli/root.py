"""Define the root command: its groups, its version, and its handling of errors."""

import logging
import os
from typing import Any

import click

import authguard
from authguard._core.encoding.fast import packages_in_use
from authguard.cli.apikeys import apikeys
from authguard.cli.clients import clients
from authguard.cli.db import db
from authguard.cli.keys import keys
from authguard.cli.mail import mail
from authguard.cli.output import MISUSED, Failure, is_unwritten, unwritten
from authguard.cli.providers import providers
from authguard.cli.routes.command import routes
from authguard.cli.serve import serve
from authguard.cli.tokens.issue import token
from authguard.cli.users.command import users
from authguard.errors import AuthGuardError


class _Root(click.Group):
    """Write each expected error as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        if os.environ.get("NO_COLOR"):  # https://no-color.org: set and not empty
            ctx.color = False
        # Commands report the reason themselves; `serve` enables the log again.
        outages = logging.getLogger("authguard.outages")
        outages.disabled = True
        try:
            return super().invoke(ctx)
        except AuthGuardError as error:
            raise Failure.of(error) from None
        except OSError as error:
            if not is_unwritten(error):
                raise
            raise unwritten(error) from None
        except UnicodeEncodeError:  # its text may contain the values to store
            raise Failure("arguments and settings must be text in UTF-8, got other bytes", MISUSED) from None
        finally:
            outages.disabled = False


_READERS = " and ".join(packages_in_use()) or "Python's own modules"


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    authguard.__version__,
    prog_name="authguard",
    message=f"%(prog)s, version %(version)s\nreads tokens by {_READERS}",
)
def root() -> None:
    """Run the identity service, and manage its tables, accounts, clients and keys.

    Settings of the service come from variables such as AUTHGUARD_SECRET, or from a TOML file that --config or
    AUTHGUARD_CONFIG names. Exit status: 0 for success, 1 for a refusal or a failure, 2 for an invalid command
    or configuration.
    """


for command in (serve, db, users, clients, apikeys, keys, mail, providers, token, routes):
    root.add_command(command)
