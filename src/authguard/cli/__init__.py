"""Run the `authguard` command. `main` names the package to install if one is missing."""

import sys

from authguard._extras import MissingExtraError, needs_extra


def main() -> None:
    """Run the command with the arguments of the process."""
    if sys.stdout is None and sys.argv[1:2] != ["serve"]:  # closed by `>&-`: a new secret would be lost
        sys.exit("authguard: standard output must be open: write > /dev/null to discard it")
    try:
        with needs_extra("cli"):
            from authguard.cli.root import root
    except MissingExtraError as error:
        sys.exit(f"authguard: {error}")
    root(prog_name="authguard")
