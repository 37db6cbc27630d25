"""`authguard mail`: the list of waiting mails, their retry, and the test of the mail server."""

import json

import pytest

from authguard.cli.mail import mask
from cli.support import ISSUER, PASSWORD, SECRET, invoke, run_script
from identity.smtp_server import smtp_server
from identity.support import CALLER, Postbox, service_at

SENDER = "Acme <accounts@example.com>"


@pytest.fixture
def waiting(service):
    """Yield a service whose mail server is down, with one mail to an account and one to an address."""
    box = Postbox()
    box.broken = True
    url = service["AUTHGUARD_DATABASE"]
    with service_at(url, secret=SECRET, issuer=ISSUER, postbox=box) as running:
        running.accounts.create("ann@example.com", PASSWORD)
        running.links.request_password_reset("ann@example.com", CALLER)
        assert running.outbox.flush()
        running.mails.leave_to_others()
        running.clock.go_on(1)
        running.links.request_password_reset("bob@example.com", CALLER)
        yield running, box


def listed(service, *options):
    done = invoke("mail", "list", *options, **service)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_what_waits_is_listed(service, waiting):
    """A waiting mail is listed with its account or masked address, the tries and the reason."""
    running, _ = waiting
    shown = listed(service)
    first, second = (line.split() for line in shown.splitlines()[1:])
    assert (first[1:3], second[1:3]) == (
        ["reset", "b…@example.com"],
        ["reset", running.accounts.find("ann@example.com").id],
    )
    assert shown.rstrip().endswith("1      the server is down")
    assert "bob@" not in shown


def test_json_is_for_programs(service, waiting):
    """The JSON has whole ids, times in seconds, and masked addresses."""
    first, second = json.loads(listed(service, "--json"))
    assert set(first) == {"id", "kind", "user_id", "address", "asked_at", "try_at", "tries", "reason"}
    assert (first["address"], second["address"], second["tries"]) == ("b…@example.com", None, 1)


def test_more_than_are_shown_are_counted(service, waiting):
    """A line on standard error has the number of waiting mails if not all are listed."""
    done = invoke("mail", "list", "--limit", "1", **service)
    assert done.stderr == "authguard: 2 mails wait; these are the first 1\n"


def test_one_mail_is_retried(service, waiting):
    """One mail is retried by its id, and sent by the service later."""
    running, box = waiting
    mail = running.mails.list()[1]
    running.mails._clock.go_on(100)
    done = invoke("mail", "retry", mail.id[:12], **service)
    assert (done.exit_code, done.stdout) == (0, "Mails to be retried now: 1.\n")
    assert not box.mails


def test_all_are_retried(service, waiting):
    """All mails are retried with `--all`."""
    done = invoke("mail", "retry", "--all", **service)
    assert (done.exit_code, done.stdout.startswith("Mails to be retried now: ")) == (0, True)


@pytest.mark.parametrize("arguments", [[], ["--all", "0123456789ab"], ["0123"]])
def test_what_to_retry_has_to_be_said(service, arguments):
    """`mail retry` without a mail, with both options, or with a short id ends with 2."""
    assert invoke("mail", "retry", *arguments, **service).exit_code == 2


def test_unknown_mail_is_said(service):
    """A mail that does not wait is an error."""
    done = invoke("mail", "retry", "0123456789ab", **service)
    assert (done.exit_code, done.stderr) == (
        1,
        "authguard: no waiting mail has this ID: it was sent, or can no longer be sent\n",
    )


def try_server(url, address="ops@example.com", **more):
    variables = {"AUTHGUARD_SMTP_URL": url, "AUTHGUARD_MAIL_FROM": SENDER, **more}
    return invoke("mail", "test", address, **variables)


def test_mail_server_is_tried():
    """The test mail arrives with the sender and the product name of the settings."""
    with smtp_server() as mailbox:
        done = try_server(mailbox.url, AUTHGUARD_PRODUCT_NAME="Acme")
    assert (done.exit_code, done.stdout) == (0, "The mail server accepted the mail.\n")
    ((to, subject, _),) = mailbox.mails
    assert (to, subject) == ("ops@example.com", "Acme: A test of the mail server")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("smtp://127.0.0.1:9", "no mail server listens at the host and port of the URL"),
        ("smtps://no-such-host.invalid", "the host of the mail server is not known"),
    ],
)
def test_reason_is_in_words(url, words):
    """A mail server that cannot be reached ends the command with 1 and the reason."""
    done = try_server(url)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"authguard: {words}\n")


def test_settings_that_cannot_be_meant():
    """Missing or unsafe settings, or an invalid address, end the command with 2."""
    assert invoke("mail", "test", "ops@example.com").exit_code == 2
    done = try_server("smtp://relay.example.com")
    assert (done.exit_code, "smtp_allow_plain_text" in done.stderr) == (2, True)
    assert try_server("smtp://127.0.0.1:9", "nobody").exit_code == 2


@pytest.mark.parametrize(
    ("address", "shown"), [("ann@example.com", "a…@example.com"), ("é@bücher.example", "é…@bücher.example")]
)
def test_addresses_are_masked(address, shown):
    """An address is masked except for its first letter and its domain."""
    assert mask(address) == shown


@pytest.mark.slow
def test_database_that_is_down_is_said_once():
    """A database that is down is an error of one line."""
    done = run_script("mail", "list", "--database", "postgresql://postgres@127.0.0.1:9/none")
    words = "authguard: database: no server listens at the host and port of the URL\n"
    assert (done.returncode, done.stderr) == (1, words)
