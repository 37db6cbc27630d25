"""`authguard users` and `token issue --user`: accounts from the command line, on both databases."""

import json
import time
from dataclasses import replace

import pytest

from authguard.errors import InvalidTokenError
from authguard.identity import Caller
from cli.support import ISSUER, PASSWORD, SECRET, invoke, run, run_script
from identity.api_key_support import rows
from identity.support import service_at


def make(service, email="ann@example.com"):
    """Create an account."""
    done = invoke("users", "create", email, "--password-stdin", given=PASSWORD, **service)
    assert done.exit_code == 0, done.stderr


def issue(service, email="ann@example.com"):
    """Return a token response for an account."""
    done = invoke("token", "issue", "--user", email, "--json", **service)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.one_database
def test_token_is_that_of_the_service_in_real_processes(service):
    """`token issue --user` writes the token alone, and the service accepts it."""
    made = run("users", "create", "ann@example.com", "--password-stdin", given=PASSWORD, **service)
    issued = run_script("token", "issue", "--user", "ann@example.com", **service)
    seen = run("token", "inspect", given=issued.stdout, **service)
    assert (made.returncode, issued.returncode, seen.returncode) == (0, 0, 0)
    assert len(issued.stdout.split()) == 1 and issued.stderr == ""
    assert seen.stdout.startswith("accepted\n")
    written = made.stdout + made.stderr + seen.stdout + seen.stderr
    assert not any(secret in written for secret in (PASSWORD, SECRET, *issued.stdout.strip().split(".")))


def test_json_is_a_token_response(service):
    """`--json` has the four members of a token response, and the refresh token is valid."""
    make(service)
    document = issue(service)
    assert set(document) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (document["token_type"], document["expires_in"]) == ("bearer", 28_800)
    with service_at(service["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER, clock=time.time) as running:
        assert running.sessions.refresh(document["refresh_token"], Caller()).user.email == "ann@example.com"


def test_token_of_nobody_is_refused(service):
    """No token is issued for an address without an account."""
    done = invoke("token", "issue", "--user", "bob@example.com", **service)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "authguard: no account has this address\n"


def test_disabling_ends_sessions(service):
    """After `users disable` both tokens are refused, and no new one is issued."""
    make(service)
    document = issue(service)
    assert invoke("users", "disable", "ann@example.com", **service).exit_code == 0
    seen = invoke("token", "inspect", "--json", given=document["access_token"], **service)
    assert (seen.exit_code, json.loads(seen.stdout)["code"]) == (1, "disabled")
    assert invoke("token", "issue", "--user", "ann@example.com", **service).exit_code == 1
    with (
        service_at(service["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER, clock=time.time) as running,
        pytest.raises(InvalidTokenError),
    ):
        running.sessions.refresh(document["refresh_token"], Caller())


def test_disabling_by_a_command_that_knows_only_the_database(service):
    """A command with the default `access_lifetime` revokes the week-long tokens of the service for a week."""
    week = 7 * 86_400
    make(service)
    begun = time.time()
    issue(service | {"AUTHGUARD_ACCESS_LIFETIME": str(week)})
    database = {"AUTHGUARD_DATABASE": service["AUTHGUARD_DATABASE"]}
    assert invoke("users", "disable", "ann@example.com", **database).exit_code == 0
    with service_at(database["AUTHGUARD_DATABASE"]) as running:
        (mark,) = rows(running, "authguard_marks")
        assert mark.until >= begun + week
        assert [row.seconds for row in rows(running, "access_lifetimes")] == [week]


@pytest.mark.slow
def test_enabling_brings_no_session_back(service):
    """After `users enable` an old token is refused, and a new one is accepted."""
    make(service)
    old = issue(service)["access_token"]
    for command in ("disable", "enable"):
        assert invoke("users", command, "ann@example.com", **service).exit_code == 0
    seen = invoke("token", "inspect", "--json", given=old, **service)
    assert (seen.exit_code, json.loads(seen.stdout)["code"]) == (1, "logged_out")
    new = issue(service)["access_token"]
    assert invoke("token", "inspect", given=new, **service).exit_code == 0


def test_disabling_an_unknown_address_fails(service):
    """`users disable` with an unknown address is an error."""
    done = invoke("users", "disable", "nobody@example.com", **service)
    assert (done.exit_code, done.stderr) == (1, "authguard: no account has this address\n")


def test_token_of_another_service_is_refused(service):
    """A token that another secret has signed is refused by its signature."""
    make(service)
    token = issue(service)["access_token"]
    other = service | {"AUTHGUARD_SECRET": SECRET[::-1]}
    seen = invoke("token", "inspect", "--json", given=token, **other)
    document = json.loads(seen.stdout)
    assert (seen.exit_code, document["code"], document["signature_verified"]) == (1, "signature", False)


@pytest.mark.slow
def test_rotation_makes_a_key_that_is_published(service):
    """`keys rotate` adds a key to the published set, and a token of the first key is accepted."""
    service = service | {"AUTHGUARD_ALGORITHM": "ES256"}
    make(service)
    token = issue(service)["access_token"]
    done = run("keys", "rotate", **service)
    assert (done.returncode, done.stderr) == (0, "")
    with service_at(
        service["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER, algorithm="ES256", clock=time.time
    ) as running:
        assert len(running.keys.public_keys(time.time())) == 2
    assert invoke("token", "inspect", given=token, **service).exit_code == 0


def test_rotation_leaves_an_event(service):
    """A rotation of keys leaves an audit event; for HS256 it is refused with 2."""
    with service_at(service["AUTHGUARD_DATABASE"], secret=SECRET, algorithm="ES256") as running:
        running.rotate_keys()
        assert running.audit.counts()["rotate_keys", "success"] == 1
    done = invoke("keys", "rotate", **service)
    assert (done.exit_code, "HS256" in done.stderr) == (2, True)


def test_accounts_are_listed(service):
    """The list has a line for each account, and `--json` is an array."""
    make(service)
    make(service, "bob@example.com")
    lines = invoke("users", "list", **service).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["address", "ann@example.com", "bob@example.com"]
    listed = json.loads(invoke("users", "list", "--json", **service).stdout)
    assert [each["email"] for each in listed] == ["ann@example.com", "bob@example.com"]


@pytest.mark.slow
def test_accounts_are_listed_in_pages(service):
    """Each page but the last has as many accounts as its limit, and names the address for `--after`."""
    for name in ("cem", "ann", "bob"):
        make(service, f"{name}@example.com")
    first = invoke("users", "list", "--limit", "2", "--json", **service)
    assert [entry["email"] for entry in json.loads(first.stdout)] == ["ann@example.com", "bob@example.com"]
    assert "--after bob@example.com" in first.stderr
    second = invoke("users", "list", "--limit", "2", "--after", "bob@example.com", "--json", **service)
    assert [entry["email"] for entry in json.loads(second.stdout)] == ["cem@example.com"]
    assert second.stderr == ""


@pytest.mark.parametrize("limit", ["0", "10001", "ten"])
def test_a_limit_out_of_range_is_refused(service, limit):
    """A limit out of range ends the command with 2."""
    assert invoke("users", "list", "--limit", limit, **service).exit_code == 2


def test_token_of_a_client_is_looked_up(service):
    """The token of a client is accepted until it is revoked, and that of an unknown client is refused."""
    with service_at(service["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER, clock=time.time) as running:
        client, _ = running.clients.create("billing")
        tokens = [running.clients.issue_token(client, None, Caller())["access_token"] for _ in range(2)]
        unknown = running.clients.issue_token(replace(client, id="nobody"), None, Caller())["access_token"]
        running.clients.revoke(tokens[1], client, Caller())
    seen = [invoke("token", "inspect", "--json", given=token, **service) for token in (*tokens, unknown)]
    results = [(each.exit_code, json.loads(each.stdout)["code"]) for each in seen]
    assert results == [(0, None), (1, "revoked"), (1, "disabled")]
