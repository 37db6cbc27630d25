"""Mails, sent to a real SMTP server on loopback."""

import datetime as dt
import email
import email.policy
import io
import ipaddress
import ssl

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from authguard import ConfigurationError
from authguard.identity.mail.mailer import ConsoleMailer, Mail, MailError, SMTPMailer
from identity.support import settings
from support import ec_key

SENDER = "accounts@example.com"
USER, PASSWORD = "mailer@example.com", "s3cret/of:the@mailer"
MAIL = Mail("ann@example.com", "Verify your address ✓", "https://auth.example.com/verify#tök3n\n.\nBye")


class _Controller(Controller):
    """Listens at a free port."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class _Handler:
    """Keeps the received mails, and answers as a test sets it."""

    def __init__(self):
        self.envelopes, self.recipient, self.data, self.sender = [], "250 OK", "250 OK", "250 OK"

    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        return self.sender

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append((session.ssl is not None, session.authenticated, envelope))
        return self.data


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return a server's certificate for 127.0.0.1, signed by itself."""
    key = ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("smtp") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def serve(certificate):
    """Return a function that starts an SMTP server: plain, with STARTTLS and a password, or with TLS."""
    running = []

    def start(kind="plain"):
        handler = _Handler()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

        def check(server, session, envelope, mechanism, data):
            right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
            return AuthResult(success=right, handled=False)

        options = {
            "plain": {},
            "ascii": {"enable_SMTPUTF8": False},
            "starttls": {
                "tls_context": context,
                "require_starttls": True,
                "authenticator": check,
                "auth_required": True,
            },
            "tls": {"ssl_context": context},
        }[kind]
        controller = _Controller(handler, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        handler.port = controller.port
        return handler

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def trusting(certificate):
    """Return a context that trusts the server's certificate, and no other."""
    return ssl.create_default_context(cafile=certificate)


def _received(handler):
    """Return the only received mail, with the security of its connection."""
    ((encrypted, authenticated, envelope),) = handler.envelopes
    return (
        encrypted,
        authenticated,
        envelope,
        email.message_from_bytes(envelope.content, policy=email.policy.SMTP),
    )


def test_mail_arrives(serve):
    """Sender, recipient, subject and text arrive unchanged."""
    server = serve()
    SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER, sender_name="Example Å").send(MAIL)
    _, _, envelope, message = _received(server)
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [MAIL.to])
    assert (message["From"], message["To"]) == (f"Example Å <{SENDER}>", MAIL.to)
    assert message["Subject"] == MAIL.subject
    assert message.get_content().replace("\r\n", "\n") == MAIL.text + "\n"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Date"]


def _starttls(port, password="s3cret%2Fof%3Athe%40mailer"):
    return f"smtp+starttls://mailer%40example.com:{password}@127.0.0.1:{port}"


def test_starttls_with_a_password(serve, trusting):
    """With smtp+starttls the connection is encrypted before the password is sent."""
    server = serve("starttls")
    SMTPMailer(_starttls(server.port), sender=SENDER, context=trusting).send(MAIL)
    assert _received(server)[:2] == (True, True)


def test_tls_from_the_start(serve, trusting):
    """With smtps the connection begins with TLS."""
    server = serve("tls")
    SMTPMailer(f"smtps://127.0.0.1:{server.port}", sender=SENDER, context=trusting).send(MAIL)
    assert len(server.envelopes) == 1


@pytest.mark.parametrize("kind", ["starttls", "tls"])
def test_unknown_certificate_is_refused(serve, kind):
    """A server with an unknown certificate is refused, and gets no mail."""
    server = serve(kind)
    url = _starttls(server.port) if kind == "starttls" else f"smtps://127.0.0.1:{server.port}"
    with pytest.raises(MailError) as caught:
        SMTPMailer(url, sender=SENDER).send(MAIL)
    assert caught.value.temporary
    assert server.envelopes == []


def test_server_without_starttls_is_refused(serve):
    """A server without STARTTLS is refused if the URL requires STARTTLS."""
    server = serve()
    with pytest.raises(MailError) as caught:
        SMTPMailer(f"smtp+starttls://127.0.0.1:{server.port}", sender=SENDER).send(MAIL)
    assert "STARTTLS" in str(caught.value)
    assert caught.value.temporary  # the operator can correct it
    assert server.envelopes == []


def test_wrong_password_is_said_without_it(serve, trusting):
    """The error about a refused password does not hold the password."""
    server = serve("starttls")
    mailer = SMTPMailer(_starttls(server.port, "wr0ng"), sender=SENDER, context=trusting)
    with pytest.raises(MailError) as caught:
        mailer.send(MAIL)
    assert (
        "wr0ng" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {mailer!r}"
    )


@pytest.mark.parametrize(
    ("answers", "temporary"),
    [
        ({"recipient": "550 5.1.1 no such user ann@example.com"}, False),
        ({"recipient": "451 4.7.1 greylisted"}, True),
        ({"data": "554 5.6.0 spam"}, False),
        ({"data": "452 4.3.1 disk full"}, True),
    ],
)
def test_refusals_say_whether_to_try_again(serve, answers, temporary):
    """A reply of 4xx is a temporary error and one of 5xx is not, and the error has no address."""
    server = serve()
    vars(server).update(answers)
    with pytest.raises(MailError) as caught:
        SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER).send(MAIL)
    assert caught.value.temporary is temporary
    assert "ann" not in str(caught.value)


def test_server_that_is_down_may_be_tried_again():
    """A server that does not listen is a temporary error."""
    with pytest.raises(MailError) as caught:
        SMTPMailer("smtp://127.0.0.1:9", sender=SENDER, timeout=1).send(MAIL)
    assert caught.value.temporary


@pytest.mark.parametrize(
    "to",
    [
        "ann@example.com\nBcc: all@example.com",
        "ann@example.com\r\nBcc: all@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\x00",
        "ann@exa\u2028mple.com",
        "ann",
        "@example.com",
        "ann@",
        "",
    ],
)
def test_mail_goes_to_one_address(to):
    """A recipient that is not exactly one address is refused."""
    with pytest.raises(MailError):
        Mail(to, "Hello", "text")


@pytest.mark.parametrize("subject", ["a\nBcc: all@example.com", "a\rb", "a\x00", "a\u2028b"])
def test_subject_is_one_line(subject):
    """A subject with a line break or a control character is refused."""
    with pytest.raises(MailError):
        Mail("ann@example.com", subject, "text")


def test_address_in_unicode_needs_a_server_that_can(serve):
    """An internationalised address is sent to a server with SMTPUTF8."""
    server = serve()
    SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER).send(Mail("änn@example.com", "a", "b"))
    assert _received(server)[2].rcpt_tos == ["änn@example.com"]


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.com",
        "http://mail.example.com",
        "mail.example.com",
        "smtps://",
        "smtps://mail.example.com/path",
        "smtps://user@mail.example.com",
        "smtps://mail.example.com:port",
        "smtps://mail.example.com?x",
    ],
)
def test_url_is_checked(url):
    """A malformed or unencrypted URL is refused when the mailer is built."""
    with pytest.raises(ConfigurationError):
        SMTPMailer(url, sender=SENDER)


@pytest.mark.parametrize("port", ["", ":587"])
@pytest.mark.parametrize(
    ("scheme", "meant"),
    [
        ("smtp+startls", "smtp+starttls://"),
        ("smtps+starttls", "smtp+starttls://"),
        ("smtp+tls", "smtps://… for TLS from the start (port 465), or smtp+starttls://"),
        ("smtp+ssl", "smtps://"),
        ("smtp+https", "smtp+starttls://"),
        ("smpts", "smtps://"),
        ("submissions", "smtps://"),
        ("SMTP+TLS", "smtps://"),
    ],
)
def test_an_unknown_scheme_is_an_error_with_any_port(scheme, meant, port):
    """A scheme with a typo would mean no encryption, so it is refused, and the error has the right one."""
    with pytest.raises(ConfigurationError) as fault:
        SMTPMailer(f"{scheme}://ann:s3cr3t@127.0.0.1{port}", sender=SENDER)
    assert meant in str(fault.value).partition(", got ")[2]
    assert f"begins with {scheme}://" in str(fault.value)
    assert "s3cr3t" not in str(fault.value)


@pytest.mark.parametrize("url", ["SMTPS://mail.example.com:465", "Smtp+StartTLS://mail.example.com:587"])
def test_a_scheme_may_have_capital_letters(url):
    """The scheme of a URL is the same in capital letters (RFC 3986 section 3.1)."""
    assert url.lower() in repr(SMTPMailer(url, sender=SENDER))


def test_port_0_is_no_port():
    """Port 0 is an error, and not the usual port."""
    with pytest.raises(ConfigurationError, match="port other than 0"):
        SMTPMailer("smtps://mail.example.com:0", sender=SENDER)


@pytest.mark.parametrize(
    "options", [{"sender": "x"}, {"sender_name": "a\nb"}, {"timeout": 0}, {"timeout": 121}]
)
def test_sender_and_timeout_are_checked(options):
    """A sender that is no address, and a timeout that is out of range, are refused."""
    with pytest.raises(ConfigurationError):
        SMTPMailer("smtps://mail.example.com", **{"sender": SENDER, **options})


def test_reprs_hold_no_secret():
    """The repr of a mailer has no password, and that of a mail has no link."""
    mailer = SMTPMailer(_starttls(587), sender=SENDER)
    assert repr(mailer) == "SMTPMailer(smtp+starttls://127.0.0.1:587)"
    assert "tök3n" not in repr(MAIL)


def test_console_shows_the_mail():
    """The console mailer shows the text of a mail, with its link."""
    stream = io.StringIO()
    ConsoleMailer(stream).send(MAIL)
    assert MAIL.text in stream.getvalue()
    assert MAIL.to in stream.getvalue()


def test_console_is_standard_error(capsys):
    """The console mailer writes to standard error."""
    ConsoleMailer().send(MAIL)
    assert MAIL.text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("Acme <a@example.com>", "Acme <a@example.com>"),
        ('"Acme, Inc." <a@example.com>', '"Acme, Inc." <a@example.com>'),
        ("Acme, Inc. <a@example.com>", '"Acme, Inc." <a@example.com>'),
        ("Zoë & Söhne <a@example.com>", "Zoë & Söhne <a@example.com>"),
        ("<a@example.com>", "a@example.com"),
        ("konto@bücher.example", "konto@xn--bcher-kva.example"),
    ],
)
def test_sender_may_have_a_name(serve, sender, shown):
    """A sender is an address, or a name and an address."""
    server = serve()
    SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=sender).send(MAIL)
    assert _received(server)[3]["From"] == shown


@pytest.mark.parametrize(
    "sender",
    [
        "Acme\r\nBcc: all@example.com <a@example.com>",
        "Acme <a@example.com>, b@example.com",
        "Acme <a@example.com> <b@example.com",
        "Acme <a@example.com\nX: y>",
        "Acme",
        "Acme <>",
        "",
    ],
)
def test_sender_with_more_than_a_name_is_refused(sender):
    """A sender with a line break or without exactly one address is refused, by the name of the setting."""
    with pytest.raises(ConfigurationError):
        SMTPMailer("smtps://mail.example.com", sender=sender)
    if sender:
        with pytest.raises(ConfigurationError, match="mail_from must be"):
            settings("sqlite:///a.db", mail_from=sender)


@pytest.mark.parametrize("domain", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"])
def test_address_in_a_domain_with_umlauts_needs_no_smtputf8(serve, domain):
    """The domain of an address is sent as A-labels, which need no SMTPUTF8."""
    server = serve("ascii")
    SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER).send(Mail(f"ann@{domain}", "a", "b"))
    _, _, envelope, message = _received(server)
    assert envelope.rcpt_tos == ["ann@xn--bcher-kva.example"]
    assert message["To"] == "ann@xn--bcher-kva.example"


def test_letters_before_the_at_need_smtputf8(serve):
    """An internationalised local part is refused permanently if the mail server lacks SMTPUTF8."""
    server = serve("ascii")
    with pytest.raises(MailError, match="SMTPUTF8") as caught:
        SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER).send(
            Mail("änn@bücher.example", "a", "b")
        )
    assert not caught.value.temporary


def test_sender_that_is_refused_may_be_tried_again(serve):
    """A refused sender is a temporary error, because an operator can correct it."""
    server = serve()
    server.sender = "550 5.7.1 not yours"
    with pytest.raises(MailError, match="sender: 550") as caught:
        SMTPMailer(f"smtp://127.0.0.1:{server.port}", sender=SENDER).send(MAIL)
    assert caught.value.temporary


def test_plain_text_is_only_on_purpose():
    """A URL of plain smtp to another machine must be allowed by a setting, and have no password."""
    SMTPMailer("smtp://relay.internal", sender=SENDER, allow_plain_text=True)
    for url, given in (("smtp://relay.internal", False), ("smtp://user:pass@relay.internal", True)):
        with pytest.raises(ConfigurationError, match="smtp_allow_plain_text") as caught:
            SMTPMailer(url, sender=SENDER, allow_plain_text=given)
        assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("smtp://127.0.0.1:9", "no mail server listens"),
        ("smtps://no-such-host.invalid", "host of the mail server is not known"),
    ],
)
def test_reason_is_in_words(url, words):
    """The error about an unreachable mail server has its reason in words."""
    with pytest.raises(MailError, match=words):
        SMTPMailer(url, sender=SENDER, timeout=2).send(MAIL)


def test_untrusted_certificate_is_in_words(serve):
    """The error about an untrusted certificate names the certificate."""
    server = serve("tls")
    with pytest.raises(MailError, match="certificate of the mail server is not trusted"):
        SMTPMailer(f"smtps://127.0.0.1:{server.port}", sender=SENDER).send(MAIL)


def test_product_is_named():
    """Subject and text name the product, and are unchanged without one."""
    named = MAIL.of_product("Acme")
    assert named.subject == f"Acme: {MAIL.subject}"
    assert named.text == f"{MAIL.text}\n\n-- \nAcme"
    assert MAIL.of_product("") is MAIL


@pytest.mark.parametrize("name", ["a\nBcc: all@example.com", "a\r", "\u2028", "x" * 61, " a", 1, None])
def test_product_name_is_one_short_line(name):
    """A product name with a line break, or of more than 60 characters, is refused."""
    with pytest.raises(ConfigurationError, match="product_name must be"):
        settings("sqlite:///a.db", product_name=name)
