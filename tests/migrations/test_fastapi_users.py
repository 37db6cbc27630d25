"""docs/coming-from/fastapi-users.md: accounts move with ids and passwords, and old tokens stay valid."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from frameworks.support import REQUIRED, need

need("fastapi", "fastapi_users", "click", "sqlalchemy", "argon2", "alembic")

pytestmark = pytest.mark.frameworks

from click.testing import CliRunner
from starlette.testclient import TestClient

from authguard.cli.root import root
from migrations.support import PASSWORD, SECRET, bearer, run

PAGE = "fastapi-users.md"
EMAIL = "ann@example.com"
SITE = "https://app.example.com"


class Moved:
    """Have both applications after the accounts were moved."""

    def __init__(self, folder: Path) -> None:
        old = run(PAGE, "Before")
        self.before = TestClient(old.app, base_url=SITE)
        account = self.before.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
        self.id = account.json()["id"]
        file = folder / "accounts.jsonl"
        line_of = run(PAGE, "Move the accounts").line_of
        file.write_text("".join(line_of(user) + "\n" for user in old.users.values()))
        authguard("db", "upgrade")
        assert "1" in authguard("users", "import", str(file))
        self.new = run(PAGE, "After")
        self.after = TestClient(self.new.app, base_url=SITE)

    def sign_in(self) -> dict[str, Any]:
        """Sign in at the new application, by the form that clients of the old one send."""
        form = {"username": EMAIL, "password": PASSWORD}
        return dict(self.after.post("/id/v1/auth/login", data=form).json())

    def old_token(self) -> str:
        answer = self.before.post("/auth/jwt/login", data={"username": EMAIL, "password": PASSWORD})
        return str(answer.json()["access_token"])


def authguard(*arguments: str) -> str:
    """Run the command, and return its output."""
    done = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(name="moved")
def _moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Moved]:
    monkeypatch.delenv(REQUIRED, raising=False)  # the service refuses variables that are no settings
    monkeypatch.setenv("AUTHGUARD_SECRET", "f4stapi-us3rs-Secret-of-enough-bytes-9Rt")
    monkeypatch.setenv("AUTHGUARD_DATABASE", f"sqlite:///{tmp_path}/accounts.db")
    monkeypatch.setenv("AUTHGUARD_SMTP_URL", "smtps://accounts:pass@mail.example.com")
    monkeypatch.setenv("AUTHGUARD_MAIL_FROM", "accounts@example.com")
    monkeypatch.setenv("AUTHGUARD_ISSUER", f"{SITE}/id")
    moved = Moved(tmp_path)
    yield moved
    moved.new.identity.close()


def test_an_account_keeps_its_id_and_password(moved: Moved) -> None:
    """A moved account keeps its id and password, and signs in with the form of OAuth 2."""
    token = moved.sign_in()["access_token"]
    assert moved.after.get("/me", headers=bearer(token)).json() == {"user": moved.id}


def test_an_old_token_stays_valid(moved: Moved) -> None:
    """An old token identifies the same user in both applications."""
    token = moved.old_token()
    for client in (moved.before, moved.after):
        assert client.get("/me", headers=bearer(token)).json() == {"user": moved.id}


@pytest.mark.parametrize(
    "purpose", ["fastapi-users:reset", "fastapi-users:verify", "fastapi-users:oauth-state"]
)
def test_tokens_of_another_purpose_are_refused(moved: Moved, purpose: str) -> None:
    """A token for another purpose, with the same secret and another audience, is refused."""
    claims = jwt.decode(moved.old_token(), SECRET, ["HS256"], audience="fastapi-users:auth")
    other = jwt.encode(claims | {"aud": purpose}, SECRET, "HS256")
    assert moved.after.get("/me", headers=bearer(other)).status_code == 401


def test_signing_out_ends_the_session(moved: Moved) -> None:
    """A logout ends the token of the new application, and not that of the old one."""
    old = moved.old_token()
    assert moved.before.post("/auth/jwt/logout", headers=bearer(old)).status_code == 204
    assert moved.before.get("/me", headers=bearer(old)).status_code == 200
    new = moved.sign_in()["access_token"]
    assert moved.after.post("/id/v1/auth/logout", headers=bearer(new)).status_code == 200
    assert moved.after.get("/me", headers=bearer(new)).status_code == 401


def test_a_refresh_token_brings_the_next_access_token(moved: Moved) -> None:
    """A refresh token of the new application brings an access token."""
    refresh_token = moved.sign_in()["refresh_token"]
    answer = moved.after.post("/id/v1/auth/refresh", json={"refresh_token": refresh_token})
    token = answer.json()["access_token"]
    assert moved.after.get("/me", headers=bearer(token)).status_code == 200


def test_an_old_token_is_ended_by_its_subject(moved: Moved) -> None:
    """Disabling an account leaves an old token valid, and a revocation of its subject ends it."""
    token = moved.old_token()
    authguard("users", "disable", EMAIL)
    assert moved.after.get("/me", headers=bearer(token)).status_code == 200
    moved.new.service.revocations.revoke(subject=moved.id, until=time.time() + 3600)
    assert moved.after.get("/me", headers=bearer(token)).status_code == 401


def test_old_tokens_of_disabled_accounts_are_refused(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop over the imported accounts refuses the old tokens of those that are disabled."""
    token = moved.old_token()
    file = tmp_path / "accounts.jsonl"
    monkeypatch.chdir(tmp_path)
    run(PAGE, "Refuse old tokens of disabled accounts", service=moved.new.service)
    assert moved.after.get("/me", headers=bearer(token)).status_code == 200
    account = {**json.loads(file.read_text()), "disabled": True}
    file.write_text(json.dumps(account) + "\n")
    run(PAGE, "Refuse old tokens of disabled accounts", service=moved.new.service)
    assert moved.after.get("/me", headers=bearer(token)).status_code == 401


def test_a_superuser_has_a_role() -> None:
    """A superuser is moved with the role ADMIN, and an inactive account is disabled."""
    names = run(PAGE, "Before")
    user = names.User("0b9a4c7e-5d1f-4c1e-9a53-2f6f1d3f8a10", EMAIL, "$2b$…", False, True, True)
    assert json.loads(run(PAGE, "Move the accounts").line_of(user)) == {
        "id": "0b9a4c7e-5d1f-4c1e-9a53-2f6f1d3f8a10",
        "email": EMAIL,
        "password_hash": "$2b$…",
        "roles": ["ADMIN"],
        "verified": True,
        "disabled": True,
    }


def test_what_the_tables_say_of_refusals(moved: Moved) -> None:
    """Refusals of a wrong password and of a missing token are those of the tables."""
    wrong = {"username": EMAIL, "password": "no"}
    statuses = [moved.before.post("/auth/jwt/login", data=wrong).status_code]
    statuses.append(moved.after.post("/id/v1/auth/login", data=wrong).status_code)
    assert statuses == [400, 401]
    answers = [client.get("/me") for client in (moved.before, moved.after)]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert ["www-authenticate" in answer.headers for answer in answers] == [False, True]


def test_the_endpoints_of_the_table_are_there(moved: Moved) -> None:
    """Each endpoint of the table exists in the new application."""
    text = Path(__file__).parents[2].joinpath("docs", "coming-from", PAGE).read_text(encoding="utf-8")
    table = text.partition("## Changes for your clients")[2].partition("\n## ")[0]
    posted = {"/id/v1/auth/login", "/id/v1/auth/logout", "/id/v1/auth/register", "/id/v1/auth/verify-email"}
    posted |= {"/id/v1/auth/verify-email/resend", "/id/v1/auth/forgot-password", "/id/v1/auth/reset-password"}
    assert all(path.removeprefix("/id/v1") in table for path in posted)
    assert {moved.after.post(path, json={}).status_code for path in posted} <= {401, 422}
    assert moved.after.get("/id/v1/users/me").status_code == 401
