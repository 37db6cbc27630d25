"""Mails, and how they are sent."""

import sys
from dataclasses import dataclass


class MailError(Exception):
    """A mail could not be sent."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail."""

    to: str
    subject: str
    text: str


class ConsoleMailer:
    """Writes mails to the console."""

    def send(self, mail: Mail) -> None:
        """Write a mail."""
        print(f"To: {mail.to}\nSubject: {mail.subject}\n\n{mail.text}", file=sys.stderr)  # noqa: T201
