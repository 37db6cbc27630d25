"""Schemathesis against a real process of the service: each answer is that of the OpenAPI document."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from authguard.identity.limits import DEFAULT_LIMITS
from identity.key_servers import SERVE, environment, serving_process
from identity.smtp_server import smtp_server
from identity.support import ANN

FOLDER = Path(__file__).parent / "schemathesis_run"
_GENEROUS = ",".join(f"{name}=100000/60" for name in DEFAULT_LIMITS)
#: The answers that a run must have seen to have reached the use cases.
_SEEN = """
POST /api/v1/auth/register 201
POST /api/v1/auth/register 409
POST /api/v1/auth/login 200
POST /api/v1/auth/login 401
POST /api/v1/auth/login-json 200
POST /api/v1/auth/refresh 200
POST /api/v1/auth/logout 200
POST /api/v1/auth/forgot-password 200
POST /api/v1/auth/reset-password 400
POST /api/v1/oauth/token 200
POST /api/v1/oauth/introspect 200
POST /api/v1/oauth/revoke 200
POST /api/v1/api-keys 201
POST /api/v1/auth/api-keys 201
POST /api/v1/secret-scanning 400
GET /api/v1/users/me 200
GET /api/v1/users/me/sessions 200
GET /api/v1/api-keys 200
GET /readyz 200
"""


class Answers(NamedTuple):
    """The result of a run: its exit status, its text, and the answers that it has seen."""

    status: int
    text: str
    seen: set[str]


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """Run the service in a process of its own, and return its URL."""
    with smtp_server() as mailbox:
        given = environment(
            f"sqlite:///{tmp_path}/service.db",
            AUTHGUARD_LIMITS=_GENEROUS,
            AUTHGUARD_SECRET_SCANNING="true",
            AUTHGUARD_SMTP_URL=mailbox.url,
            AUTHGUARD_MAIL_FROM="accounts@example.com",
        )
        with serving_process(SERVE, tmp_path / "service.log", given) as url:
            yield url


def run(base: str, folder: Path, *options: str) -> Answers:
    """Run Schemathesis against a service."""
    seen = folder / "seen.txt"
    token = httpx.post(f"{base}/v1/auth/register", json=ANN).json()["access_token"]
    fields = {"Authorization": f"Bearer {token}"}
    key = httpx.post(f"{base}/v1/api-keys", headers=fields, json={"name": "Probe"}).json()["api_key"]
    client = created_client(folder)
    callers = {"base": base, **ANN, "api_key": key, "basic": client}
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", FOLDER / "schemathesis.toml"),
            *("run", f"{base}/openapi.json", "--url", base, "--no-color", "--continue-on-failure", *options),
        ],
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(FOLDER / "hooks.py"),
            "SCHEMATHESIS_CALLERS": json.dumps(callers),
            "SCHEMATHESIS_SEEN": str(seen),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = re.sub(r"eyJ[\w.-]{20,}|rt_[\w-]{20,}", "…", done.stdout + done.stderr)
    return Answers(done.returncode, text, set(seen.read_text().splitlines()))


def created_client(folder: Path) -> str:
    """Register a client by the command, and return its Authorization field."""
    command = Path(sys.executable).with_name("authguard")
    given = environment(f"sqlite:///{folder}/service.db")
    done = subprocess.run(
        [command, "clients", "create", "Probe", "--scope", "read"],
        env=given,
        capture_output=True,
        text=True,
        check=True,
    )
    name = done.stderr.partition("the client_id is ")[2].partition(",")[0]
    return "Basic " + base64.b64encode(f"{name}:{done.stdout.strip()}".encode()).decode()


@pytest.mark.slow
def test_examples_and_edges_are_answered_as_documented(base: str, tmp_path: Path) -> None:
    """A few requests for each operation get documented answers, and reach the use cases."""
    few = "--phases", "examples,fuzzing", "--max-examples", "3", "--generation-deterministic"
    result = run(base, tmp_path, *few)
    assert result.status == 0, result.text[-6000:]
    assert set(_SEEN.strip().splitlines()) - result.seen == set()


@pytest.mark.slow
def test_two_minutes_of_requests_are_answered_as_documented(base: str, tmp_path: Path) -> None:
    """Two minutes of requests of all kinds get documented answers."""
    result = run(base, tmp_path, "--max-time", "120")
    assert result.status == 0, result.text[-6000:]
    assert set(_SEEN.strip().splitlines()) - result.seen == set()
