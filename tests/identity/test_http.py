"""The JSON API over HTTP: bodies, answers, protected paths, outages."""

from contextlib import closing

import jwt
import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.errors import ConfigurationError
from authguard.identity import Identity, Settings, SQLRevocations, create_app
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.testing import issue_token
from identity.support import ISSUER, NOW, PASSWORD, SECRET, Clock, service_at, serving, together

pytestmark = pytest.mark.one_database  # requests and answers do not depend on the database

ANN = {"email": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def app(service):
    return Identity(service)


@pytest.fixture
def client(app):
    return TestClient(app)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token(client):
    return client.post("/v1/auth/register", json=ANN).json()["access_token"]


def is_problem(response, status, code):
    document = response.json()
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and response.headers["cache-control"] == "no-store"
        and (document["status"], document["code"]) == (status, code)
    )


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1"])
def test_both_prefixes_are_one_service(client, token, prefix):
    """An account that was registered under one prefix is known under the other."""
    assert client.get(f"{prefix}/users/me", headers=bearer(token)).json()["email"] == ANN["email"]


def test_prefixes_are_configurable(url):
    """The API has exactly the prefixes of the settings."""
    with service_at(url, prefixes=["/accounts"]) as service:
        client = TestClient(Identity(service))
        assert client.post("/accounts/auth/register", json=ANN).status_code == 201
        assert client.post("/v1/auth/register", json=ANN).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"email", "password"}),
        ({"email": 1, "password": PASSWORD}, {"email"}),
        ({"email": "ann@example.com", "password": ["x"]}, {"password"}),
        ({**ANN, "role": "ADMIN"}, {"body"}),
        ({**ANN, "name": "a", "full_name": "b"}, {"body"}),
        ({**ANN, "name": "x" * 201}, {"name"}),
        ({**ANN, "password": "x" * 1025}, {"password"}),
    ],
)
def test_body_is_validated(client, body, fields):
    """Each invalid field is named, and no value is repeated."""
    response = client.post("/v1/auth/register", json=body)
    assert is_problem(response, 422, "invalid_fields")
    assert {error["field"] for error in response.json()["errors"]} == fields
    assert PASSWORD not in response.text


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"nonsense", b'{"email":"a","email":"b"}', b"\xff", b"{" * 5000]
)
def test_body_is_one_strict_json_object(client, content):
    """A body that is no JSON object, or has a member twice, gets 422."""
    response = client.post("/v1/auth/login", content=content, headers={"content-type": "application/json"})
    assert is_problem(response, 422, "invalid_fields")


def test_privileges_cannot_be_registered(client):
    """No field of a registration sets a role, a verification or an id."""
    for name in ("role", "is_admin", "email_verified", "id", "disabled"):
        assert client.post("/v1/auth/register", json={**ANN, name: True}).status_code == 422


@pytest.mark.parametrize(
    "text", [r"a\u0000b@example.com", r"\ud800@example.com", r"\ud800", r"\u0000", "a" * 300]
)
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("auth/login", ["email", "password"]),
        ("auth/login-json", ["username", "password"]),
        ("auth/register", ["email", "password", "name"]),
        ("auth/forgot-password", ["email"]),
        ("auth/verify-email", ["token"]),
        ("auth/verify-email/resend", ["email"]),
        ("auth/reset-password", ["token", "new_password"]),
        ("auth/refresh", ["refresh_token"]),
    ],
)
def test_odd_text_is_never_our_fault(client, service, path, names, text):
    """NUL, lone surrogates and long text are refused or unknown in each field, and cause no 500."""
    body = "{" + ",".join(f'"{name}":"{text}"' for name in names) + "}"
    response = client.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400, 401, 422)
    assert service.outbox.flush()
    assert service.outbox.stats().refused == 0


def test_odd_client_is_never_our_fault(client):
    """A client id that no database can store is refused as an unknown one."""
    form = {"grant_type": "client_credentials", "client_id": "\x00", "client_secret": "\x00"}
    assert client.post("/v1/oauth/token", data=form).status_code == 401


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", ""])
def test_json_says_that_it_is_json(client, kind):
    """JSON with another content type, as a form of another site can send it, gets 415."""
    response = client.post("/v1/auth/register", content=b"{}", headers={"content-type": kind})
    assert is_problem(response, 415, "unsupported_media_type")


def test_large_body_is_refused(client):
    """A body of more than 64 KiB gets 413."""
    response = client.post(
        "/v1/auth/login", content=b" " * 70_000, headers={"content-type": "application/json"}
    )
    assert is_problem(response, 413, "payload_too_large")


def test_password_form_of_oauth(client, token):
    """The endpoint auth/login accepts the password form of OAuth too."""
    response = client.post("/v1/auth/login", data={"username": ANN["email"], "password": PASSWORD})
    assert response.json()["refresh_token"].startswith("rt_")


def test_unknown_and_wrong_get_the_same_answer(client, token):
    """A wrong password and an unknown address get the same status, fields and body."""
    wrong = client.post("/v1/auth/login", json={**ANN, "password": "x"})
    unknown = client.post("/v1/auth/login", json={"email": "bob@example.com", "password": "x"})
    assert is_problem(wrong, 401, "invalid_credentials")
    assert wrong.headers["www-authenticate"] == 'Bearer realm="identity"'
    assert (wrong.content, wrong.headers) == (unknown.content, unknown.headers)


def test_forgotten_password_tells_nothing(client, token):
    """Known and unknown addresses get the same answer from forgot-password."""
    known = client.post("/v1/auth/forgot-password", json={"email": ANN["email"]})
    unknown = client.post("/v1/auth/forgot-password", json={"email": "bob@example.com"})
    assert known.status_code == 200
    assert (known.content, known.headers) == (unknown.content, unknown.headers)


def test_registration_is_a_conflict(client, token):
    """The registration of a known address gets the documented 409."""
    assert is_problem(client.post("/v1/auth/register", json=ANN), 409, "email_taken")


@pytest.mark.slow
def test_limits_answer_429(url):
    """Too many logins get 429 with Retry-After."""
    with service_at(url, limits=DEFAULT_LIMITS) as service:
        client = TestClient(Identity(service))
        for _ in range(10):
            assert client.post("/v1/auth/login", json=ANN).status_code == 401
        response = client.post("/v1/auth/login", json=ANN)
    assert is_problem(response, 429, "rate_limited")
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "path", ["/v1/users/me", "/v1/auth/me", "/v1/users/me/sessions", "/v1/api-keys", "/v1/api-keys/x"]
)
def test_everything_else_is_protected(client, path):
    """An endpoint that is not listed as public requires a credential."""
    assert is_problem(client.get(path), 401, "missing_credentials")


def test_unknown_paths_and_methods(client, token):
    """With a token, an unknown path gets 404, and a wrong method gets 405 with Allow."""
    assert is_problem(client.get("/x", headers=bearer(token)), 404, "not_found")
    response = client.get("/v1/auth/login")
    assert is_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("claims", [{"iss": "https://other.example"}, {"aud": "other"}, {"sid": "nobody"}])
def test_foreign_tokens_are_refused(client, token, claims):
    """Tokens of another issuer, another audience or an unknown session get 401."""
    given = {"iss": ISSUER, "aud": ISSUER, "jti": "x", "sid": "x"} | claims
    forged = issue_token(SECRET, now=NOW, **given)
    assert is_problem(client.get("/v1/users/me", headers=bearer(forged)), 401, "invalid_token")


def test_refresh_token_is_no_access_token(client, token):
    """A refresh token is no access token."""
    refresh = client.post("/v1/auth/login", json=ANN).json()["refresh_token"]
    assert client.get("/v1/users/me", headers=bearer(refresh)).status_code == 401


def test_access_token_is_no_refresh_token(client, token):
    """An access token in the body is no refresh token."""
    assert client.post("/v1/auth/refresh", json={"refresh_token": token}).status_code == 401


def test_refresh_by_body_works_with_an_expired_token_in_the_field(client, token, clock):
    """A refresh by the body succeeds, although the field Authorization has an expired token."""
    refresh = client.post("/v1/auth/login", json=ANN).json()["refresh_token"]
    clock.go_on(28_801)
    assert client.post("/v1/auth/refresh", headers=bearer(token)).status_code == 401
    response = client.post("/v1/auth/refresh", headers=bearer(token), json={"refresh_token": refresh})
    assert response.status_code == 200


@pytest.mark.parametrize("ended", ["logout", "disabled"])
def test_refresh_by_access_token_needs_a_session_that_goes_on(client, token, service, ended):
    """A refresh by the access token gets 401 after a logout, or once the account is disabled."""
    assert client.post("/v1/auth/refresh", headers=bearer(token)).status_code == 200
    if ended == "logout":
        client.post("/v1/auth/logout", headers=bearer(token))
    else:
        service.accounts.disable(service.accounts.find(ANN["email"]).id)
    for prefix in ("/v1", "/api/v1"):
        response = client.post(f"{prefix}/auth/refresh", headers=bearer(token))
        assert is_problem(response, 401, "invalid_token")


@pytest.mark.parametrize("claims", [{"sub": "another"}, {"sid": "nobody"}])
def test_refresh_by_access_token_of_somebody_else_is_refused(client, token, claims):
    """A refresh by an access token with another subject, or of an unknown session, gets 401."""
    own = jwt.decode(token, options={"verify_signature": False}) | claims
    forged = issue_token(SECRET, now=NOW, **own)
    assert is_problem(client.post("/v1/auth/refresh", headers=bearer(forged)), 401, "invalid_token")


def test_sessions_are_listed_and_ended(client, token):
    """GET lists sessions and marks the current one, and DELETE ends one or answers 404."""
    client.post("/v1/auth/login", json=ANN)
    result = client.get("/v1/users/me/sessions", headers=bearer(token)).json()
    assert sorted(session["current"] for session in result) == [False, True]
    (other,) = [session["id"] for session in result if not session["current"]]
    assert client.delete(f"/v1/users/me/sessions/{other}", headers=bearer(token)).status_code == 200
    assert client.delete(f"/v1/users/me/sessions/{other}", headers=bearer(token)).status_code == 404
    assert len(client.get("/v1/users/me/sessions", headers=bearer(token)).json()) == 1


def test_logout_everywhere(client, token):
    """After logout-all each token of the account is refused."""
    second = client.post("/v1/auth/login", json=ANN).json()["access_token"]
    assert client.post("/v1/auth/logout-all", headers=bearer(token)).status_code == 200
    assert [client.get("/v1/auth/me", headers=bearer(each)).status_code for each in (token, second)] == [
        401,
        401,
    ]


LATE = {"at once": 0, "expired": 28_801, "long expired": 40 * 86_400}


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("before", ["nothing", "logout", "logout-all", "disabled"])
@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_logging_out_can_be_repeated_and_be_late(client, token, service, clock, late, before, prefix):
    """A logout can be repeated and be late, is answered alike, and leaves the session ended."""
    refresh = client.post("/v1/auth/login", json=ANN).json()
    token = refresh["access_token"]
    if before in ("logout", "logout-all"):
        assert client.post(f"/v1/auth/{before}", headers=bearer(token)).status_code == 200
    elif before == "disabled":
        service.accounts.disable(jwt.decode(token, options={"verify_signature": False})["sub"])
    clock.go_on(LATE[late])
    for _ in range(2):
        response = client.post(f"{prefix}/auth/logout", headers=bearer(token))
        assert (response.status_code, response.json()) == (200, {"message": "Logged out"})
    assert client.get("/v1/users/me", headers=bearer(token)).status_code == 401
    again = client.post("/v1/auth/refresh", json={"refresh_token": refresh["refresh_token"]})
    assert again.status_code == 401


def test_logging_out_with_an_expired_token_ends_its_session_alone(client, token, clock):
    """A logout with an expired token does not end the session of another device."""
    first, other = (client.post("/v1/auth/login", json=ANN).json() for _ in range(2))
    clock.go_on(28_801)
    assert client.post("/v1/auth/logout", headers=bearer(first["access_token"])).status_code == 200
    assert client.post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert client.post("/v1/auth/refresh", json={"refresh_token": other["refresh_token"]}).status_code == 200


def bad_tokens(token):
    """Return tokens that this service has not issued, by the reason."""
    head, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    late = {"exp": 1_700_000_100, "iat": 1_700_000_000}
    return {
        "garbage": "a.b.c",
        "opaque": "x" * 40,
        "changed": f"{head}.{payload[:-4]}AAAA.{signature}",
        "unsigned": f"{head}.{payload}.",
        "forged": jwt.encode(claims | late, "x" * 40),
        "another issuer": jwt.encode(claims | late | {"iss": "https://evil.example"}, SECRET),
        "another audience": jwt.encode(claims | late | {"aud": "https://evil.example"}, SECRET),
        "another kind": jwt.encode(claims | late | {"token_type": "refresh"}, SECRET),
        "never valid": jwt.encode(claims | {"exp": 1_700_000_000, "iat": 1_700_000_000}, SECRET),
        "without iat": jwt.encode(
            {name: claims[name] for name in claims if name != "iat"} | {"exp": 1}, SECRET
        ),
        "iat that is no date": jwt.encode(claims | {"iat": True}, SECRET),
    }


BAD = [
    "garbage", "opaque", "changed", "unsigned", "forged", "another issuer", "another audience",
    "another kind", "never valid", "without iat", "iat that is no date",
]  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_logging_out_with_no_token_of_ours_is_401(client, token, kind):
    """A logout with a token that this service has not issued gets 401, and ends no session."""
    assert list(bad_tokens(token)) == BAD
    response = client.post("/v1/auth/logout", headers=bearer(bad_tokens(token)[kind]))
    assert is_problem(response, 401, "invalid_token")
    assert client.get("/v1/users/me", headers=bearer(token)).status_code == 200


def test_logging_out_keeps_its_other_answers(client, token):
    """A logout gets an error without a credential, with two, by another method, and from another site."""
    assert is_problem(client.post("/v1/auth/logout"), 401, "missing_credentials")
    two = [("Authorization", f"Bearer {token}")] * 2
    assert is_problem(client.post("/v1/auth/logout", headers=two), 400, "invalid_request")
    assert client.get("/v1/auth/logout", headers=bearer(token)).status_code == 405
    assert client.get("/v1/auth/logout").status_code == 401
    cookie = {"Cookie": f"access_token={token}", "Sec-Fetch-Site": "cross-site"}
    assert is_problem(client.post("/v1/auth/logout", headers=cookie), 403, "cross_site_request")
    assert client.get("/v1/users/me", headers=bearer(token)).status_code == 200


def test_an_expired_token_is_good_for_logging_out_alone(client, token, clock):
    """An expired token is refused at each other endpoint, also after it was used for a logout."""
    clock.go_on(28_801)
    assert client.post("/v1/auth/logout", headers=bearer(token)).status_code == 200
    for method, path in [
        ("GET", "/v1/users/me"),
        ("POST", "/v1/auth/logout-all"),
        ("POST", "/v1/auth/refresh"),
    ]:
        assert client.request(method, path, headers=bearer(token)).status_code == 401


def test_outage_is_503(client, token, service):
    """A database that is down is 503 with Retry-After, also for a caller with a valid token."""
    from authguard.identity.storage.database import Database

    service.database.close()
    away = Database("sqlite:////nowhere/at/all.db")
    service.database._readers, service.database._writers = away._readers, away._writers
    for response in (
        client.get("/v1/users/me", headers=bearer(token)),
        client.post("/v1/auth/logout", headers=bearer(token)),
        client.post("/v1/auth/login", json=ANN),
    ):
        assert is_problem(response, 503, "unavailable")
        assert response.headers["retry-after"]


def test_logout_that_is_not_stored_is_503(client, token, service):
    """A logout that cannot be stored gets 503, and its token remains valid."""
    from authguard.identity.storage.database import Database

    kept = service.database._writers
    service.database._writers = Database("sqlite:////nowhere/at/all.db")._writers
    assert client.post("/v1/auth/logout", headers=bearer(token)).status_code == 503
    service.database._writers = kept
    assert client.get("/v1/users/me", headers=bearer(token)).status_code == 200


def test_error_of_ours_is_a_problem_too(app, service):
    """An unexpected exception is a 500 with a problem document that reveals nothing."""
    service.accounts.login = None
    response = TestClient(app, raise_server_exceptions=False).post("/v1/auth/login", json=ANN)
    assert is_problem(response, 500, "internal_error")


def test_cookie_of_this_site_is_accepted(client, token):
    """The cookie is accepted from the same site, and refused from another site."""
    headers = {"Cookie": f"access_token={token}", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/users/me", headers=headers).status_code == 200
    headers["Sec-Fetch-Site"] = "cross-site"
    assert client.post("/v1/auth/logout", headers=headers).status_code == 403


@pytest.mark.slow
def test_it_can_be_mounted(service):
    """In a mounted service, the paths begin with the path of the mount."""
    client = TestClient(Starlette(routes=[Mount("/identity", Identity(service))]))
    token = client.post("/identity/v1/auth/register", json=ANN).json()["access_token"]
    assert client.get("/identity/v1/users/me", headers=bearer(token)).status_code == 200
    assert client.post("/identity/v1/auth/refresh", headers=bearer(token)).status_code == 200
    assert client.get("/identity/v1/users/me").status_code == 401


@pytest.mark.slow
def test_another_guard_verifies_its_tokens_with_the_secret(service, client, token):
    """A guard that knows the secret accepts the tokens, sees the role, and follows logouts."""
    revocations = SQLRevocations(service.settings.database, clock=Clock())
    guard = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER, role_claims=["role"]),
        revocations=revocations,
    )

    async def app(scope, receive, send):
        roles = " ".join(scope["auth"].principal.roles).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": roles})

    other = TestClient(AuthGuardMiddleware(app, guard=guard, clock=Clock()))
    with closing(revocations):
        assert other.get("/", headers=bearer(token)).text == "USER"
        client.post("/v1/auth/logout", headers=bearer(token))
        assert other.get("/", headers=bearer(token)).status_code == 401


@pytest.mark.slow
def test_slow_logins_do_not_hold_up_the_rest(app, token, service):
    """While all threads for passwords are busy, a request with a token is answered."""
    import threading

    busy, free = threading.Event(), threading.Event()

    class Stuck(PasswordHasher):
        def verify(self, kept, password):
            busy.set()
            free.wait(10)
            return False

    object.__setattr__(service.accounts._base, "hasher", Stuck.cheap(concurrency=99))
    with serving(app) as base:

        def run(index):
            if index:
                return requests.post(f"{base}/v1/auth/login", json=ANN, timeout=30).status_code
            assert busy.wait(10)
            try:
                return requests.get(f"{base}/v1/users/me", headers=bearer(token), timeout=5).status_code
            finally:
                free.set()

        assert together(21, run) == [200] + [401] * 20


@pytest.mark.slow
def test_app_is_made_from_settings(tmp_path):
    """`create_app` makes the tables in development, and requires existing tables otherwise."""
    given = {"secret": SECRET, "issuer": ISSUER, "database": f"sqlite:///{tmp_path}/new.db"}
    with pytest.raises(ConfigurationError, match="authguard.identity.upgrade"):
        create_app(Settings(**given, smtp_url="smtp://127.0.0.1:2525", mail_from="a@example.com"))
    with TestClient(create_app(Settings(**given, dev=True))) as client:
        assert client.get("/v1/test-auth/auth-status").json() == {"authenticated": False, "user": None}
    with TestClient(
        create_app(Settings(**given, smtp_url="smtp://127.0.0.1:2525", mail_from="a@example.com"))
    ) as client:
        assert client.get("/v1/users/me").status_code == 401
