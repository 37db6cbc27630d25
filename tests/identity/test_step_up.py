"""Recent sign-ins: the `auth_time` of the service's tokens, and guards that require it (RFC 9470)."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from authguard import Guard, Rule
from authguard._core.model import Credential
from authguard.asgi import AuthGuardMiddleware
from authguard.identity import Identity
from authguard.identity.model import SocialIdentity
from identity.support import ANN, CALLER, ISSUER, NOW, PASSWORD, Page, browser, set_cookies
from support import judge

pytestmark = pytest.mark.one_database  # redirects and claims do not depend on the database

CHALLENGE = (
    'Bearer realm="api", error="insufficient_user_authentication", '
    'error_description="Another or a more recent sign-in is required.", max_age="300"'
)
ACCOUNT = {"username": ANN["email"], "password": PASSWORD}


def auth_time(service, access_token):
    credential = Credential(access_token, "bearer")
    return judge(service.own_tokens, credential, service.clock()).principal.claims.get("auth_time")


@pytest.fixture
def site(service, app, clock):
    """Return an application with the service mounted in it, and a page that requires a recent sign-in."""
    guard = Guard(
        service.own_tokens,
        protected_paths=["/", Rule("/bank", max_age=300)],
        public_paths=["/id"],
        cookie=service.settings.access_cookie,
        login_path="/id/login",
    )

    async def page(request):
        return PlainTextResponse(request.user.subject)

    routes = [Mount("/id", app), Route("/bank", page), Route("/shop", page)]
    return AuthGuardMiddleware(Starlette(routes=routes), guard=guard, clock=clock)


def get(client, path, tokens):
    return client.get(path, headers={"Authorization": f"Bearer {tokens['access_token']}"})


def test_max_age_works_with_the_tokens_of_the_service(site, clock):
    """A login meets `max_age` of a guard, and a refresh of an older session does not."""
    client = browser(site, accept="application/json", **{"sec-fetch-mode": "cors"})
    assert client.post("/id/v1/auth/register", json=ANN).status_code == 201
    tokens = client.post("/id/v1/auth/login", json=ANN).json()
    assert get(client, "/bank", tokens).status_code == 200
    clock.go_on(301)
    assert get(client, "/bank", tokens).headers["www-authenticate"] == CHALLENGE
    body = {"refresh_token": tokens["refresh_token"]}
    refreshed = client.post("/id/v1/oauth/token", data={"grant_type": "refresh_token", **body}).json()
    answer = get(client, "/bank", refreshed)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert answer.json()["code"] == "insufficient_user_authentication"
    assert get(client, "/shop", refreshed).status_code == 200
    assert get(client, "/bank", client.post("/id/v1/auth/login", json=ANN).json()).status_code == 200


def test_a_browser_signs_in_anew_and_goes_on(site, clock):
    """A browser with an old sign-in is sent to the form for a new one, and back."""
    client = browser(site)
    client.post("/id/register", data=ANN)
    assert client.get("/bank").status_code == 200
    clock.go_on(301)
    sent = client.get("/bank")
    assert (sent.status_code, sent.headers["location"]) == (303, "/id/login?next=%2Fbank&max_age=300")
    page = Page(client.get(sent.headers["location"]))
    assert "To go on, please sign in again." in page.words
    assert page.field("email")["value"] == ANN["email"]
    assert page.field("next")["value"] == "/bank"
    done = client.post("/id/login", data=ANN | {"next": "/bank"})
    assert (done.status_code, done.headers["location"]) == (303, "/bank")
    assert client.get("/bank").status_code == 200


def test_the_form_keeps_a_session_that_it_has_refreshed(app, ann, clock):
    """The form for another sign-in refreshes an expired access token, and sets the new cookies."""
    clock.go_on(9 * 3600)
    response = ann.get("/login?acr_values=phr")
    assert response.status_code == 200
    assert Page(response).field("password")
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    assert ann.get("/account").status_code == 200


def test_who_is_signed_in_needs_no_form_otherwise(ann):
    """A signed-in browser sees no form for a password, unless `max_age` or `acr_values` asks for one."""
    for path in ("/login", "/register?max_age=300"):
        assert not [each for each in Page(ann.get(path)).all("input") if each.get("name") == "password"]


def test_a_registration_is_a_sign_in(service, clock):
    """A registration and a login each begin a session with the current `auth_time`."""
    tokens = service.accounts.register(ANN["email"], PASSWORD, "Ann", CALLER)
    assert auth_time(service, tokens.access_token) == NOW
    clock.go_on(100.5)
    later = service.accounts.login(ANN["email"], PASSWORD, CALLER)
    assert auth_time(service, later.access_token) == int(NOW + 100)


def test_a_refresh_keeps_the_time_of_the_sign_in(service, clock):
    """A refresh by the refresh token or by the access token keeps `auth_time`."""
    tokens = service.accounts.register(ANN["email"], PASSWORD, "Ann", CALLER)
    clock.go_on(3600)
    principal = judge(service.own_tokens, Credential(tokens.access_token, "bearer"), clock()).principal
    prolonged = service.sessions.prolong(principal, CALLER)
    refreshed = service.sessions.refresh(tokens.refresh_token, CALLER)
    assert [auth_time(service, each.access_token) for each in (prolonged, refreshed)] == [NOW, NOW]


def test_a_social_sign_in_is_one(service, clock):
    """A sign-in with a provider without `auth_time` has the current time."""
    identity = SocialIdentity("github", "7", "ann@example.com", email_verified=True, name="Ann", picture=None)
    service.sign_in_with(identity, CALLER)
    clock.go_on(60)
    assert auth_time(service, service.sign_in_with(identity, CALLER).access_token) == NOW + 60


@pytest.mark.slow
def test_the_password_grant_is_a_sign_in(service, clock):
    """The tokens of the password grant have `auth_time`, and so has their introspection."""
    service.accounts.register(ANN["email"], PASSWORD, "Ann", CALLER)
    client, secret = service.clients.create("robot", frozenset({"read"}))
    clock.go_on(60)
    with browser(Identity(service), origin=ISSUER) as web:
        form = {"grant_type": "password", **ACCOUNT}
        token = web.post("/v1/oauth/token", data=form).json()["access_token"]
        answer = web.post("/v1/oauth/introspect", data={"token": token}, auth=(client.id, secret)).json()
    assert auth_time(service, token) == answer["auth_time"] == NOW + 60


def test_a_client_that_acts_for_itself_has_not_signed_in(service):
    """The token of a client that acts for itself has no `auth_time`."""
    client, _ = service.clients.create("robot", frozenset({"read"}))
    token = service.clients.issue_token(client, None, CALLER)["access_token"]
    assert auth_time(service, token) is None
