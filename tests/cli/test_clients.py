"""`authguard clients`: the registration of OAuth clients, and the output about them."""

import json

import pytest
from sqlalchemy import create_engine, text

from authguard._core.encoding import sha256_hex
from cli.support import invoke


def test_a_client_with_a_secret(service):
    """The secret of a client is written once, stored as a digest, and not listed."""
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
    """A public client has an id and no secret."""
    made = json.loads(invoke("clients", "create", "Page", "--public", "--json", **service).stdout)
    assert made["public"] and "client_secret" not in made
    assert invoke("clients", "create", "Page", "--public", **service).stdout.strip() != made["client_id"]
    refused = invoke("clients", "rotate", made["client_id"], **service)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "is public" in refused.stderr


@pytest.mark.slow
def test_a_client_is_switched_and_rotated(service):
    """A client is disabled, enabled and rotated, and listed with its state."""
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
    """An unknown id is an error of one line."""
    done = invoke("clients", action, "nobody", **service)
    assert (done.exit_code, done.stderr.strip()) == (1, "authguard: no client has this id")


@pytest.mark.parametrize(
    "wish", [("a\nb",), ("Page", "--public", "--scope", "read"), ("Reports", "--scope", "a b")]
)
def test_what_cannot_be_registered(service, wish):
    """A name with two lines, or an invalid scope, is refused, and no client is created."""
    assert invoke("clients", "create", *wish, **service).exit_code == 1
    assert json.loads(invoke("clients", "list", "--json", **service).stdout) == []


def test_a_token_of_a_disabled_account(service):
    """`token issue` for a disabled account names the state of the account."""
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
    """An argument that is not UTF-8 ends the command with 2 and one line."""
    done = invoke(*command, **service)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "authguard: arguments and settings must be text in UTF-8, got other bytes\n"
