"""Run the `authguard` command. `main` names the package to install if one is missing."""

import sys
from io import TextIOWrapper

from authguard._extras import MissingExtraError, needs_extra


def main() -> None:
    """Run the command with the arguments of the process."""
    if sys.stdout is None and sys.argv[1:2] != ["serve"]:  # closed by `>&-`: a new secret would be lost
        sys.exit("authguard: standard output must be open: write > /dev/null to discard it")
    if isinstance(sys.stdout, TextIOWrapper):  # names may have characters that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with needs_extra("cli"):
            from authguard.cli.root import root
    except MissingExtraError as error:
        sys.exit(f"authguard: {error}")
    root(prog_name="authguard")
