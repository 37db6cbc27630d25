"""Write mails, and send them off the request's path."""

from authguard.identity.mail.mailer import ConsoleMailer, Mail, Mailer, MailError, SMTPMailer

__all__ = ["ConsoleMailer", "Mail", "MailError", "Mailer", "SMTPMailer"]
