"""Read from the command of a server how many processes it starts; no interface tells an application."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

logger = logging.getLogger("authguard")

# The environment variable with the number of processes, and the one with further options.
_SERVERS = {
    "uvicorn": ("WEB_CONCURRENCY", ""),
    "fastapi": ("WEB_CONCURRENCY", ""),
    "gunicorn": ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"),
    "hypercorn": ("", ""),
    "granian": ("GRANIAN_WORKERS", ""),
}
_OPTION = re.compile(r"(?:\A|\s)(?:--workers[ =]|-w[ =]?)([0-9]{1,4})(?=\s|\Z)")


def processes_of_server(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the number of processes of the server that runs this program; 1 if it is not known.

    Args:
        command: the program and its arguments, as in `sys.argv`, which processes of a server inherit.
        environment: the environment variables.
    """
    program = PurePath(command[0]) if command else PurePath()
    name = program.parent.name if program.name == "__main__.py" else program.stem
    if name not in _SERVERS:
        return 1
    variable, options = _SERVERS[name]
    for text in (" ".join(command[1:]), environment.get(options, "")):
        if numbers := _OPTION.findall(text):
            return int(numbers[-1])
    number = environment.get(variable, "")
    return int(number) if number.isascii() and number.isdecimal() else 1


def warn_of_processes(limits_url: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Log a WARNING if several processes of a server would count attempts separately.

    Args:
        limits_url: the store of the limits.
        command: the program and its arguments.
        environment: the environment variables.
    """
    number = processes_of_server(command, environment)
    if number > 1 and limits_url.startswith("memory:"):
        logger.warning(
            "limits_url is memory://, and each of the %d processes of the server counts logins separately, "
            "so that guessing is faster: write limits_url=redis://…",
            number,
        )
