"""`authguard users show`, `verify`, `set-password`, `set-role` and `delete`, on both databases."""

import json

import pytest

from cli.support import PASSWORD, invoke, run
from cli.test_users import issue, make

ANN = "ann@example.com"
NEW = "An0ther-Password!"


def shown(service, account=ANN):
    """Return the JSON of `users show`."""
    done = invoke("users", "show", account, "--json", **service)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_an_account_is_shown_by_address_and_id(service):
    """`users show` takes an address or an id, and writes neither password nor hash."""
    make(service)
    document = shown(service)
    assert shown(service, document["id"]) == document
    assert (document["email"], document["roles"], document["scopes"]) == (ANN, ["USER"], [])
    assert (document["password"], document["sessions"], document["providers"]) == ("argon2id", 0, [])
    text = invoke("users", "show", ANN, **service).stdout
    assert document["id"] in text
    assert "$argon2" not in text


@pytest.mark.slow
def test_an_address_is_verified(service):
    """`users verify` marks the address, and may be repeated."""
    make(service)
    assert not shown(service)["email_verified"]
    for _ in range(2):
        assert invoke("users", "verify", ANN, **service).exit_code == 0
    assert shown(service)["email_verified"]


@pytest.mark.slow
def test_a_password_is_set(service):
    """`users set-password` reads the password from standard input, and ends the sessions."""
    make(service)
    token = issue(service)["access_token"]
    done = invoke("users", "set-password", ANN, "--password-stdin", given=f"{NEW}\n", **service)
    assert (done.exit_code, done.stderr) == (0, "")
    assert NEW not in done.output
    assert invoke("token", "inspect", given=token, **service).exit_code == 1


@pytest.mark.one_database
def test_a_password_is_asked_for_twice(service):
    """Without `--password-stdin` the password is prompted for twice, and not shown."""
    make(service)
    done = invoke("users", "set-password", ANN, given=f"{NEW}\n{NEW}\n", **service)
    assert done.exit_code == 0 and NEW not in done.output
    again = invoke("users", "set-password", ANN, given=f"{NEW}\nelse\n{NEW}\n{NEW}\n", **service)
    assert (again.exit_code, "do not match" in again.output + again.stderr) == (0, True)


@pytest.mark.slow
@pytest.mark.one_database
def test_a_password_needs_a_terminal_or_standard_input(service):
    """Without a terminal, nothing is read, and the error names `--password-stdin`."""
    make(service)
    done = run("users", "set-password", ANN, given=f"{NEW}\n{NEW}\n", **service)
    assert done.returncode == 2 and "Warning" not in done.stderr
    assert done.stderr.endswith(
        "Error: the password must be typed in a terminal, got none: send it with --password-stdin\n"
    )


@pytest.mark.one_database
def test_a_bad_password_is_refused_with_the_rules(service):
    """A password that the policy refuses ends with 1 and the rule, and is not shown."""
    make(service)
    done = invoke("users", "set-password", ANN, "--password-stdin", given="short\n", **service)
    assert done.exit_code == 1
    assert "Use at least 8 characters." in done.stderr and "short" not in done.stderr


@pytest.mark.slow
def test_roles_and_scopes_are_set(service):
    """`users set-role` sets all roles, and keeps the scopes unless others are given."""
    make(service)
    assert invoke("users", "set-role", ANN, "ADMIN", "USER", "--scope", "a", **service).exit_code == 0
    assert (shown(service)["roles"], shown(service)["scopes"]) == (["ADMIN", "USER"], ["a"])
    seen = invoke("token", "inspect", "--json", given=issue(service)["access_token"], **service)
    assert sorted(json.loads(seen.stdout)["caller"]["roles"]) == ["ADMIN", "USER"]
    done = invoke("users", "set-role", ANN, "USER", "--json", **service)
    assert (json.loads(done.stdout)["roles"], json.loads(done.stdout)["scopes"]) == (["USER"], ["a"])
    assert invoke("users", "set-role", ANN, "USER", "--no-scopes", **service).exit_code == 0
    assert shown(service)["scopes"] == []


@pytest.mark.one_database
def test_lost_roles_and_scopes_are_named_with_the_consequence(service):
    """`users set-role` names lost roles and scopes, and the effect on sessions and API keys."""
    make(service)
    added = invoke("users", "set-role", ANN, "ADMIN", "USER", "--scope", "a", **service)
    assert added.stdout.strip() == "The account has these roles from its next token on."
    lost = invoke("users", "set-role", ANN, "ADMIN", "--no-scopes", **service)
    assert "It has lost USER, a: its sessions have ended" in lost.stdout
    assert "API keys for up to ten minutes. To keep a role, name all roles." in lost.stdout


@pytest.mark.one_database
def test_bad_roles_are_refused(service):
    """Invalid roles end with 1, contradicting options with 2, and nothing is changed."""
    make(service)
    done = invoke("users", "set-role", ANN, "a" * 65, **service)
    assert (done.exit_code, "roles: must have 1 to 64 characters" in done.stderr) == (1, True)
    both = invoke("users", "set-role", ANN, "A", "--scope", "b", "--no-scopes", **service)
    assert both.exit_code == 2
    made = invoke(
        "users", "create", "b@example.com", "--role", "", "--password-stdin", given=PASSWORD, **service
    )
    assert made.exit_code == 1
    assert shown(service)["roles"] == ["USER"]


@pytest.mark.slow
def test_an_account_is_deleted_after_a_question(service):
    """`users delete` deletes after the answer yes, or with `--yes`."""
    make(service)
    token = issue(service)["access_token"]
    for answer in ("n\n", ""):
        done = invoke("users", "delete", ANN, given=answer, **service)
        assert done.exit_code == 1 and shown(service)["email"] == ANN
    done = invoke("users", "delete", ANN, "--yes", "--json", **service)
    assert (done.exit_code, json.loads(done.stdout)["email"]) == (0, ANN)
    assert invoke("users", "show", ANN, **service).exit_code == 1
    assert invoke("token", "inspect", given=token, **service).exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["verify"],
        ["set-password", "--password-stdin"],
        ["set-role"],
        ["delete", "--yes"],
        ["disable"],
        ["enable"],
    ],
    ids=" ".join,
)
def test_nobody_is_found(service, words):
    """An unknown address or id ends with 1, and the error says which of the two it is."""
    roles = ["USER"] if words[0] == "set-role" else []
    for account, what in (("bob@example.com", "address"), ("0000\x00", "id"), ("bob", "id")):
        done = invoke("users", words[0], account, *roles, *words[1:], given=NEW, **service)
        assert (done.exit_code, done.stderr) == (1, f"authguard: no account has this {what}\n")


@pytest.mark.slow
@pytest.mark.one_database
def test_a_set_password_is_in_no_output_of_a_real_process(service):
    """A process that sets a password does not write it."""
    make(service)
    done = run("users", "set-password", ANN, "--password-stdin", given=NEW, **service)
    assert done.returncode == 0 and NEW not in done.stdout + done.stderr


@pytest.mark.one_database
@pytest.mark.parametrize("role", ["admin", "Admin", "user"])
def test_a_role_in_another_case_is_noted(service, role):
    """A role in another case than that of the settings is a warning with exit status 0."""
    options = ["--password-stdin", "--role", role]
    made = invoke("users", "create", "bob@example.com", *options, given=PASSWORD, **service)
    done = invoke("users", "set-role", "bob@example.com", role, "editor", "--json", **service)
    for each in (made, done):
        assert (each.exit_code, f"write {role.upper()}" in each.stderr) == (0, True)
    assert json.loads(done.stdout)["roles"] == [role, "editor"]


@pytest.mark.one_database
def test_a_role_of_the_settings_is_not_noted(service):
    """A role of the settings, or of the application, gives no warning."""
    variables = service | {"AUTHGUARD_ADMIN_ROLES": "ADMIN,admin"}
    options = ["--password-stdin", "--role", "admin"]
    made = invoke("users", "create", "bob@example.com", *options, given=PASSWORD, **variables)
    done = invoke("users", "set-role", "bob@example.com", "USER", "ADMIN", "editor", **service)
    assert "another role" not in made.stderr + done.stderr


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("role", "write"),
    [
        ("USER,EDITOR", "USER EDITOR"),
        ("USER;EDITOR", "USER EDITOR"),
        ("USER,", "USER"),
        ("USER ADMIN", "USER ADMIN"),  # both are in the settings
    ],
)
def test_several_roles_in_one_argument_are_refused(service, role, write):
    """Several roles in one argument end with 2 and the spelling that works, and nothing is changed."""
    make(service)
    done = invoke("users", "set-role", ANN, "ADMIN", role, **service)
    assert done.exit_code == 2
    assert f"each role must be an argument of its own, got {role}: write {write}\n" in done.stderr
    assert shown(service)["roles"] == ["USER"]
    options = ["--password-stdin", "--role", role]
    made = invoke("users", "create", "bob@example.com", *options, given=PASSWORD, **service)
    assert made.exit_code == 2
    assert f"--role must be one role, got {role}: write --role USER, and set several with" in made.stderr
    assert len(json.loads(invoke("users", "list", "--json", **service).stdout)) == 1


@pytest.mark.one_database
@pytest.mark.parametrize("role", ["CN=Admins,OU=Groups", "Sales, EMEA", "Global Admin"])
def test_a_role_with_a_comma_in_its_name(service, role):
    """The name of a group in a directory is one role, and so is any other with spaces."""
    variables = service | {"AUTHGUARD_ADMIN_ROLES": "Global Admin,ADMIN"}
    options = ["--password-stdin", "--role", role, "--json"]
    made = invoke("users", "create", "bob@example.com", *options, given=PASSWORD, **variables)
    done = invoke("users", "set-role", "bob@example.com", role, "--json", **variables)
    for each in (made, done):
        assert (each.exit_code, json.loads(each.stdout)["roles"]) == (0, [role])


@pytest.mark.one_database
def test_several_scopes_in_one_argument_are_refused(service):
    """Several scopes in one argument end with 2 and the spelling that works, and nothing is changed."""
    make(service)
    commands = (
        ["users", "set-role", ANN, "EDITOR"],
        ["clients", "create", "Reports"],
        ["apikeys", "create", ANN],
    )
    for words in commands:
        done = invoke(*words, "--scope", "a:read,b:read", **service)
        assert done.exit_code == 2
        says = "each --scope must be one scope, got a:read,b:read: write --scope a:read --scope b:read\n"
        assert says in done.stderr
    assert (shown(service)["roles"], shown(service)["scopes"]) == (["USER"], [])
    assert json.loads(invoke("clients", "list", "--json", **service).stdout) == []
