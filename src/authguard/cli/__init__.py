"""The `authguard` command; `main` says what to install where something is missing."""

import sys


def main() -> None:
    """Run the command with the arguments of the process."""
    try:
        from authguard.cli.root import root
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("authguard: the command needs click: pip install 'authguard[cli]'")
    root(prog_name="authguard")
