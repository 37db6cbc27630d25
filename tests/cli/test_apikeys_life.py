"""`authguard apikeys disable`, `enable`, `set-tier` and `notify`."""

import json
from collections.abc import Iterator

import pytest

from cli.support import ISSUER, PASSWORD, invoke, run_at_once
from identity.api_key_support import update
from identity.smtp_server import Mailbox, smtp_server
from identity.support import service_at

EMAIL = "ann@example.com"


@pytest.fixture
def ann(service):
    """Return the variables of a service with the account of Ann, whose address is verified."""
    made = invoke("users", "create", EMAIL, "--verified", "--password-stdin", given=PASSWORD, **service)
    assert made.exit_code == 0, made.stderr
    return service


@pytest.fixture
def mailed(ann) -> Iterator[tuple[dict[str, str], Mailbox]]:
    """Yield the same variables with a mail server."""
    with smtp_server() as mailbox:
        mail = {"AUTHGUARD_SMTP_URL": mailbox.url, "AUTHGUARD_MAIL_FROM": "accounts@example.com"}
        yield ann | mail | {"AUTHGUARD_ISSUER": ISSUER}, mailbox


def create(variables):
    """Create a key and return its id."""
    done = invoke("apikeys", "create", EMAIL, "--json", **variables)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["id"]


def listed(variables):
    """Return the documents of the keys."""
    return json.loads(invoke("apikeys", "list", EMAIL, "--json", **variables).stdout)


def states(variables):
    """Return the states of the keys, and who has disabled them."""
    listed = json.loads(invoke("apikeys", "list", EMAIL, "--json", **variables).stdout)
    return [(key["state"], key["disabled_by"]) for key in listed]


@pytest.mark.slow
def test_a_key_is_disabled_and_enabled(ann):
    """A key is disabled and enabled by its id, and listed with its state."""
    key_id = create(ann)
    done = invoke("apikeys", "disable", key_id, **ann)
    assert (done.exit_code, done.stdout) == (0, "The key is disabled.\n")
    assert states(ann) == [("disabled", "operator")]
    assert "disabled" in invoke("apikeys", "list", EMAIL, **ann).stdout
    done = invoke("apikeys", "enable", key_id, **ann)
    assert (done.exit_code, done.stdout) == (0, "The key is enabled.\n")
    assert states(ann) == [("active", None)]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["disable", "enable"])
def test_keys_that_there_are_not(ann, command):
    """An unknown id or a revoked key ends the command with 1 and the reason."""
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
    """The mail about a command's change is sent by the service, because a command has no mail server."""
    create(ann)
    service, postbox = postbox_of_service(ann)
    assert service.mails.run()
    assert [mail.subject for mail in postbox.mails] == ["An API key was created"]
    assert "by the operator of the service" in postbox.mails[0].text


@pytest.fixture
def postbox_of_service():
    """Yield a function that opens a service on the database of the commands."""
    import time
    from contextlib import ExitStack

    from identity.support import Postbox

    with ExitStack() as stack:

        def open_service(variables):
            postbox = Postbox()
            opened = service_at(variables["AUTHGUARD_DATABASE"], clock=time.time, postbox=postbox)
            return stack.enter_context(opened), postbox

        yield open_service


@pytest.mark.slow
def test_notify_in_real_processes(mailed):
    """Several `notify` at once send each mail once."""
    variables, mailbox = mailed
    create(variables)
    ended = run_at_once(3, "apikeys", "notify", **variables)
    assert [each.returncode for each in ended] == [0, 0, 0], ended
    assert [subject for _, subject, _ in mailbox.mails] == ["An API key was created"]
    assert f"{ISSUER}/account/keys" in mailbox.mails[0][2]
    texts = sorted(each.stdout for each in ended)
    nothing = "Expiring keys noted: 0. Mails sent: 0.\n"
    assert texts == [nothing, nothing, nothing.replace("sent: 0", "sent: 1")]


@pytest.mark.slow
def test_notify_finds_keys_that_expire(mailed):
    """`notify` records an expired key, and sends the mail about it."""
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
    """`notify` without the issuer or the mail server ends with 2, and names the setting."""
    without = {name: value for name, value in ann.items() if name != "AUTHGUARD_ISSUER"}
    done = invoke("apikeys", "notify", **without)
    assert (done.exit_code, "AUTHGUARD_ISSUER" in done.stderr) == (2, True)
    done = invoke("apikeys", "notify", **ann | {"AUTHGUARD_ISSUER": ISSUER})
    assert (done.exit_code, "smtp_url must be the server" in done.stderr) == (2, True)


def test_notify_says_that_mails_were_not_taken(mailed, monkeypatch):
    """`notify` ends with 1 if the mail server does not accept a mail."""
    from authguard.identity.mail import outbox

    monkeypatch.setattr(outbox, "check_seconds", lambda *args, **kwargs: 0.001)  # instead of a minute
    variables, _ = mailed
    create(variables)
    done = invoke("apikeys", "notify", **variables | {"AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:17160"})
    assert done.exit_code == 1
    assert "the mail server did not accept some mails" in done.stderr


def test_the_tier_of_a_key_is_set(ann):
    """`set-tier` changes the tier, and neither the id nor the text of the key."""
    key_id = create(ann)
    done = invoke("apikeys", "set-tier", key_id, "pro", **ann)
    assert (done.exit_code, done.stdout) == (0, "The key has this tier.\n")
    assert [(key["id"], key["tier"]) for key in listed(ann)] == [(key_id, "pro")]


@pytest.mark.one_database
def test_an_unknown_tier_names_the_setting(ann):
    """An unknown tier is refused with the name of the setting, with which it is accepted."""
    key_id = create(ann)
    for command in (["set-tier", key_id, "gold"], ["create", EMAIL, "--tier", "gold"]):
        done = invoke("apikeys", *command, **ann)
        assert done.exit_code == 1
        assert "set AUTHGUARD_API_KEY_TIERS as the service has it" in done.stderr
        assert invoke("apikeys", *command, **ann, AUTHGUARD_API_KEY_TIERS="gold=5/50").exit_code == 0
    assert {key["tier"] for key in listed(ann)} == {"gold"}


@pytest.mark.one_database
def test_the_tier_of_an_ended_key_is_not_set(ann):
    """The tier of a revoked key is not changed."""
    key_id = create(ann)
    invoke("apikeys", "revoke", key_id, **ann)
    assert "has expired or was revoked" in invoke("apikeys", "set-tier", key_id, "pro", **ann).stderr
    assert listed(ann)[0]["tier"] == "free"
