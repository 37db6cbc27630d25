"""docs/coming-from/flask-jwt-extended.md: old tokens, refresh tokens and logouts stay valid."""

from datetime import timedelta
from typing import Any

import jwt
import pytest

from frameworks.support import need

need("flask", "flask_jwt_extended")

pytestmark = pytest.mark.frameworks

from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, create_refresh_token, set_access_cookies

from authguard import AccessCookie, Guard, InvalidTokenError, JWTVerifier, TokenIssuer
from authguard.flask import current_user, init_app
from migrations.support import PASSWORD, SECRET, bearer, run

PAGE = "flask-jwt-extended.md"
SITE = "https://localhost"


class Application:
    """Have one of the two applications, and a client of it."""

    def __init__(self, heading: str) -> None:
        self.names = run(PAGE, heading)
        self.client: FlaskClient = self.names.app.test_client()

    def sign_in(self) -> dict[str, str]:
        answer = self.client.post("/login", json={"name": "ann", "password": PASSWORD})
        return dict(answer.json or {})

    def me(self, token: str) -> Any:
        return self.client.get("/me", headers=bearer(token))

    def refresh(self, token: str) -> Any:
        return self.client.post("/refresh", headers=bearer(token))

    def log_out(self, token: str) -> int:
        return self.client.delete("/logout", headers=bearer(token)).status_code


@pytest.fixture(name="before")
def _before() -> Application:
    return Application("Before")


@pytest.fixture(name="after")
def _after() -> Application:
    return Application("After")


def test_both_applications_answer_alike(before: Application, after: Application) -> None:
    """Both applications sign in, refresh and sign out with the same answers."""
    for each in (before, after):
        signed_in = each.sign_in()
        assert each.me(signed_in["access_token"]).json == {"user": "ann"}
        refreshed = each.refresh(signed_in["refresh_token"]).json["access_token"]
        assert each.me(refreshed).json == {"user": "ann"}
        assert each.log_out(refreshed) == 204
        assert each.me(refreshed).status_code == 401
        wrong = each.client.post("/login", json={"name": "ann", "password": "no"})
        assert wrong.status_code == 401


def test_old_tokens_stay_valid(before: Application, after: Application) -> None:
    """Old access tokens open pages, and old refresh tokens bring access tokens, and not vice versa."""
    old = before.sign_in()
    assert after.me(old["access_token"]).json == {"user": "ann"}
    assert after.me(after.refresh(old["refresh_token"]).json["access_token"]).json == {"user": "ann"}
    assert after.me(old["refresh_token"]).status_code == 401
    assert after.refresh(old["access_token"]).status_code == 401


def test_new_tokens_are_good_for_one_thing(after: Application) -> None:
    """A new refresh token opens no page, and a new access token cannot be refreshed."""
    new = after.sign_in()
    assert after.me(new["refresh_token"]).status_code == 401
    assert after.refresh(new["access_token"]).status_code == 401
    assert after.client.post("/refresh").status_code == 401


def test_a_logout_ends_the_refresh_token(before: Application, after: Application) -> None:
    """A logout ends the refresh token in the new application, and not in the old one."""
    statuses = []
    for each in (before, after):
        signed_in = each.sign_in()
        each.log_out(signed_in["access_token"])
        statuses.append(each.refresh(signed_in["refresh_token"]).status_code)
    assert statuses == [200, 401]


def test_an_old_token_can_be_logged_out(before: Application, after: Application) -> None:
    """An old token is logged out by its id, and another token of the same user stays valid."""
    first, second = before.sign_in(), before.sign_in()
    assert after.log_out(first["access_token"]) == 204
    assert after.me(first["access_token"]).status_code == 401
    assert after.me(second["access_token"]).status_code == 200


def test_an_old_logout_stays(before: Application) -> None:
    """An old logout is kept by revocations that read both lists."""
    ended, good = before.sign_in()["access_token"], before.sign_in()["access_token"]
    before.log_out(ended)
    revocations = run(PAGE, "The blocklist").BothRevocations(before.names.blocklist)
    old = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    guard = Guard(old, revocations=revocations)
    principal = guard.verify(good)
    with pytest.raises(InvalidTokenError):
        guard.verify(ended)
    revocations.revoke(token_id=principal.token_id, until=(principal.expires_at or 0) + 30)
    with pytest.raises(InvalidTokenError):
        guard.verify(good)


def test_what_the_table_says_of_refusals(before: Application, after: Application) -> None:
    """Refusals without a token, with an invalid one, and the scheme in lower case are those of the table."""
    assert [each.client.get("/me").status_code for each in (before, after)] == [401, 401]
    assert "WWW-Authenticate" in after.client.get("/me").headers
    bad = jwt.encode({"sub": "ann"}, SECRET + "x", "HS256")
    assert [each.me(bad).status_code for each in (before, after)] == [422, 401]
    statuses = []
    for each in (before, after):
        field = {"Authorization": "bearer " + each.sign_in()["access_token"]}
        statuses.append(each.client.get("/me", headers=field).status_code)
    assert statuses == [401, 200]


def test_an_expired_token_is_refused_by_both(before: Application, after: Application) -> None:
    """Both applications refuse an expired token with a 401."""
    with before.names.app.app_context():
        token = create_access_token("ann", expires_delta=timedelta(seconds=-60))
    assert [each.me(token).status_code for each in (before, after)] == [401, 401]


def test_the_body_can_stay(before: Application) -> None:
    """`on_error` can keep the member `msg` of the old body."""
    old = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    guard = Guard(
        old,
        on_error=lambda request, refusal: (
            refusal.with_json({"msg": refusal.error.detail}) if refusal.error else refusal
        ),
    )
    init_app(before.names.app, guard)
    answer = before.client.get("/me")
    assert (answer.status_code, list(answer.json or {})) == (401, ["msg"])


def test_the_old_cookie_is_read(before: Application) -> None:
    """The old cookie is read, and a POST with it must come from the same site."""
    before.names.app.config |= {"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_SECURE": True}
    with before.names.app.test_request_context():
        response = before.names.app.make_response("")
        set_access_cookies(response, create_access_token("ann"))
    fields = response.headers.getlist("Set-Cookie")
    [field] = [field for field in fields if field.startswith("access_token_cookie=")]
    old = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    cookie = AccessCookie("access_token_cookie", host_prefix=False)
    app = type(before.names.app)("after")
    app.add_url_rule("/me", "me", lambda: {"user": current_user.subject}, methods=["GET", "POST"])
    init_app(app, Guard(old, cookie=cookie))
    client = app.test_client()
    client.set_cookie("access_token_cookie", field.partition(";")[0].partition("=")[2], secure=True)
    assert client.get("/me", base_url=SITE).json == {"user": "ann"}
    assert client.post("/me", base_url=SITE, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.post("/me", base_url=SITE, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/me", base_url=SITE).status_code == 403


def test_an_issuer_and_audience_of_before_need_no_second_verifier(before: Application) -> None:
    """With the old issuer and audience one verifier accepts old and new tokens."""
    site = "https://app.example.com"
    before.names.app.config |= {"JWT_ENCODE_ISSUER": site, "JWT_ENCODE_AUDIENCE": site}
    tokens = TokenIssuer(SECRET, issuer=site, audience=site)
    guard = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=site, audience=site))
    with before.names.app.app_context():
        old, refresh = create_access_token("ann"), create_refresh_token("ann")
    assert [guard.verify(token).subject for token in (old, tokens.issue("bob"))] == ["ann", "bob"]
    with pytest.raises(InvalidTokenError):
        guard.verify(refresh)
