"""Commands whose standard output cannot be written end with status 1 and one line, without a traceback."""

import json
import subprocess
from typing import Any

import httpx
import pytest

from cli.support import COMMAND, PASSWORD, environment, invoke
from identity.full_disk import small_disk
from ports import free_port
from remote.servers import until

pytestmark = pytest.mark.one_database

EMAIL = "ann@example.com"


def run_full(*args: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with a full disk behind its standard output."""
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123  # a device
        return subprocess.run(
            [COMMAND, *args],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment(**variables),
        )


def is_one_line(done: "subprocess.CompletedProcess[str]", *parts: str) -> bool:
    """Return whether a command ended with 1 and one line, which has these parts."""
    lines = [line for line in done.stderr.splitlines() if "this key is shown" not in line]
    start = "authguard: standard output cannot be written: No space left on device: "
    return done.returncode == 1 and lines[-1].startswith(start) and all(each in lines[-1] for each in parts)


@pytest.fixture(name="key")
def _key(service: dict[str, str]) -> Any:
    """Return the document of a new key."""
    invoke("users", "create", EMAIL, "--password-stdin", given=PASSWORD, **service)
    return json.loads(invoke("apikeys", "create", EMAIL, "--json", **service).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_list_ends_with_one_line(service: dict[str, str], key: Any, options: list[str]) -> None:
    """A list that cannot be written is one line with the reason."""
    done = run_full("users", "list", *options, **service)
    assert is_one_line(done)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_rotated_key_says_that_it_is_lost(service: dict[str, str], key: Any, options: list[str]) -> None:
    """The line about a rotated key says that its secret is lost, and names the command to repeat."""
    done = run_full("apikeys", "rotate", key["id"], *options, **service)
    assert is_one_line(done, "the new secret was not shown", f"authguard apikeys rotate {key['id']}")


@pytest.mark.slow
def test_a_new_key_says_that_it_is_lost(service: dict[str, str], key: Any) -> None:
    """The line about a created key names the command that gives it another secret."""
    assert is_one_line(
        run_full("apikeys", "create", EMAIL, **service), "not shown", "authguard apikeys rotate key_"
    )


@pytest.mark.slow
def test_a_client_says_that_its_secret_is_lost(service: dict[str, str]) -> None:
    """The lines about created and rotated clients name the command that gives them another secret."""
    client = json.loads(invoke("clients", "create", "App", "--json", **service).stdout)
    remedy = f"authguard clients rotate {client['client_id']}"
    assert is_one_line(run_full("clients", "rotate", client["client_id"], **service), "not shown", remedy)
    assert is_one_line(run_full("clients", "create", "Web", **service), "authguard clients rotate ")


@pytest.mark.slow
def test_a_generated_key_ends_with_one_line() -> None:
    """A private key for standard output that cannot be written is one line."""
    done = run_full("keys", "generate", "-o", "-")
    assert is_one_line(done)
    assert len(done.stderr.splitlines()) == 1


def test_a_part_of_a_key_is_deleted() -> None:
    """A file that cannot take the whole key is deleted, so that the command can be repeated."""
    with small_disk(1) as disk:
        disk.fill()
        done = invoke("keys", "generate", "-o", str(disk.folder / "key.pem"))
        assert done.exit_code == 1 and "cannot write" in done.stderr
        assert not (disk.folder / "key.pem").exists()


@pytest.mark.slow
def test_a_closed_pipe_is_no_line_for_a_list(service: dict[str, str], key: Any) -> None:
    """A list into a pipe that is closed, as by `head`, ends without a traceback."""
    with subprocess.Popen(
        [COMMAND, "users", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**service),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_closed_output_changes_nothing(service: dict[str, str], key: Any) -> None:
    """A command whose standard output is closed, as by `>&-`, ends before it rotates a key."""
    listed = invoke("apikeys", "list", EMAIL, "--json", **service).stdout
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" apikeys rotate {key["id"]} >&-', COMMAND],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env=environment(**service),
    )
    assert (done.returncode, done.stderr) == (
        1,
        "authguard: standard output must be open: write > /dev/null to discard it\n",
    )
    assert invoke("apikeys", "list", EMAIL, "--json", **service).stdout == listed


def is_live(port: int) -> bool:
    """Return whether the service answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>/dev/full"])
def test_the_service_starts_without_a_place_for_its_lines(closed: str, service: dict[str, str]) -> None:
    """`authguard serve` starts with a closed standard output, and with a log on a full disk."""
    port = free_port()
    command = f'exec "$0" serve --dev --port {port} {closed}'
    with subprocess.Popen(["/bin/sh", "-c", command, COMMAND], env=environment(**service)) as process:
        try:
            until(lambda: is_live(port), 30)
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_show_is_written_in_ascii(service: dict[str, str], key: Any) -> None:
    """Characters that the encoding of standard output lacks are escaped, and the command succeeds."""
    email = "\u6f22@example.com"
    assert invoke("users", "create", email, "--password-stdin", given=PASSWORD, **service).exit_code == 0
    done = subprocess.run(
        [COMMAND, "users", "show", email],
        check=False, capture_output=True, timeout=60,
        env=environment(**service) | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\\u6f22@example.com" in done.stdout
