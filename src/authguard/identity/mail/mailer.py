"""Send mails through an SMTP server, or write them to the console in development.

This uses the standard library's `smtplib` and `email`: they are maintained with Python, need no event loop,
and refuse line breaks in fields. The synchronous mail libraries are wrappers around them.
"""

import smtplib
import socket
import ssl
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, make_msgid
from typing import Protocol, TextIO
from urllib.parse import SplitResult, unquote, urlsplit

from authguard._core.hosts import is_loopback
from authguard._core.options import (
    check_flag,
    check_method,
    check_object,
    check_seconds,
    check_text,
    got,
)
from authguard.errors import AuthGuardError, ConfigurationError
from authguard.identity.mail.addresses import ascii_domain
from authguard.stores.places import shown_url

_SPECIALS = ' @,;:<>"()[]\\'  # characters that would turn the address into several ones, or into another one
_MAX_NAME = 60  # characters, so that the subject stays readable
# Codes for faults of this client, such as a missing password, which do not concern the mail (RFC 4954).
_OF_CLIENT = frozenset({503, 530, 534, 535, 538})
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_BOTH = "smtps://… for TLS from the start (port 465), or smtp+starttls://… for STARTTLS (port 587)"
#: The text to write instead of the schemes of other programs, and of some mistakes.
_MEANT = {
    "smtp+tls": _BOTH,
    "smtp+ssl": "smtps://…, which is TLS from the start (port 465)",
    "smtps+starttls": "smtp+starttls://…",
    "smtps+tls": "smtps://…",
    "starttls": "smtp+starttls://…",
    "submission": "smtp+starttls://…",
    "submissions": "smtps://…",
}


class MailError(AuthGuardError):
    """Report that a mail could not be sent.

    Args:
        reason: the reason, without the mail's text or any password.
        temporary: whether a later attempt may succeed.
    """

    def __init__(self, reason: str, *, temporary: bool) -> None:
        super().__init__(reason)
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class Mail:
    """Hold a mail to one person. Its text contains links, and is never logged.

    Args:
        to: the address, `local@domain`.
        subject: one line.
        text: plain text.

    Raises:
        MailError: if the address or the subject is not allowed in a mail, such as with a line break.
    """

    to: str
    subject: str
    text: str

    def __post_init__(self) -> None:
        parse_address(self.to)
        if not self.subject.isprintable():
            raise MailError("the subject of a mail is one line", temporary=False)

    def of_product(self, name: str, links: Iterable[tuple[str, str]] = ()) -> "Mail":
        """Return the mail with the name of a product in its subject, and with name and links below its text.

        Args:
            name: of the product; empty for no name.
            links: titles and addresses, such as those of a privacy policy.
        """
        foot = [*filter(None, [name]), *(f"{title}: {url}" for title, url in links)]
        if not foot:
            return self
        subject = f"{name}: {self.subject}" if name else self.subject
        return replace(self, subject=subject, text="\n".join((self.text, "", "-- ", *foot)))

    def __repr__(self) -> str:
        return f"Mail(subject={self.subject!r})"


def parse_address(text: str) -> Address:
    """Parse an address without a display name (RFC 5321 section 4.1.2).

    Raises:
        MailError: if it is not exactly one address.
    """
    name, _, domain = text.rpartition("@")
    if name and domain and text.isprintable() and not any(char in _SPECIALS for char in name + domain):
        return Address(username=name, domain=domain)
    raise MailError("not one e-mail address", temporary=False)


class Mailer(Protocol):
    """Define an object that sends mails."""

    def send(self, mail: Mail) -> None:
        """Send one mail, or raise MailError; this blocks."""
        ...


class ConsoleMailer:
    """Write mails to the console, for development, so that developers can follow the links.

    Args:
        stream: the output stream; None for standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        check_method(stream, "stream", "write", "stream=sys.stderr")
        self._stream = stream

    def send(self, mail: Mail) -> None:
        """Write one mail."""
        stream = self._stream or sys.stderr
        stream.write(f"--- mail\nTo: {mail.to}\nSubject: {mail.subject}\n\n{mail.text}\n---\n")
        stream.flush()


class SMTPMailer:
    """Send mails through an SMTP server, with one connection for each.

    Args:
        url: `smtp+starttls://user:password@host:587`, `smtps://user:password@host:465`, or `smtp://host:25`,
            which is not encrypted and only for loopback. Percent-encode special characters in user name and
            password.
        sender: the sender address, or a name with the address: `Acme <accounts@example.com>`.
        sender_name: the display name, if it is not in `sender`.
        timeout: seconds, or a timedelta, for connecting, and for each answer of the server.
        context: the TLS context; None to trust the authorities of the system.
        allow_plain_text: whether `smtp://` may lead to another machine, such as a relay in a private network.
            Any machine in between can then read the links in the mails. A password is never sent that way.

    Raises:
        ConfigurationError: if the URL or the sender is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        sender: str,
        sender_name: str = "",
        timeout: float | timedelta = 10.0,
        context: ssl.SSLContext | None = None,
        allow_plain_text: bool = False,
    ) -> None:
        parts, self._port = _split_url(url)
        is_plain = parts.scheme == "smtp" and not is_loopback(parts.hostname or "")
        if is_plain and (parts.username or not check_flag(allow_plain_text, "allow_plain_text")):
            raise ConfigurationError(
                f"url of the mail server must be smtp+starttls://… or smtps://…, got smtp:// to "
                f"{parts.hostname!r}: without a password, allow_plain_text=True (the setting "
                "smtp_allow_plain_text) lets mails go there in clear"
            )
        check_flag(allow_plain_text, "allow_plain_text")
        if bool(parts.username) != bool(parts.password):
            raise ConfigurationError(
                "url of the mail server must have a user and a password or neither, got one of them"
            )
        self._timeout = check_seconds(timeout, "timeout", 120, exclusive=True)
        check_object(context, "context", ssl.SSLContext, "context=ssl.create_default_context(cafile=…)")
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = _sender(sender, sender_name)
        self._context = context or ssl.create_default_context()

    def send(self, mail: Mail) -> None:
        """Send one mail.

        Raises:
            MailError: if the server is unreachable or refuses; `temporary` tells whether to retry.
        """
        recipient = _ascii_address(parse_address(mail.to))
        message = self._message(mail, recipient)
        server = self._open()
        try:
            server.send_message(message, self._sender.addr_spec, [recipient.addr_spec])
        except smtplib.SMTPNotSupportedError:
            raise MailError(
                "the mail server takes no addresses with such letters (SMTPUTF8)", temporary=False
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            ((code, _),) = error.recipients.values()
            raise MailError(
                f"the mail server refused the recipient: {code}", temporary=not _is_for_good(code)
            ) from None
        except smtplib.SMTPSenderRefused as error:  # the operator can correct it
            raise MailError(
                f"the mail server refused the sender: {error.smtp_code}", temporary=True
            ) from None
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
            raise MailError(f"the mail server refused: {code}", temporary=not _is_for_good(code)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(_in_words(error), temporary=True) from None
        finally:
            _take_leave(server)

    def _open(self) -> smtplib.SMTP:
        """Return a connection that is ready for a mail. A failure before that does not concern the mail."""
        try:
            return self._connected()
        except smtplib.SMTPNotSupportedError:
            reason = "the mail server takes no password, and the URL has one"
        except smtplib.SMTPAuthenticationError as error:
            # The server's answer may repeat the sent data.
            reason = f"the mail server refused the password: {error.smtp_code}"
        except smtplib.SMTPResponseException as error:
            reason = f"the mail server takes no mails from this machine: {error.smtp_code}"
        except (OSError, smtplib.SMTPException) as error:
            reason = _in_words(error)
        raise MailError(reason, temporary=True)

    def _message(self, mail: Mail, recipient: Address) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._sender
        message["To"] = recipient
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses out-of-office replies
        message.set_content(mail.text)
        return message

    def _connected(self) -> smtplib.SMTP:
        server: smtplib.SMTP
        if self._scheme == "smtps":
            server = smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout, context=self._context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
        try:
            if self._scheme == "smtp+starttls":
                _start_tls(server, self._context)
            server.ehlo_or_helo_if_needed()
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def __repr__(self) -> str:
        return f"SMTPMailer({self._scheme}://{self._host}:{self._port})"


def _split_url(url: object) -> tuple[SplitResult, int]:
    """Return the parts of the URL of a mail server, and its port.

    Raises:
        ConfigurationError: if it has another scheme, which would mean no encryption, or another form.
    """
    name, must = "url of the mail server", "be smtp+starttls://user:password@host:587, smtps://… or smtp://…"
    text = check_text(url, name, must=must, secret=True)
    try:
        parts = urlsplit(text)
        port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError:  # its text may contain the password
        raise ConfigurationError(f"{name} must {must}, got another form{_escaped_if_needed(text)}") from None
    if parts.scheme not in _PORTS:
        shown = shown_url(text, _MEANT.get(parts.scheme, "smtp+starttls://…:587 or smtps://…:465"))
        raise ConfigurationError(f"{name} must {must}, got {shown}")
    if not parts.hostname or not port or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} must have a host, a port other than 0 and no path, got another "
            f"form{_escaped_if_needed(text)}"
        )
    return parts, port


def _escaped_if_needed(url: str) -> str:
    """Return the advice for a URL with a password, whose special characters may be the fault."""
    advice = ": write %2F for /, %23 for #, %5B for [ and %5D for ] in a password, for example"
    return advice if "@" in url else ""


def _is_for_good(code: int) -> bool:
    """Return whether a mail server refuses a mail permanently, by its answer to the recipient or the text."""
    return 500 <= code < 600 and code not in _OF_CLIENT


def _take_leave(server: smtplib.SMTP) -> None:
    """End a connection. The answer to QUIT is ignored, because the mail was accepted or refused before."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def _start_tls(server: smtplib.SMTP, context: ssl.SSLContext) -> None:
    try:
        server.starttls(context=context)
    except smtplib.SMTPNotSupportedError:
        raise MailError("the mail server has no STARTTLS, which the URL asks for", temporary=True) from None


def _in_words(error: Exception) -> str:
    """Return why a mail server does not answer, without its own text, which may repeat the sent data."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the mail server is not trusted: {error.verify_message}"
    late = "the mail server does not answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        # smtplib closes the connection itself when the time is over.
        is_late = isinstance(error.__context__, TimeoutError)
        return late if is_late else "the mail server has closed the connection"
    kinds = {
        socket.gaierror: "the host of the mail server is not known",
        ConnectionRefusedError: "no mail server listens at the host and port of the URL",
        TimeoutError: late,
        ssl.SSLError: "the mail server does not speak TLS as the URL asks for",
    }
    words = next((words for kind, words in kinds.items() if isinstance(error, kind)), None)
    return words or f"the mail server is down: {type(error).__name__}"


def _ascii_address(address: Address) -> Address:
    """Return an address with the A-labels of its domain, which every server accepts (RFC 5890)."""
    return Address(address.display_name, address.username, ascii_domain(address.domain))


def check_product_name(name: object) -> str:
    """Return the name of a product, for subjects and texts of mails; empty for none.

    Raises:
        ConfigurationError: if it is not one line of at most 60 characters.
    """
    must = "be one line of at most 60 characters, or empty"
    if isinstance(name, str) and len(name) <= _MAX_NAME and name.isprintable() and name == name.strip():
        return name
    raise ConfigurationError(f"product_name must {must}, got {got(name)}")


def check_sender(text: object, name: str = "mail_from") -> str:
    """Return the sender of mails, as `accounts@example.com` or `Acme <accounts@example.com>`.

    Raises:
        ConfigurationError: if it is neither.
    """
    _sender(text, "", name)
    return str(text)


def _split_sender(text: str) -> tuple[str, str]:
    """Return the name and the address of a sender; the name may be empty."""
    if not text.endswith(">"):
        return "", text
    shown, _, address = text[:-1].rpartition("<")
    return shown.strip().strip('"'), address


def _sender(sender: object, name: object, option: str = "sender") -> Address:
    text = check_text(sender, option, must="be an e-mail address")
    shown, address = _split_sender(text)
    if not isinstance(name, str):
        raise ConfigurationError(f"sender_name must be text, got {got(name)}")
    try:
        if not (shown or name).isprintable():
            raise ValueError
        return _ascii_address(Address(shown or name, *_parts(parse_address(address))))
    except (MailError, ValueError):
        must = "be an e-mail address, such as accounts@example.com or Acme <accounts@example.com>"
        if name:
            must += ", and sender_name one line"
        given = f"{got(text)} and {got(name)}" if name else got(text)
        raise ConfigurationError(f"{option} must {must}, got {given}") from None


def _parts(address: Address) -> tuple[str, str]:
    return address.username, address.domain
