"""`authguard users import`: accounts with the hashes of another system, on both databases."""

import json
import os
import pty
import subprocess
import time
from uuid import UUID

import pytest

from authguard.identity import Caller
from authguard.identity.errors import InvalidCredentialsError
from cli.support import COMMAND, ISSUER, PASSWORD, SECRET, environment, invoke, run, run_at_once
from identity.support import service_at
from identity.test_imported_passwords import HASHES

UUID_OF_ANN = "0b9a4c7e-5d1f-4c1e-9a53-2f6f1d3f8a10"
HEAD = "email,password_hash,name,roles,scopes,verified,disabled\n"


@pytest.fixture
def load(service, tmp_path):
    """Return a function that imports a file with a text."""

    def call(text, *options, name="accounts.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return invoke("users", "import", str(path), *options, **service)

    return call


def listed(service):
    """Return the accounts by their addresses."""
    done = invoke("users", "list", "--json", **service)
    return {each["email"]: each for each in json.loads(done.stdout)}


def logging_in(service):
    """Return the running service."""
    return service_at(service["AUTHGUARD_DATABASE"], secret=SECRET, issuer=ISSUER, clock=time.time)


@pytest.mark.slow
def test_accounts_of_csv_sign_in(service, load):
    """Imported accounts sign in with their old passwords, which are then hashed again."""
    rows = "".join(f'{number}@example.com,"{text}",,,,yes,\n' for number, text in enumerate(HASHES.values()))
    done = load(HEAD + rows, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"made": len(HASHES), "existing": 0})
    kind = json.loads(invoke("users", "show", "0@example.com", "--json", **service).stdout)["password"]
    assert kind == "imported pbkdf2"
    with logging_in(service) as running:
        for number in range(len(HASHES)):
            email = f"{number}@example.com"
            with pytest.raises(InvalidCredentialsError):
                running.accounts.login(email, PASSWORD + "x", Caller())
            user = running.accounts.login(email, PASSWORD, Caller()).user
            assert running.administration.show(user.id).password == "argon2id"
            assert running.accounts.login(email, PASSWORD, Caller()).user.id == user.id


def test_fields_are_taken(service, load):
    """Name, roles, scopes and flags are stored, and missing values are the defaults."""
    text = f'{HEAD}ann@example.com,,"Ann, ""the"" Great",EDITOR;Team B,a;b,true,1\nbob@example.com,,,,,,\n'
    assert load(text).exit_code == 0
    ann, bob = listed(service).values()
    assert (ann["name"], ann["roles"], ann["scopes"]) == (
        'Ann, "the" Great',
        ["EDITOR", "Team B"],
        ["a", "b"],
    )
    assert (ann["email_verified"], ann["disabled"]) == (True, True)
    assert (bob["name"], bob["roles"], bob["scopes"]) == ("", ["USER"], [])
    assert (bob["email_verified"], bob["disabled"]) == (False, False)


def test_json_lines_are_taken(service, load):
    """JSON Lines have the same fields, with lists of texts and booleans."""
    ann = {
        "email": "ann@example.com",
        "password_hash": HASHES["django"],
        "roles": ["A", "B"],
        "verified": True,
    }
    text = f"{json.dumps(ann)}\n\n" + '{"email": "bob@example.com", "name": null}\n'
    assert load(text, name="accounts.jsonl").exit_code == 0
    assert listed(service)["ann@example.com"]["roles"] == ["A", "B"]
    with logging_in(service) as running:
        assert running.accounts.login("ann@example.com", PASSWORD, Caller())


def test_a_second_run_changes_nothing(service, load):
    """A second import leaves existing accounts unchanged, and creates those of new lines."""
    text = f"{HEAD}ann@example.com,{HASHES['django']},Ann,,,,\n"
    assert load(text).exit_code == 0
    assert invoke("users", "set-role", "ann@example.com", "ADMIN", **service).exit_code == 0
    before = listed(service)
    again = load(text.replace("ann@", "Ann@") + "bob@example.com,,,,,,\n", "--json")
    assert json.loads(again.stdout) == {"made": 1, "existing": 1}
    after = listed(service)
    assert {email: after[email] for email in before} == before and len(after) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("accounts.csv", f"email,id\nann@example.com,{UUID_OF_ANN}\n"),
        ("accounts.jsonl", json.dumps({"email": "ann@example.com", "id": UUID_OF_ANN})),
    ],
)
def test_accounts_keep_their_ids(service, load, name, text):
    """An imported account keeps its id, and a line with an existing id changes nothing."""
    assert load(text, name=name).exit_code == 0
    again = load(text.replace("ann@", "changed@"), "--json", name=name)
    assert json.loads(again.stdout) == {"made": 0, "existing": 1}
    assert {email: each["id"] for email, each in listed(service).items()} == {"ann@example.com": UUID_OF_ANN}


@pytest.mark.one_database
@pytest.mark.parametrize(
    "written", ["7", UUID_OF_ANN.upper(), UUID_OF_ANN.replace("-", ""), f"{{{UUID_OF_ANN}}}"]
)
def test_an_id_is_a_uuid_in_one_spelling(load, written):
    """An id in another form than a lower-case UUID is refused with its line."""
    done = load(f"email,id\nann@example.com,{written}\n")
    assert done.exit_code == 1 and "line 2: id must be a UUID of 36 characters" in done.stderr


@pytest.mark.one_database
def test_an_id_that_is_there_twice_is_refused(load):
    """A repeated id is refused with its line."""
    done = load(f"email,id\nann@example.com,{UUID_OF_ANN}\nbob@example.com,{UUID_OF_ANN}\n")
    assert done.exit_code == 1 and "line 3: id must be there once, and is that of line 2" in done.stderr


@pytest.mark.one_database
@pytest.mark.parametrize("name", ["accounts.csv", "accounts.jsonl"])
def test_a_bad_line_is_refused_before_anything_is_written(service, load, name):
    """An invalid line is named by its number without its text, and no line is imported."""
    good, bad = '{"email": "ann@example.com"}', '{"email": "secret-text"}'
    if name.endswith("csv"):
        good, bad = "email\nann@example.com", "secret-text"
    done = load(f"{good}\n{bad}\n", name=name)
    number = 3 if name.endswith("csv") else 2
    why = f"line {number}: email must be an e-mail address"
    assert (done.exit_code, done.stderr) == (1, f"authguard: nothing was imported\n{why}\n")
    assert listed(service) == {}


@pytest.mark.one_database
def test_columns_are_checked(load):
    """An unknown column is refused."""
    done = load("email,passwort\n")
    assert done.exit_code == 1 and "line 1: the columns must be of email" in done.stderr


@pytest.mark.one_database
def test_a_byte_order_mark_and_line_ends_of_windows_are_taken(service, load):
    """A file with a byte order mark and CRLF is read, with columns in any order."""
    done = load("\ufeffname,email\r\nMüller,ann@example.com\r\n")
    assert done.exit_code == 0, done.stderr
    assert listed(service)["ann@example.com"]["name"] == "Müller"


@pytest.mark.one_database
def test_only_looking_writes_nothing(service, load):
    """`--check` checks all lines, and creates no account."""
    done = load(f"{HEAD}ann@example.com,,,,,,\n", "--check")
    assert (done.exit_code, done.stdout) == (0, "All lines are valid.\n")
    assert listed(service) == {}


@pytest.mark.one_database
def test_other_files_are_refused(service, load):
    """A file with another extension is refused, because the extension names the format."""
    assert load(HEAD, name="accounts.txt").exit_code == 2


@pytest.mark.slow
@pytest.mark.one_database
def test_there_is_no_bar_without_a_terminal(service, tmp_path):
    """Without a terminal only the numbers are written."""
    path = tmp_path / "accounts.csv"
    path.write_text(f"{HEAD}ann@example.com,,,,,,\n")
    done = run("users", "import", str(path), **service)
    assert (done.stdout, done.stderr) == ("Accounts created: 1. Existing before: 0.\n", "")


@pytest.mark.slow
def test_two_processes_import_the_same_file(service, tmp_path):
    """Of two processes that import the same file at once, one creates each account."""
    path = tmp_path / "accounts.csv"
    lines = [f"p{number}@example.com,{UUID(int=number)}\n" for number in range(1_200)]
    path.write_text("email,id\n" + "".join(lines))
    ended = run_at_once(2, "users", "import", str(path), "--json", **service)
    assert [each.returncode for each in ended] == [0, 0], ended
    numbers = [json.loads(each.stdout) for each in ended]
    assert sum(each["made"] for each in numbers) == 1_200 == sum(each["existing"] for each in numbers)


@pytest.mark.slow
@pytest.mark.one_database
def test_a_bar_is_shown_on_a_terminal(service, tmp_path):
    """On a terminal standard error has a progress bar, and standard output the numbers alone."""
    path = tmp_path / "accounts.csv"
    path.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(1_500)))
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [COMMAND, "users", "import", str(path)],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            check=False,
            timeout=60,
            env=environment(**service),
        )
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (0, "Accounts created: 1500. Existing before: 0.\n")
    assert "checked" in shown and "imported" in shown and "100%" in shown
