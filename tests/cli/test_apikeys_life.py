"""`authguard apikeys disable`, `enable` and `notify`."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from cli.support import COMMAND, ISSUER, PASSWORD, environment, invoke
from identity.api_key_support import update
from identity.smtp_server import Mailbox, smtp_server
from identity.support import service_at

EMAIL = "ann@example.com"


@pytest.fixture
def ann(service):
    """The variables of a service that has the account of Ann, whose address is verified."""
    made = invoke("users", "create", EMAIL, "--verified", "--password-stdin", given=PASSWORD, **service)
    assert made.exit_code == 0, made.stderr
    return service


@pytest.fixture
def mailed(ann) -> Iterator[tuple[dict[str, str], Mailbox]]:
    """The same, with a mail server."""
    with smtp_server() as mailbox:
        mail = {"AUTHGUARD_SMTP_URL": mailbox.url, "AUTHGUARD_MAIL_FROM": "accounts@example.com"}
        yield ann | mail | {"AUTHGUARD_ISSUER": ISSUER}, mailbox


def create(variables):
    """The id of a new key."""
    done = invoke("apikeys", "create", EMAIL, "--json", **variables)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["id"]


def states(variables):
    """The states of the keys, and who has disabled them."""
    listed = json.loads(invoke("apikeys", "list", EMAIL, "--json", **variables).stdout)
    return [(key["state"], key["disabled_by"]) for key in listed]


def test_a_key_is_disabled_and_enabled(ann):
    """By its id; the list shows the state."""
    key_id = create(ann)
    done = invoke("apikeys", "disable", key_id, **ann)
    assert (done.exit_code, done.stdout) == (0, "The key is disabled.\n")
    assert states(ann) == [("disabled", "operator")]
    assert "disabled" in invoke("apikeys", "list", EMAIL, **ann).stdout
    done = invoke("apikeys", "enable", key_id, **ann)
    assert (done.exit_code, done.stdout) == (0, "The key is enabled.\n")
    assert states(ann) == [("active", None)]


@pytest.mark.parametrize("command", ["disable", "enable"])
def test_keys_that_there_are_not(ann, command):
    """An unknown id and a key that was revoked are said, and end the command with 1."""
    key_id = create(ann)
    invoke("apikeys", "revoke", key_id, **ann)
    done = invoke("apikeys", command, key_id, **ann)
    assert (done.exit_code, done.stderr) == (
        1,
        "authguard: the key has expired or was revoked; neither can be undone\n",
    )
    for unknown in ("key_nobody", "", "é"):
        done = invoke("apikeys", command, unknown, **ann)
        assert done.stderr == "authguard: no key has this id; authguard apikeys list shows the ids\n"


def test_mails_of_commands_wait_for_the_service(ann, postbox_of_service):
    """A command has no mail server: what it has done is told by the service, or by `notify`."""
    create(ann)
    service, postbox = postbox_of_service(ann)
    assert service.mails.run()
    assert [mail.subject for mail in postbox.mails] == ["An API key was created"]
    assert "by the operator of the service" in postbox.mails[0].text


@pytest.fixture
def postbox_of_service():
    """Opens a service on the database of commands."""
    import time
    from contextlib import ExitStack

    from identity.support import Postbox

    with ExitStack() as stack:

        def open_service(variables):
            postbox = Postbox()
            opened = service_at(variables["AUTHGUARD_DATABASE"], clock=time.time, postbox=postbox)
            return stack.enter_context(opened), postbox

        yield open_service


def test_notify_in_real_processes(mailed):
    """Several at once send each mail once, and a later one has nothing to do."""
    variables, mailbox = mailed
    create(variables)
    command, given = [COMMAND, "apikeys", "notify"], environment(**variables)
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, env=given, text=True, stdout=pipe, stderr=pipe) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert [subject for _, subject, _ in mailbox.mails] == ["An API key was created"]
    assert f"{ISSUER}/account/keys" in mailbox.mails[0][2]
    texts = sorted(output for output, _ in outputs)
    nothing = "Expiring keys noted: 0. Mails sent: 0.\n"
    assert texts == [nothing, nothing, nothing.replace("sent: 0", "sent: 1")]


def test_notify_finds_keys_that_expire(mailed):
    """It notes the event, and sends the mail about it."""
    variables, mailbox = mailed
    create(variables)
    assert invoke("apikeys", "notify", **variables).exit_code == 0
    with service_at(variables["AUTHGUARD_DATABASE"]) as service:
        update(service, "UPDATE api_keys SET expires_at = 1, notice_at = 1")
    done = invoke("apikeys", "notify", **variables)
    assert done.stdout == "Expiring keys noted: 1. Mails sent: 1.\n"
    assert [subject for _, subject, _ in mailbox.mails] == [
        "An API key was created",
        "An API key has expired",
    ]
    assert states(variables) == [("expired", None)]


def test_notify_says_what_it_needs(ann):
    """A mail server, and the issuer, to which the links in mails lead."""
    without = {name: value for name, value in ann.items() if name != "AUTHGUARD_ISSUER"}
    done = invoke("apikeys", "notify", **without)
    assert (done.exit_code, "AUTHGUARD_ISSUER" in done.stderr) == (2, True)
    done = invoke("apikeys", "notify", **ann | {"AUTHGUARD_ISSUER": ISSUER})
    assert (done.exit_code, "smtp_url must be the server" in done.stderr) == (2, True)


def test_notify_says_that_mails_were_not_taken(mailed, monkeypatch):
    """And ends with 1, so that cron tells the operator."""
    from authguard.identity.mail import outbox

    monkeypatch.setattr(
        outbox, "check_seconds", lambda *args, **kwargs: 0.001
    )  # instead of a minute of tries
    variables, _ = mailed
    create(variables)
    done = invoke("apikeys", "notify", **variables | {"AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:17160"})
    assert done.exit_code == 1
    assert "the mail server did not accept some mails" in done.stderr
