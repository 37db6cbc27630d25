"""Run a real SMTP server on loopback that stores its mails."""

import contextlib
import email
import email.policy
import logging
from collections.abc import Callable, Iterator
from typing import Any

from aiosmtpd.controller import Controller

# At DEBUG, the server logs each received line, and mails contain links.
logging.getLogger("mail.log").addFilter(lambda record: record.levelno > logging.DEBUG)


class Mailbox:
    """Store the received mails, as (recipient, subject, text).

    Attributes:
        url: of the server.
        on_mail: called with the number of mails, before a mail is acknowledged.
    """

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []
        self.url = ""
        self.on_mail: Callable[[int], None] = lambda number: None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        body = message.get_body()
        text = "" if body is None else body.get_content()
        self.mails.append((envelope.rcpt_tos[0], str(message["Subject"]), text))
        self.on_mail(len(self.mails))
        return "250 OK"

    def times(self, text: str) -> int:
        """Return the number of mails with a text."""
        return sum(text in each for _, _, each in self.mails)


class _Controller(Controller):
    """Open a free port."""

    def _trigger_server(self) -> None:
        listening: Any = self.server
        self.port = listening.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def smtp_server() -> Iterator[Mailbox]:
    """Run a server."""
    mailbox = Mailbox()
    controller = _Controller(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    mailbox.url = f"smtp://127.0.0.1:{controller.port}"
    try:
        yield mailbox
    finally:
        controller.stop()
