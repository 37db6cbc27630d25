"""Serve the identity service on a socket, by uvicorn: `authguard serve`."""

import copy
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from authguard._extras import needs_extra
from authguard.cli.configuration import raw_settings, read_settings, with_settings
from authguard.cli.output import Failure, note

_GRACE_SECONDS = 10  # for requests that go on when the service is stopped


class WithoutQuery(logging.Filter):
    """Take the query out of lines of the access log: one-time tokens and OAuth codes are in there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; uvicorn has the path as its third argument."""
        if isinstance(record.args, tuple) and len(record.args) > 2:
            path = str(record.args[2]).partition("?")[0]
            record.args = (*record.args[:2], path, *record.args[3:])
        return True


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 for any free port."
)
@click.option(
    "--dev",
    is_flag=True,
    help="For development: mails on the console, tables made at once, the test-auth endpoints, and a "
    "random secret if none is set.",
)
@click.option(
    "--forwarded-allow-ips",
    metavar="ADDRESSES",
    help="Proxies whose X-Forwarded-For is believed, such as 10.0.0.1,10.0.0.0/8. By default none is: "
    "limits count by address, and a proxy that is believed can name any.",
)
@with_settings
def serve(
    *,
    host: str,
    port: int,
    dev: bool,
    forwarded_allow_ips: str | None,
    database: str | None,
    config: str | None,
) -> None:
    """Run the identity service until SIGTERM or Ctrl-C.

    All other settings come from AUTHGUARD_… variables or from the file of --config.
    """
    with needs_extra("cli"):
        import uvicorn

    from authguard.identity import create_app

    logging.getLogger("authguard.outages").disabled = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener:
        given = _for_development(config, host, listener.getsockname()[1]) if dev else {}
        settings = read_settings(config, database, **given)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings),
                log_config=_log_config(),
                use_colors=False if os.environ.get("NO_COLOR") else None,
                proxy_headers=forwarded_allow_ips is not None,
                forwarded_allow_ips=forwarded_allow_ips,
                server_header=False,
                ws="none",  # there are none, and uvicorn would log their queries
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        shown = f"[{host}]" if ":" in host else host
        note(f"http://{shown}:{listener.getsockname()[1]} serves the issuer {settings.issuer}")
        with frozen_heap(), suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
            server.run(sockets=[listener])


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the garbage collector from what is loaded, which stays as long as the server.

    To look through it again and again would stop the event loop every few seconds under load.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _listen(host: str, port: int) -> socket.socket:
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise Failure(f"cannot listen at {host} port {port}: {error.strerror}") from None
    return listener


def _for_development(config: str | None, host: str, port: int) -> dict[str, Any]:
    """Return the settings that `--dev` adds where nothing is set."""
    given: dict[str, Any] = {"dev": True}
    set_already = raw_settings(config)
    if host not in ("127.0.0.1", "localhost", "::1"):
        note(f"--dev at {host}: everyone who can reach it can make accounts and sign in by test-auth")
    if "secret" not in set_already:
        if set_already.get("algorithm", "HS256") != "HS256":
            raise Failure("set AUTHGUARD_SECRET: it encrypts the signing keys in the database", 2)
        given["secret"] = secrets.token_urlsafe(32)
        note("no AUTHGUARD_SECRET: a random one is used, so all sessions and tokens end at a restart")
    if "issuer" not in set_already:
        given["issuer"] = f"http://127.0.0.1:{port}"
        note(f"no AUTHGUARD_ISSUER: it is {given['issuer']}")
    return given


def _log_config() -> dict[str, Any]:
    from uvicorn.config import LOGGING_CONFIG

    config = copy.deepcopy(LOGGING_CONFIG)
    config["filters"] = {"without_query": {"()": WithoutQuery}}
    config["handlers"]["access"]["filters"] = ["without_query"]
    config["loggers"]["authguard"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
