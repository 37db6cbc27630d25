"""The replies of a mail server, by which a mail is sent, tried again or given up."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest

from authguard.identity.mail.mailer import Mail, MailError, SMTPMailer

MAIL = Mail("ann@example.com", "A subject", "A text")
ANSWERS = {
    "GREETING": "220 mail.test",
    "DATA": "354 go on",
    "QUIT": "221 bye",
    "TEXT": "250 taken",
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer each command by its first word, and count the received texts."""
        answers = ANSWERS | self.server.answers  # type: ignore[attr-defined]
        self._say(answers["GREETING"])
        for line in self.rfile:
            word = line.split()[0].decode().upper()
            answer = answers.get(word, "250 good")
            self._say(answer)
            if word == "DATA" and answer.startswith("354"):
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.server.texts += 1  # type: ignore[attr-defined]
                self._say(answers["TEXT"])

    def _say(self, answer: str) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(answer.encode() + b"\r\n")


@contextlib.contextmanager
def mail_server(**answers: str) -> Iterator[socketserver.ThreadingTCPServer]:
    """Run a mail server that gives these replies, by the command."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.answers, server.texts = answers, 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send(server):
    url = f"smtp://127.0.0.1:{server.server_address[1]}"
    SMTPMailer(url, sender="accounts@example.com", timeout=5).send(MAIL)


@pytest.mark.parametrize("answer", ["250 good", "421 too many", "500 what", "554 no"])
def test_what_is_said_at_the_end_means_nothing(answer):
    """The reply to QUIT does not change that a mail was sent."""
    with mail_server(QUIT=answer) as server:
        send(server)
        assert server.texts == 1


@pytest.mark.parametrize("answer", ["250 good", "421 too many"])
def test_what_is_said_at_the_end_hides_no_refusal(answer):
    """The reply to QUIT does not change that a recipient was refused permanently."""
    with mail_server(RCPT="550 nobody", QUIT=answer) as server, pytest.raises(MailError) as caught:
        send(server)
    assert (str(caught.value), caught.value.temporary) == (
        "the mail server refused the recipient: 550",
        False,
    )


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"GREETING": "554 no service here"}, "takes no mails from this machine: 554"),
        ({"GREETING": "521 no mail"}, "takes no mails from this machine: 521"),
        ({"GREETING": "421 busy"}, "takes no mails from this machine: 421"),
        ({"EHLO": "550 who", "HELO": "550 who"}, "takes no mails from this machine: 550"),
        ({"MAIL": "530 a password first"}, "refused the sender: 530"),
        ({"RCPT": "530 a password first"}, "refused the recipient: 530"),
        ({"RCPT": "503 in this order"}, "refused the recipient: 503"),
        ({"DATA": "530 a password first"}, "refused: 530"),
    ],
)
def test_what_an_operator_can_mend_loses_no_mail(answers, words):
    """A reply that concerns the configuration, and not the mail, is a temporary error."""
    with mail_server(**answers) as server, pytest.raises(MailError, match=words) as caught:
        send(server)
    assert caught.value.temporary


def test_a_password_that_a_server_does_not_take():
    """A server that supports no passwords is a temporary error with its reason."""
    mailer = SMTPMailer("smtp+starttls://ann:pa55@127.0.0.1:1", sender="accounts@example.com", timeout=5)
    mailer._scheme = "smtp"  # the password is sent without TLS, because TLS needs a certificate
    with mail_server() as server:
        mailer._port = server.server_address[1]
        with pytest.raises(MailError, match="takes no password") as caught:
            mailer.send(MAIL)
    assert caught.value.temporary


@pytest.mark.parametrize(
    "answers", [{"RCPT": "550 nobody"}, {"DATA": "554 no"}, {"TEXT": "552 too large"}, {"TEXT": "554 spam"}]
)
def test_what_is_about_the_mail_is_for_good(answers):
    """A permanent reply about the recipient or the text is a permanent error."""
    with mail_server(**answers) as server, pytest.raises(MailError) as caught:
        send(server)
    assert not caught.value.temporary


class _Silent(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer each command until one that gets no answer, and wait for the client to leave."""
        silent_at = self.server.silent_at  # type: ignore[attr-defined]
        command, answer = b"GREETING", b"220 mail.test"
        while command != silent_at:
            self.wfile.write(answer + b"\r\n")
            command = b"TEXT" if command == b"DATA" else self.rfile.readline()[:4].upper()
            answer = b"354 go on" if command == b"DATA" else b"250 good"
        self.rfile.read()


@pytest.mark.parametrize("silent_at", [b"GREETING", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"TEXT"])
def test_a_server_that_does_not_answer(silent_at):
    """A server that keeps the connection and gives no answer is reported as late, at each step of a mail."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Silent) as server:
        server.daemon_threads = True
        server.silent_at = silent_at  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"smtp://127.0.0.1:{server.server_address[1]}"
        try:
            with pytest.raises(MailError) as failure:
                SMTPMailer(url, sender="accounts@example.com", timeout=0.1).send(MAIL)
        finally:
            server.shutdown()
            thread.join()
    assert (str(failure.value), failure.value.temporary) == ("the mail server does not answer in time", True)
