"""docs/coming-from/pyjwt.md: the new application accepts tokens of the old one."""

import time
from typing import Any

import jwt
import pytest

from frameworks.support import need

need("fastapi", "python_multipart")

pytestmark = pytest.mark.frameworks

from fastapi import FastAPI
from starlette.testclient import TestClient

from authguard import ConfigurationError, Guard, TokenIssuer
from authguard.fastapi import install
from migrations.support import PASSWORD, SECRET, bearer, run

PAGE = "pyjwt.md"


@pytest.fixture(name="before")
def _before() -> TestClient:
    return TestClient(run(PAGE, "Before").app)


@pytest.fixture(name="after")
def _after() -> TestClient:
    return TestClient(run(PAGE, "After").app)


def token_of(client: TestClient) -> str:
    """Sign in, and return the token."""
    answer = client.post("/token", data={"username": "ann", "password": PASSWORD})
    return str(answer.json()["access_token"])


def test_both_applications_answer_alike(before: TestClient, after: TestClient) -> None:
    """Both applications sign in and serve the page, and refuse a wrong password."""
    for client in (before, after):
        assert client.get("/me", headers=bearer(token_of(client))).json() == {"user": "1"}
        assert client.post("/token", data={"username": "ann", "password": "no"}).status_code == 401


def test_an_old_token_stays_valid(before: TestClient, after: TestClient) -> None:
    """The new application accepts an old token, and the old one refuses a new token."""
    assert after.get("/me", headers=bearer(token_of(before))).json() == {"user": "1"}
    assert before.get("/me", headers=bearer(token_of(after))).status_code == 401


def test_a_new_token_says_the_roles(after: TestClient) -> None:
    """A new token has the claim `roles`."""
    claims = jwt.decode(token_of(after), SECRET, ["HS256"], audience="https://app.example.com")
    assert claims["roles"] == ["admin"]


def test_a_disabled_user_of_the_tutorial_is_refused() -> None:
    """The `user_loader` of the page refuses a disabled user, and one that no longer exists."""
    tokens = TokenIssuer(SECRET, issuer="https://app.example.com", audience="https://app.example.com")
    users = {"ann": {"disabled": False}, "bob": {"disabled": True}}
    load = run(PAGE, "python-jose and the tutorial of FastAPI", users=users).load
    app = FastAPI()
    install(app, Guard(tokens.verifier(), user_loader=load))
    app.get("/me")(lambda: "hello")
    answers = {
        name: TestClient(app).get("/me", headers=bearer(tokens.issue(name))).status_code
        for name in ("ann", "bob", "eve")
    }
    assert answers == {"ann": 200, "bob": 401, "eve": 401}


def test_a_caller_without_a_token_gets_a_challenge(before: TestClient, after: TestClient) -> None:
    """A request without a token is a 401 in both, with a challenge in the new application."""
    assert before.get("/me").status_code == 401
    answer = after.get("/me")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


@pytest.mark.parametrize(
    ("claims", "statuses"),
    [
        ({"exp": None}, (200, 401)),
        ({"exp": -10}, (401, 200)),
        ({"type": "refresh"}, (200, 401)),
        ({"aud": "another"}, (401, 401)),
    ],
    ids=["without exp", "ten seconds late", "a refresh token", "another audience"],
)
def test_what_the_table_says_of_odd_tokens(
    before: TestClient, after: TestClient, claims: dict[str, Any], statuses: tuple[int, int]
) -> None:
    """Odd tokens have the statuses of the table."""
    given: dict[str, Any] = {"sub": "1", "exp": 60} | claims
    if given["exp"] is None:
        del given["exp"]
    else:
        given["exp"] += time.time()
    token = jwt.encode(given, SECRET, "HS256")
    answers = [client.get("/me", headers=bearer(token)).status_code for client in (before, after)]
    assert tuple(answers) == statuses


def test_two_fields_are_refused(before: TestClient, after: TestClient) -> None:
    """Two Authorization fields are a 400 of the new application; the old one reads the first."""
    fields = [("Authorization", f"Bearer {token_of(before)}"), ("Authorization", "Bearer other")]
    assert [client.get("/me", headers=fields).status_code for client in (before, after)] == [200, 400]


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short secret is refused when the new application is built."""
    monkeypatch.setenv("JWT_SECRET", "Sh0rt-Secret-7Qz")
    with pytest.raises(ConfigurationError, match="at least 32 random bytes"):
        run(PAGE, "After")
