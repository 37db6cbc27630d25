"""Serve in several processes. uvicorn starts them, watches them, and replaces those that die."""

import logging
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from socket import socket
from threading import Thread

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from authguard.cli.output import Failure
from authguard.cli.serving.forwarded import ForwardedFields
from authguard.cli.serving.heap import settle_heap
from authguard.errors import AuthGuardError, ConfigurationError

logger = logging.getLogger("authguard")

#: The factory that each worker imports and calls.
APP = f"{__name__}:make_app"


def make_app() -> ForwardedFields:
    """Create the application in a worker, from the variables that its parent has set."""
    from authguard.identity import create_app

    _end_with_parent()
    try:
        app = create_app()
    except AuthGuardError as error:  # the next attempt may succeed, after the outage
        logger.error("a worker cannot start: %s", error)
        sys.exit(STARTUP_FAILURE if isinstance(error, ConfigurationError) else 1)
    settle_heap()
    return ForwardedFields(app)


def _end_with_parent() -> None:
    """End this process when its parent has died, so that no worker keeps the port open."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="authguard-parent", daemon=True).start()


def run_workers(config: uvicorn.Config, listener: socket, variables: dict[str, str]) -> None:
    """Run the workers until SIGTERM or Ctrl-C.

    Args:
        config: the configuration of the server; its application is `APP`.
        listener: the socket on which all workers accept connections.
        variables: settings for the workers, in addition to the environment of this process.

    Raises:
        Failure: if a worker cannot start.
    """
    for name in variables:
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(variables)  # other users can see arguments of a process, but not its variables
    supervisor = Multiprocess(config, sockets=[listener])
    with suppress(KeyboardInterrupt):
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise Failure("a worker could not start; the log has the reason")
