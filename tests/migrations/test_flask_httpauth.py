"""docs/coming-from/flask-httpauth.md: the new application accepts tokens of the old one."""

from typing import Any

import pytest

from frameworks.support import need

need("flask", "flask_httpauth")

pytestmark = pytest.mark.frameworks

from flask.testing import FlaskClient

from authguard import APIKey, APIKeyVerifier, Guard, InvalidTokenError, digest_api_key
from migrations.support import PASSWORD, bearer, run

PAGE = "flask-httpauth.md"


class Application:
    """Have one of the two applications, and a client of it."""

    def __init__(self, heading: str) -> None:
        self.names = run(PAGE, heading)
        self.client: FlaskClient = self.names.app.test_client()

    def new_token(self, password: str = PASSWORD) -> Any:
        return self.client.post("/tokens", auth=("ann", password))

    def get(self, path: str, fields: dict[str, str]) -> Any:
        return self.client.get(path, headers=fields)


@pytest.fixture(name="before")
def _before() -> Application:
    return Application("Before")


@pytest.fixture(name="after")
def _after() -> Application:
    return Application("After")


def test_both_applications_answer_alike(before: Application, after: Application) -> None:
    """In both applications Basic brings a token, and the token opens the pages."""
    for each in (before, after):
        fields = bearer(each.new_token().json["token"])
        assert each.get("/me", fields).json == {"user": "ann"}
        assert each.get("/admin", fields).json == {"jobs": []}
        refused = each.new_token("wrong")
        assert (refused.status_code, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert each.client.post("/tokens").status_code == 401
        assert each.client.post("/tokens", headers=fields).status_code == 401


def test_old_tokens_stay_valid(before: Application, after: Application) -> None:
    """The new application accepts old tokens of the same table."""
    token = before.new_token().json["token"]
    after.names.tokens.update(before.names.tokens)
    assert after.get("/me", bearer(token)).json == {"user": "ann"}


def test_what_the_table_says_of_refusals(before: Application, after: Application) -> None:
    """Refusals without a token, with an invalid one and without the role are those of the table."""
    for fields in ({}, bearer("unknown-token-0123456789")):
        answers = [each.get("/me", fields) for each in (before, after)]
        assert [answer.status_code for answer in answers] == [401, 401]
        assert [answer.headers["WWW-Authenticate"].split(",")[0] for answer in answers] == [
            'Bearer realm="Authentication Required"',
            'Bearer realm="api"',
        ]
    for each in (before, after):
        fields = bearer(each.new_token().json["token"])
        each.names.roles["ann"] = []
        assert each.get("/admin", fields).status_code == 403
    assert "insufficient_scope" in after.get("/admin", fields).headers["WWW-Authenticate"]


def test_a_scheme_in_lower_case(before: Application, after: Application) -> None:
    """Both applications accept the scheme in lower case."""
    statuses = []
    for each in (before, after):
        token = each.new_token().json["token"]
        statuses.append(each.get("/me", {"Authorization": f"bearer {token}"}).status_code)
    assert statuses == [200, 200]


def test_a_table_that_is_down(before: Application, after: Application) -> None:
    """A table that is down is a 500 of the old application, and a 503 of the new one."""

    class Down:
        def get(self, token: str) -> None:
            raise ConnectionError("the database is away")

    before.names.app.testing = False
    statuses = []
    for each in (before, after):
        each.names.scope["tokens"] = Down()
        statuses.append(each.get("/me", bearer("some-token-0123456789")).status_code)
    assert statuses == [500, 503]


def test_digests_stand_beside_old_tokens(after: Application) -> None:
    """Digests of new keys and old tokens are accepted together, distinguished by the prefix of the keys."""
    names = run(PAGE, "Digests instead of tokens", StoredTokens=after.names.StoredTokens)
    token = after.new_token().json["token"]
    key = names.new_key("bob")
    assert [names.guard.verify(each).subject for each in (token, key)] == ["ann", "bob"]
    assert key not in str(names.keys)
    with pytest.raises(InvalidTokenError):
        names.guard.verify(key[:-1] + ("a" if key[-1] != "a" else "b"))


def test_old_keys_of_a_field_need_no_prefix() -> None:
    """An old key without a prefix is accepted in the field `X-API-Key`."""
    old = {digest_api_key("0ld-key-without-a-prefix-8Hw2"): APIKey("ann")}
    guard = Guard(APIKeyVerifier(old.get))
    assert guard.verify("0ld-key-without-a-prefix-8Hw2", header="X-API-Key").subject == "ann"
