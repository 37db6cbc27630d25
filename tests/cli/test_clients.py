"""`authguard clients`: registering OAuth clients, and what is shown of them."""

import json

import pytest
from sqlalchemy import create_engine, text

from authguard._core.encoding import sha256_hex
from cli.support import invoke


def test_a_client_with_a_secret(service):
    """The secret is written once, alone, and only its digest is stored; the list does not know it."""
    made = invoke("clients", "create", "Reports", "--scope", "read", "--scope", "write", **service)
    secret = made.stdout.strip()
    assert (made.exit_code, len(secret)) == (0, 43)
    (listed,) = json.loads(invoke("clients", "list", "--json", **service).stdout)
    assert listed["client_id"] in made.stderr and secret not in made.stderr
    assert (listed["name"], listed["scopes"], listed["public"]) == ("Reports", ["read", "write"], False)
    assert "secret" not in " ".join(listed)
    engine = create_engine(service["AUTHGUARD_DATABASE"])
    with engine.connect() as connection:
        (digest,) = connection.execute(text("SELECT secret_digest FROM clients")).scalars()
    engine.dispose()
    assert digest == sha256_hex(secret)


def test_a_public_client(service):
    """It has an id and no secret."""
    made = json.loads(invoke("clients", "create", "Page", "--public", "--json", **service).stdout)
    assert made["public"] and "client_secret" not in made
    assert invoke("clients", "create", "Page", "--public", **service).stdout.strip() != made["client_id"]
    refused = invoke("clients", "rotate", made["client_id"], **service)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is public" in refused.stderr


def test_a_client_is_switched_and_rotated(service):
    """Off, on, and with a new secret; the table shows the state."""
    made = json.loads(invoke("clients", "create", "Reports", "--json", **service).stdout)
    assert invoke("clients", "disable", made["client_id"], **service).exit_code == 0
    assert "disabled" in invoke("clients", "list", **service).stdout
    assert invoke("clients", "enable", made["client_id"], **service).exit_code == 0
    assert "active" in invoke("clients", "list", **service).stdout
    rotated = json.loads(invoke("clients", "rotate", made["client_id"], "--json", **service).stdout)
    assert rotated["client_id"] == made["client_id"]
    assert rotated["client_secret"] != made["client_secret"]
    assert len(invoke("clients", "rotate", made["client_id"], **service).stdout.strip()) == 43


@pytest.mark.parametrize("action", ["disable", "enable", "rotate"])
def test_unknown_client(service, action):
    """An id that nobody has is a refusal in one line."""
    done = invoke("clients", action, "nobody", **service)
    assert (done.exit_code, done.stderr.strip()) == (1, "authguard: no client has this id")


@pytest.mark.parametrize(
    "wish", [("a\nb",), ("Page", "--public", "--scope", "read"), ("Reports", "--scope", "a b")]
)
def test_what_cannot_be_registered(service, wish):
    """A name on several lines, and scopes that cannot be meant, are refused and stored nowhere."""
    assert invoke("clients", "create", *wish, **service).exit_code == 1
    assert json.loads(invoke("clients", "list", "--json", **service).stdout) == []


def test_a_token_of_a_disabled_account(service):
    """`token issue` says that the account is disabled, and not that a password is wrong."""
    invoke("users", "create", "a@example.com", "--password-stdin", given="SecurePass123!", **service)
    invoke("users", "disable", "a@example.com", **service)
    done = invoke("token", "issue", "--user", "a@example.com", **service)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the account is disabled" in done.stderr and "password" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["clients", "create", "a\udcff"],
        ["clients", "disable", "\udcff"],
        ["clients", "rotate", "\udcff"],
        ["mail", "retry", "0123456789ab\udcff"],
    ],
    ids=lambda command: ascii(" ".join(command)),
)
def test_arguments_that_are_no_text(service, command):
    """Bytes that are not UTF-8, as the shell passes them on, end in one line, without the statement."""
    done = invoke(*command, **service)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "authguard: arguments and settings must be text in UTF-8, got other bytes\n"
