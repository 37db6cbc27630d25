"""Run mail servers that fail like real ones, one after the other at the same port."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

from aiosmtpd.controller import Controller

from identity.smtp_server import Mailbox


class _Handler(socketserver.StreamRequestHandler):
    """Use SMTP up to a command, and answer that command with a failure, or hang up."""

    server: "_BrokenServer"

    def handle(self) -> None:
        """Send a greeting, and answer each command."""
        failing, failure = self.server.failure
        self._say(failure if failing == b"" else "220 mail.example")
        while line := self.rfile.readline(2_000):
            command = line[:4].upper()
            if command == failing and not failure:
                return
            self._say(failure if command == failing else "354 go on" if command == b"DATA" else "250 OK")
            if command == b"DATA" and failing != b"DATA":
                while (text := self.rfile.readline()) and text != b".\r\n":
                    pass
                if not (failing == b"." and not failure):
                    self._say(failure)
                return

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(text.encode() + b"\r\n")


class _BrokenServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    failure: tuple[bytes, str]


class MailPort:
    """Manage a port without a mail server, with a failing one, or with a working one.

    Attributes:
        mailbox: the accepted mails.
        number: of the port.
    """

    #: The command that fails, and the answer to it; empty for hanging up. `.` is the end of the text.
    FAILURES: ClassVar[dict[str, tuple[bytes, str]]] = {
        "busy": (b"", "421 too many connections"),
        "recipient later": (b"RCPT", "451 greylisted"),
        "hangs up": (b"MAIL", ""),
        "disk full": (b".", "452 insufficient storage"),
        "no answer at the end": (b".", ""),
    }

    def __init__(self, number: int) -> None:
        self.number = number
        self.mailbox = Mailbox()

    @contextlib.contextmanager
    def failing(self, kind: str) -> Iterator[None]:
        """Fail in one way; for `down`, no server listens."""
        if kind == "down":
            yield
            return
        with _BrokenServer(("127.0.0.1", self.number), _Handler) as server:
            server.failure = self.FAILURES[kind]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    @contextlib.contextmanager
    def working(self) -> Iterator[Mailbox]:
        """Take mails."""
        controller = Controller(self.mailbox, hostname="127.0.0.1", port=self.number)
        controller.start()
        try:
            yield self.mailbox
        finally:
            controller.stop()
