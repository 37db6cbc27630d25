"""Commands while only the store of `revocations_url` is down: secrets are shown, lines name the remedy."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cli.support import PASSWORD, invoke
from identity.elsewhere import NEW

pytestmark = pytest.mark.one_database  # the outage is that of the store

EMAIL = "ann@example.com"


@pytest.fixture(name="down")
def _down(service: dict[str, str]) -> Iterator[dict[str, str]]:
    """Return the variables of a service with an account, whose other store is down."""
    done = invoke("users", "create", EMAIL, "--password-stdin", given=PASSWORD, **service)
    assert done.exit_code == 0, done.stderr
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        yield service | {"AUTHGUARD_REVOCATIONS_URL": f"redis://127.0.0.1:{taken.getsockname()[1]}/0"}


def create(variables: dict[str, str], *options: str) -> Any:
    """Create a key, and return its document."""
    return json.loads(invoke("apikeys", "create", EMAIL, "--json", *options, **variables).stdout)


def shows_remedy(stderr: str) -> bool:
    """Return whether one line says that the change is stored, and names the setting and the remedy."""
    (line,) = [each for each in stderr.splitlines() if "other store" in each]
    parts = (
        "authguard: ",
        "the change is in the database",
        "redis://127.0.0.1:",
        "revocations_url",
        "repair it",
    )
    return line.startswith(parts[0]) and all(part in line for part in parts)


@pytest.mark.parametrize("options", [[], ["--grace", "60"], ["--activate", "first_use"]])
@pytest.mark.parametrize("kind", ["sk_live", "claw"])
def test_a_rotation_shows_the_key(down: dict[str, str], kind: str, options: list[str]) -> None:
    """A rotation writes the new key and ends with 0; a remark names the fault, unless nothing has ended."""
    key = create(down, "--kind", kind)
    done = invoke("apikeys", "rotate", key["id"], "--json", *options, **down)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["api_key"] not in ("", key["api_key"])
    assert "first_use" in options or shows_remedy(done.stderr)


def test_a_deletion_writes_the_account(down: dict[str, str]) -> None:
    """A deletion writes the account as JSON and ends with 0, because a second one would find no account."""
    create(down)
    done = invoke("users", "delete", EMAIL, "--yes", "--json", **down)
    assert (done.exit_code, json.loads(done.stdout)["email"]) == (0, EMAIL)
    assert shows_remedy(done.stderr)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (["users", "disable", EMAIL], ""),
        (["users", "set-role", EMAIL, "GUEST"], ""),
        (["users", "set-password", EMAIL, "--password-stdin"], NEW),
        (["apikeys", "revoke", ""], ""),
        (["apikeys", "disable", ""], ""),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_command_that_can_be_repeated_fails_with_the_remedy(
    down: dict[str, str], command: list[str], given: str
) -> None:
    """Such a command ends with 1, also repeated, and says that the change is in the database."""
    key_id = create(down)["id"]
    for _ in range(2):
        done = invoke(*(each or key_id for each in command), given=given, **down)
        assert (done.exit_code, done.stdout) == (1, "")
        assert shows_remedy(done.stderr) and "repeat the command" in done.stderr
