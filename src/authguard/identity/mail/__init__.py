"""Compose mails, and send them outside the request."""

from authguard.identity.mail.mailer import ConsoleMailer, Mail, Mailer, MailError, SMTPMailer

__all__ = ["ConsoleMailer", "Mail", "MailError", "Mailer", "SMTPMailer"]
