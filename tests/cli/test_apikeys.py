"""`authguard apikeys`: API keys of accounts from the command line, on both databases."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from cli.support import ISSUER, PASSWORD, SECRET, invoke, run, run_script
from identity.api_key_support import update
from identity.support import service_at

EMAIL = "ann@example.com"
_TEXT = re.compile(r"sk_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\Z")


@pytest.fixture
def ann(service):
    """Return the variables of a service with the account of Ann."""
    make(service)
    return service


def make(service, email=EMAIL, *options):
    """Create an account."""
    done = invoke("users", "create", email, "--password-stdin", *options, given=PASSWORD, **service)
    assert done.exit_code == 0, done.stderr


def create(service, *options, email=EMAIL):
    """Create a key and return its document."""
    done = invoke("apikeys", "create", email, "--json", *options, **service)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def listed(service, email=EMAIL):
    """Return the keys of an account."""
    done = invoke("apikeys", "list", email, "--json", **service)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def client(service) -> Iterator[TestClient]:
    """Yield a client of the service on the same database."""
    settings = {"secret": SECRET, "issuer": ISSUER, "clock": time.time}
    with service_at(service["AUTHGUARD_DATABASE"], **settings) as running:
        yield TestClient(Identity(running))


def status_of(client, key):
    """Return the status of a request with a key."""
    return client.get("/v1/users/me", headers={"x-api-key": key}).status_code


@pytest.mark.slow
@pytest.mark.one_database
def test_a_key_is_made_listed_rotated_and_revoked_in_real_processes(ann, client):
    """A key is created, listed, rotated and revoked in real processes, and the service applies it."""
    made = run_script("apikeys", "create", EMAIL, "--name", "Nightly", **ann)
    assert (made.returncode, bool(_TEXT.match(made.stdout.strip()))) == (0, True)
    key_id = re.search(r"its id is (key_[0-9a-f-]{36}),", made.stderr)[1]
    assert status_of(client, made.stdout.strip()) == 200

    shown = run("apikeys", "list", EMAIL, **ann)
    assert shown.stdout.splitlines()[1].split()[:2] == ["Nightly", f"{made.stdout[:12]}..."]

    rotated = run("apikeys", "rotate", key_id, **ann)
    assert bool(_TEXT.match(rotated.stdout.strip()))
    assert [status_of(client, each.stdout.strip()) for each in (made, rotated)] == [401, 200]

    revoked = run("apikeys", "revoke", key_id, **ann)
    assert (revoked.returncode, revoked.stdout) == (0, "The key is revoked.\n")
    assert status_of(client, rotated.stdout.strip()) == 401


def test_the_text_is_written_once(ann):
    """The text of a key is on standard output once, and never on standard error."""
    made = invoke("apikeys", "create", EMAIL, **ann)
    key = made.stdout.strip()
    later = [
        invoke("apikeys", "list", EMAIL, **ann),
        invoke("apikeys", "list", EMAIL, "--json", **ann),
        invoke("apikeys", "revoke", key, **ann),
    ]
    assert not any(key[20:50] in text for done in later for text in (done.stdout, done.stderr))
    assert key[20:50] not in made.stderr


@pytest.mark.one_database
@pytest.mark.parametrize("command", ["revoke", "disable", "enable", "rotate", "usage"])
def test_a_key_in_place_of_its_id_is_named(ann, command):
    """A key instead of its id is refused, and not repeated in the error."""
    key = create(ann)["api_key"]
    done = invoke("apikeys", command, key, **ann)
    assert (done.exit_code, "must be the id of a key, got a key" in done.stderr) == (1, True)
    assert key[20:50] not in done.stderr + done.stdout


def test_json_is_the_document_of_the_api(ann):
    """`--json` of `create` and `rotate` has the members of the API."""
    made = create(ann)
    assert set(made) == {"id", "api_key", "name", "prefix", "expires_at", "created_at"}
    done = invoke("apikeys", "rotate", made["id"], "--json", **ann)
    rotated = json.loads(done.stdout)
    assert (set(rotated), rotated["id"]) == (set(made), made["id"])
    assert rotated["api_key"] != made["api_key"]


def test_options_make_the_key(ann):
    """The options set the name, scopes, kind, expiry, tier and networks of the key."""
    create(
        ann, "--name", "Robot", "--scope", "read", "--scope", "apikeys:rotate:self", "--kind", "sk_test",
        "--expires-in-days", "7", "--tier", "enterprise", "--network", "192.0.2.0/24", "--network", "::1",
    )  # fmt: skip
    (key,) = listed(ann)
    assert (key["name"], key["prefix"], key["tier"], key["state"]) == (
        "Robot", "sk_test", "enterprise", "expiring",
    )  # fmt: skip
    assert key["scopes"] == ["apikeys:rotate:self", "read"]
    assert key["networks"] == ["192.0.2.0/24", "::1"]


def test_a_pair_is_two_lines(ann):
    """A `claw` key has its client secret on the second line."""
    done = invoke("apikeys", "create", EMAIL, "--kind", "claw", **ann)
    assert [line[:5] for line in done.stdout.splitlines()] == ["claw_", "clsk_"]


@pytest.mark.slow
def test_the_list_has_states(ann):
    """Revoked keys are listed with their state."""
    made = create(ann)
    create(ann, "--name", "Second")
    assert invoke("apikeys", "revoke", made["id"], **ann).exit_code == 0
    assert [(key["name"], key["state"]) for key in listed(ann)] == [
        ("Second", "active"),
        ("Default Key", "revoked"),
    ]


@pytest.mark.slow
def test_the_list_says_what_was_found_in_public(ann):
    """An exposed key has that reason in the table and in JSON."""
    made, other = create(ann), create(ann)
    with service_at(ann["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER) as service:
        statement = "UPDATE api_keys SET revoked_at = created_at, revoked_for = 'exposed' WHERE id = :id"
        update(service, statement, id=made["id"])
    assert {key["id"]: key["revoked_for"] for key in listed(ann)} == {
        made["id"]: "exposed",
        other["id"]: None,
    }
    assert "revoked: exposed" in invoke("apikeys", "list", EMAIL, **ann).stdout


def test_names_cannot_steer_the_terminal(ann):
    """A name with control characters is refused, and not written to the terminal."""
    done = invoke("apikeys", "create", EMAIL, "--name", "\x1b[2J", **ann)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("authguard: name: has 1 to 200 characters")
    assert "\x1b" not in done.stderr


@pytest.mark.slow
def test_first_use_takes_over(ann, client):
    """With `--activate first_use` the grace of the old text begins at the first use of the new one."""
    made = create(ann)
    done = invoke("apikeys", "rotate", made["id"], "--activate", "first_use", "--grace", "60", **ann)
    new = done.stdout.strip()
    assert [status_of(client, key) for key in (made["api_key"], new, made["api_key"])] == [200] * 3
    answer = client.get("/v1/users/me", headers={"x-api-key": made["api_key"]})
    assert "api-key-expires" in answer.headers


@pytest.mark.slow
def test_keys_of_a_disabled_account(ann, client):
    """Keys of a disabled account are refused, and can be listed and revoked."""
    made = create(ann)
    assert invoke("users", "disable", EMAIL, **ann).exit_code == 0
    assert status_of(client, made["api_key"]) == 401
    assert [key["id"] for key in listed(ann)] == [made["id"]]
    assert invoke("apikeys", "revoke", made["id"], **ann).exit_code == 0


def test_admin_needs_the_role(service):
    """The scope `admin` is allowed for an account with the role alone."""
    make(service)
    make(service, "root@example.com", "--role", "ADMIN")
    done = invoke("apikeys", "create", EMAIL, "--scope", "admin", **service)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "authguard: the account may not give these scopes to its keys: admin. "
        "See api_key_scopes and admin_roles of the settings\n"
    )
    assert create(service, "--scope", "admin", email="root@example.com")["id"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--kind", "rt"], "kind: is one of sk_live"),
        (["--expires-in-days", "0"], "expires_in_days: is a whole number between 1 and 3650"),
        (["--tier", "gold"], "tier: is one of free"),
        (["--network", "example.com"], "networks: is a list of at most"),
        (["--scope", "two words"], "scopes: has at most"),
    ],
)
def test_wrong_options_are_named(ann, options, word):
    """A wrong option is refused with the name of the field, and no key is created."""
    done = invoke("apikeys", "create", EMAIL, *options, **ann)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"authguard: {word}")
    assert listed(ann) == []


@pytest.mark.parametrize("options", [["--expires-in-days", "soon"], ["--unknown"]])
def test_options_that_cannot_be_meant(ann, options):
    """An unknown option, or one of the wrong type, ends the command with 2."""
    assert invoke("apikeys", "create", EMAIL, *options, **ann).exit_code == 2


@pytest.mark.parametrize("grace", ["-1", "2592001"])
def test_a_grace_out_of_range_is_refused(ann, grace):
    """A grace out of range is refused with the name of the field."""
    made = create(ann)
    done = invoke("apikeys", "rotate", made["id"], "--grace", grace, **ann)
    assert (done.exit_code, done.stdout, done.stderr[:26]) == (1, "", "authguard: grace_seconds: ")


@pytest.mark.parametrize("command", ["revoke", "rotate"])
@pytest.mark.parametrize("key_id", ["key_nobody", "", "é", "x" * 9_000, "' OR 1=1 --"])
def test_unknown_ids_are_said(ann, command, key_id):
    """An unknown id is an error that names `apikeys list`."""
    create(ann)
    done = invoke("apikeys", command, key_id, **ann)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "authguard: no key has this id; authguard apikeys list shows the ids\n"


@pytest.mark.parametrize("command", ["create", "list"])
def test_unknown_accounts_are_said(service, command):
    """An unknown address is an error."""
    done = invoke("apikeys", command, EMAIL, **service)
    assert (done.exit_code, done.stderr) == (1, "authguard: no account has this address\n")


@pytest.mark.slow
def test_a_revoked_key_is_not_rotated(ann):
    """A revoked key is not rotated, and the error advises to create another one."""
    made = create(ann)
    assert invoke("apikeys", "revoke", made["id"], **ann).exit_code == 0
    done = invoke("apikeys", "rotate", made["id"], **ann)
    assert (done.exit_code, done.stdout) == (1, "")
    advice = "create another one, or enable it if it is disabled"
    assert done.stderr == f"authguard: The API key can no longer be used: {advice}.\n"


def test_service_without_keys_is_said(ann):
    """With `api_keys` false each command ends with an error that names the setting."""
    without = ann | {"AUTHGUARD_API_KEYS": "false"}
    with_id = [[command, "k"] for command in ("revoke", "rotate", "disable", "enable")]
    for arguments in (["create", EMAIL], ["list", EMAIL], ["notify"], *with_id):
        done = invoke("apikeys", *arguments, **without)
        assert (done.exit_code, "api_keys is false" in done.stderr) == (1, True), arguments


@pytest.mark.slow
def test_the_pattern_finds_keys_and_nothing_else(ann):
    """The pattern matches whole keys and client secrets of all kinds, and no parts of them."""
    variables = ann | {"AUTHGUARD_API_KEY_PREFIXES": "acme_live_"}
    pattern = invoke("apikeys", "pattern", **variables).stdout.strip()
    texts = []
    for kind in ("sk_live", "sk_test", "claw", "ak", "acme_live"):
        texts += invoke("apikeys", "create", EMAIL, "--kind", kind, **variables).stdout.split()
    assert len(texts) == 6
    for text in texts:
        assert re.findall(pattern, f'key = "{text}", and more') == [text]
        assert re.findall(pattern, text[:-1]) == []
        assert re.findall(pattern, f"x{text}") == []


def test_the_pattern_is_for_other_programs(ann):
    """The pattern needs no database, and `grep -P` accepts it."""
    pattern = invoke("apikeys", "pattern", AUTHGUARD_DATABASE="sqlite:////nowhere/at/all.db").stdout.strip()
    key = create(ann)["api_key"]
    grep = shutil.which("grep")
    assert grep is not None
    completed = subprocess.run(
        [grep, "-oP", pattern], input=f"KEY={key}\n", capture_output=True, text=True, check=True
    )
    assert completed.stdout == f"{key}\n"


def used(service, key_id, *uses):
    """Add uses of a key: a moment, an outcome and a number each."""
    from authguard.identity.storage.database import Database
    from authguard.identity.storage.usage_queries import add_batch
    from identity.usage_support import batch

    database = Database(service["AUTHGUARD_DATABASE"])
    for at, outcome, count in uses:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
        add_batch(database, batch((key_id, count), at=moment, outcome=outcome))
    database.close()


@pytest.mark.slow
def test_usage_is_shown_by_periods(ann):
    """The usage has a row for each period with requests, and a column for each outcome."""
    key_id = create(ann)["id"]
    used(
        ann, key_id, ("2026-03-01T10:05", "ok", 2), ("2026-03-01T10:06", "ok", 3),
        ("2026-03-01T11:00", "expired", 4), ("2026-03-31T23:59", "ok", 1), ("2026-04-01T00:00", "invalid", 9),
    )  # fmt: skip
    march = ("--from", "2026-03-01", "--to", "2026-03-31")
    shown = {}
    for by in ("minute", "hour", "day", "month"):
        done = invoke("apikeys", "usage", key_id, *march, "--by", by, **ann)
        assert done.exit_code == 0, done.stderr
        heading, *lines = [line.split() for line in done.stdout.splitlines()]
        assert heading == ["from", "ok", "expired", "all"] if by != "month" else heading[-1] == "all"
        shown[by] = lines
    assert shown["hour"] == [
        ["2026-03-01T10:00:00Z", "5", "0", "5"],
        ["2026-03-01T11:00:00Z", "0", "4", "4"],
    ]
    assert shown["day"] == [["2026-03-01T00:00:00Z", "5", "4", "9"], ["2026-03-31T00:00:00Z", "1", "0", "1"]]
    assert shown["month"] == [["2026-03-01T00:00:00Z", "6", "4", "10"]]
    assert len(shown["minute"]) == 3


def test_usage_as_json_has_rules_and_generations(ann):
    """The usage in JSON has the rule and the generation of each count."""
    key_id = create(ann)["id"]
    used(ann, key_id, ("2026-03-01T10:05", "ok", 2))
    done = invoke("apikeys", "usage", key_id, "--from", "2026-03-01", "--json", **ann)
    assert json.loads(done.stdout) == [
        {"start": "2026-03-01T00:00:00Z", "generation": 1, "rule": "/me", "outcome": "ok", "uses": 2}
    ]


def test_usage_of_late_is_shown_if_nothing_is_said(ann):
    """By default the usage has the last 30 days; without requests it has the heading alone."""
    key_id = create(ann)["id"]
    today = datetime.now(UTC)
    old = (today - timedelta(days=32)).strftime("%Y-%m-%dT%H:%M")
    used(ann, key_id, (today.strftime("%Y-%m-%dT%H:%M"), "ok", 2), (old, "ok", 5))
    done = invoke("apikeys", "usage", key_id, **ann)
    assert done.stdout.split()[3:] == [today.strftime("%Y-%m-%dT00:00:00Z"), "2", "2"]
    unused = invoke("apikeys", "usage", create(ann)["id"], **ann)
    assert unused.stdout.split() == ["from", "ok", "all"]
    assert unused.stderr.startswith("authguard: no requests were counted in these periods")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--from", "2026-03-02", "--to", "2026-03-01"], 2),
        (["--from", "9999-12-31"], 2),
        (["--to", "9999-12-31", "--by", "month"], 0),
        (["--from", "0001-01-01", "--by", "month"], 0),
        (["--to", "0001-01-01", "--by", "month"], 2),
        (["--from", "yesterday"], 2),
        (["--by", "week"], 2),
    ],
)
def test_dates_of_usage_are_checked(ann, options, code):
    """Dates that are reversed or too far away are refused without a traceback."""
    done = invoke("apikeys", "usage", create(ann)["id"], *options, **ann)
    assert (done.exit_code, "Traceback" in done.stderr) == (code, False), done.output


def test_usage_of_a_key_that_is_not_there(ann):
    """The usage of a key's text instead of its id is refused, and the text is not shown."""
    text = create(ann)["api_key"]
    done = invoke("apikeys", "usage", text, **ann)
    assert (done.exit_code, text in done.output) == (1, False)
