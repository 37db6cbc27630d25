"""Serve the identity service on a socket, using uvicorn: `authguard serve`."""

import logging
import logging.config
import os
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from authguard._extras import needs_extra
from authguard.cli.configuration import raw_settings, with_settings
from authguard.cli.output import Failure, note
from authguard.cli.serving.checks import check_workers, read_all_settings, read_proxies, root_path_of
from authguard.cli.serving.heap import settled_heap
from authguard.cli.serving.signals import Signals

if TYPE_CHECKING:
    from authguard.identity import Settings

# A worker answers its supervisor when it has imported the service. On a busy machine that takes longer than
# uvicorn's five seconds, and workers that are killed and started again would keep the machine busy. If a
# worker ends while it is asked, the supervisor may notice it only after this time.
_WORKER_SECONDS = 20
_GRACE_SECONDS = 10  # for requests that are in progress when the service stops
_LEVELS = ("debug", "info", "warning", "error")
_MAX_WORKERS = 256
#: The type of a function that writes a remark for the operator.
Tell = Callable[[str], None]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port; 0 for any free port.",
)
@click.option(
    "--dev",
    is_flag=True,
    help="For development: write mails to the console, create the tables, add the test-auth endpoints, "
    "and use a "
    "random secret if none is set.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, _MAX_WORKERS),
    help="The number of processes. More than one needs a limits_url of Redis.",
)
@click.option(
    "--root-path",
    metavar="PATH",
    help="The path that a proxy removes from requests. It must be that of the issuer, which is the default.",
)
@click.option(
    "--forwarded-allow-ips",
    metavar="ADDRESSES",
    help="The proxies whose X-Forwarded-For is used, such as 10.0.0.1,10.0.0.0/8. Default: none, because "
    "limits count by address, and such a proxy can name any address. Names of hosts and * are refused.",
)
@click.option(
    "--log-level", type=click.Choice(_LEVELS), default="info", show_default=True, help="The log level."
)
@click.option(
    "--log-format",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="The format of the log; json writes one object per line.",
)
@click.option(
    "--access-log",
    type=click.Choice(("all", "errors", "none")),
    default="all",
    show_default=True,
    help="The requests to log on standard output; errors are responses with a status of 400 or more.",
)
@with_settings
def serve(*, dev: bool, database: str | None, config: str | None, **options: Any) -> None:
    """Run the identity service until SIGTERM or Ctrl-C.

    All other settings are AUTHGUARD_… variables, or are in the file given by --config.
    """
    signals = Signals()
    signals.install()
    with needs_extra("cli"):
        from authguard.cli.serving.logs import log_config, logged_failures

    logs = log_config(
        options["log_level"],
        options["log_format"],
        options["access_log"],
        colors=False if os.environ.get("NO_COLOR") or sys.stdout is None else None,
    )
    logging.config.dictConfig(logs)  # before the service logs its findings at the start
    logger = logging.getLogger("authguard")
    is_text = options["log_format"] == "text"
    tell: Tell = note if is_text else logger.warning
    with (
        nullcontext() if is_text else logged_failures(),
        _listen(options["host"], options["port"]) as listener,
    ):
        proxies = read_proxies(options.pop("forwarded_allow_ips"))
        port = listener.getsockname()[1]
        given = _for_development(config, options["host"], port, tell) if dev else {}
        settings = read_all_settings(config, database, given)
        shown = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        server = _server(settings, listener, logs, tell, proxies, signals=signals, **options)
        (note if is_text else logger.info)(f"http://{shown}:{port} serves the issuer {settings.issuer}")
        # Until now, the command reports the reason itself.
        logging.getLogger("authguard.outages").disabled = False
        server(_variables(config, database, given))


def _server(
    settings: "Settings",
    listener: socket.socket,
    logs: dict[str, Any],
    tell: Tell,
    proxies: list[str] | None,
    *,
    signals: Signals,
    workers: int,
    root_path: str | None,
    access_log: str,
    **_: Any,
) -> Callable[[dict[str, str]], None]:
    """Return the function that serves until it is stopped; it takes the variables for workers."""
    import uvicorn

    from authguard.cli.serving.forwarded import ForwardedFields
    from authguard.cli.serving.server import Server
    from authguard.cli.serving.worker import APP, run_workers
    from authguard.identity import create_app

    path = root_path_of(settings, root_path)
    if warning := check_workers(settings, workers):
        tell(warning)
    # the application is also created if workers create their own, so that faults are reported here, and only
    # once
    app = create_app(settings)
    config = uvicorn.Config(
        ForwardedFields(app) if workers == 1 else APP,
        factory=workers > 1,
        workers=workers,
        log_config=logs,
        access_log=access_log != "none",
        root_path=path,
        proxy_headers=proxies is not None,
        forwarded_allow_ips=proxies,
        server_header=False,
        ws="none",  # no limiters are needed, and uvicorn would log their queries
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_worker_healthcheck=_WORKER_SECONDS,
    )
    if workers > 1:
        app.close()
        return partial(run_workers, config, listener)

    def run(_: dict[str, str]) -> None:
        with settled_heap(), suppress(KeyboardInterrupt):  # Ctrl-C is the usual way to stop it
            Server(config, signals).run(sockets=[listener])

    return run


def _variables(config: str | None, database: str | None, given: dict[str, Any]) -> dict[str, str]:
    """Return the settings of the options as variables, for workers."""
    options = {"config": config, "database": database, **given}
    return {f"AUTHGUARD_{name.upper()}": str(value) for name, value in options.items() if value is not None}


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
        raise Failure(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listener


def _for_development(config: str | None, host: str, port: int, tell: Tell = note) -> dict[str, Any]:
    """Return the settings that `--dev` adds if they are not set."""
    given: dict[str, Any] = {"dev": True}
    set_already = raw_settings(config)
    if host not in ("127.0.0.1", "localhost", "::1"):
        tell(
            f"--dev at {host}: everyone who can reach this address can create accounts and sign in by "
            "test-auth"
        )
    if "secret" not in set_already:
        if set_already.get("algorithm", "HS256") != "HS256":
            raise Failure("set AUTHGUARD_SECRET: it encrypts the signing keys in the database", 2)
        given["secret"] = secrets.token_urlsafe(32)
        tell(
            "AUTHGUARD_SECRET is not set: a random secret is used, so all sessions and tokens end at a "
            "restart"
        )
    if "issuer" not in set_already:
        given["issuer"] = f"http://127.0.0.1:{port}"
        tell(f"AUTHGUARD_ISSUER is not set: the issuer is {given['issuer']}")
    return given
