"""Logouts and revocations by a process whose clock is behind that of the process that issued the token."""

import jwt
import pytest
from starlette.testclient import TestClient

from authguard.errors import ExpiredTokenError
from authguard.identity import Identity, IdentityService
from identity.api_key_support import rows
from identity.people import browser
from identity.support import CALLER, SECRET, Clock, service_at
from identity.test_sessions import principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

LEEWAY, HOUR = 300, 3_600
BEHIND = [31, 61, HOUR, 30 * 86_400]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def log_out(app: Identity, token: str) -> int:
    return TestClient(app).post("/v1/auth/logout", headers=bearer(token)).status_code


def revoke(app: Identity, token: str) -> int:
    return TestClient(app).post("/v1/oauth/revoke", data={"token": token}).status_code


def log_out_in_browser(app: Identity, token: str) -> int:
    client = browser(app)
    client.cookies.set("access_token", token)
    return 200 if client.post("/logout").status_code == 303 else 0


ENDS = {"logout": log_out, "revoke": revoke, "page": log_out_in_browser}


def me(app: Identity, token: str) -> int:
    return TestClient(app).get("/v1/users/me", headers=bearer(token)).status_code


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("seconds", BEHIND)
def test_a_session_ends_by_a_clock_that_is_behind(
    service: IdentityService, clock: Clock, end: str, seconds: int
) -> None:
    """A token that was issued in the future ends its session, and is refused when its time has come."""
    app, tokens = Identity(service), register(service)
    principal = principal_of(service, tokens.access_token)
    clock.go_on(-seconds)
    assert ENDS[end](app, tokens.access_token) == 200
    (mark,) = rows(service, "authguard_marks")
    assert mark.until == principal.expires_at + LEEWAY
    clock.go_on(seconds)
    assert me(app, tokens.access_token) == 401
    clock.go_on(principal.expires_at - clock() - 1)
    assert service.revocations.is_revoked(principal)


@pytest.mark.parametrize("seconds", BEHIND)
def test_a_mark_holds_for_the_tokens_of_a_later_refresh(
    service: IdentityService, clock: Clock, seconds: int
) -> None:
    """The end of a session by another of its tokens also holds for the token of the last refresh."""
    tokens = register(service)
    clock.go_on(seconds // 2)
    later = service.sessions.refresh(tokens.refresh_token, CALLER)
    principal = principal_of(service, later.access_token)
    clock.go_on(-seconds)
    service.clients.revoke(later.refresh_token, None, CALLER)
    (mark,) = rows(service, "authguard_marks")
    assert mark.until == principal.expires_at + LEEWAY


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("seconds", [28_801, 100 * HOUR])
def test_a_session_ends_by_a_token_that_has_expired(
    service: IdentityService, clock: Clock, end: str, seconds: int
) -> None:
    """A token that has expired by this clock ends its session, too."""
    app, tokens = Identity(service), register(service)
    clock.go_on(seconds)
    assert ENDS[end](app, tokens.access_token) == 200
    clock.go_on(-seconds)
    assert me(app, tokens.access_token) == 401


@pytest.mark.parametrize("seconds", BEHIND)
def test_a_token_of_a_client_is_revoked_by_a_clock_that_is_behind(
    service: IdentityService, clock: Clock, seconds: int
) -> None:
    """The token of a client, which has no session, is revoked until it expires."""
    app = Identity(service)
    client, secret = service.clients.create("reports", frozenset({"read"}))
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": secret}
    token = TestClient(app).post("/v1/oauth/token", data=form).json()["access_token"]
    principal = principal_of(service, token)
    clock.go_on(-seconds)
    named = {"client_id": client.id, "client_secret": secret, "token": token}
    assert TestClient(app).post("/v1/oauth/revoke", data=named).status_code == 200
    clock.go_on(seconds)
    assert service.revocations.is_revoked(principal)
    clock.go_on(principal.expires_at + LEEWAY - clock())
    assert TestClient(app).post("/v1/oauth/revoke", data=named).status_code == 200


@pytest.mark.parametrize("end", [log_out, revoke])
@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "another-Secret-of-enough-bytes-77Qz1"),
        ({"iss": "https://evil.example.com"}, SECRET),
        ({"aud": "https://evil.example.com"}, SECRET),
        ({"exp": 1}, SECRET),
        ({"iat": None}, SECRET),
        ({"iat": 1e400}, SECRET),
        ({"iat": "soon"}, SECRET),
        ({"jti": None}, SECRET),
    ],
)
def test_other_faults_still_end_no_session(
    url: str, clock: Clock, end: object, changes: dict[str, object], key: str
) -> None:
    """A token with a wrong signature, issuer, audience or dates that contradict each other ends nothing."""
    with service_at(url, clock=clock, algorithm="HS256") as service:
        app, tokens = Identity(service), register(service)
        claims = jwt.decode(tokens.access_token, SECRET, ["HS256"], options={"verify_signature": False})
        forged = {name: value for name, value in (claims | changes).items() if value is not None}
        assert callable(end)
        end(app, jwt.encode(forged, key, "HS256"))
        assert me(app, tokens.access_token) == 200


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("end", [log_out, revoke])
def test_each_date_may_lie_ahead(url: str, clock: Clock, name: str, end: object) -> None:
    """A token that becomes valid later ends its session by any of its dates; it opens nothing."""
    with service_at(url, clock=clock, algorithm="HS256") as service:
        app, tokens = Identity(service), register(service)
        claims = jwt.decode(tokens.access_token, SECRET, ["HS256"], options={"verify_signature": False})
        later = jwt.encode(claims | {name: int(clock()) + 500}, SECRET, "HS256")
        assert me(app, later) == 401
        with pytest.raises(ExpiredTokenError):
            principal_of(service, later)
        assert callable(end)
        end(app, later)
        assert me(app, tokens.access_token) == 401
