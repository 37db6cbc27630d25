"""A more recent sign-in at a provider: the request for one, and the proof by `auth_time`."""

import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from authguard._core.model import Credential
from authguard.identity import Identity
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from identity.fake_servers import AnsweringServer
from identity.support import ISSUER, Page, browser, set_cookies
from support import judge, jwk, make_token, rsa_key

pytestmark = pytest.mark.one_database  # redirects and claims do not depend on the database

OWN = [
    f"{ISSUER}{prefix}/auth/{name}/callback"
    for prefix in ("/api/v1", "/v1")
    for name in ("op", "github", "linkedin")
]
BEFORE = 3_600  # seconds since the sign-in at the provider, if it redirects without asking the user


@pytest.fixture
def server():
    running = AnsweringServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def providers(server, clock):
    """Return an OpenID provider, LinkedIn and GitHub, all of them at the server."""
    server.answers = {
        "/.well-known/openid-configuration": (200, {
            "issuer": server.url,
            "authorization_endpoint": server.url + "/authorize",
            "token_endpoint": server.url + "/token",
            "jwks_uri": server.url + "/jwks",
        }),
        "/jwks": (200, {"keys": [jwk(rsa_key(), kid="k1", use="sig", alg="RS256")]}),
        "/login/oauth/access_token": (200, {"access_token": "t"}),
        "/user": (200, {"id": 7, "login": "mona"}),
        "/user/emails": (200, [{"email": "mona@example.com", "primary": True, "verified": True}]),
    }  # fmt: skip
    linkedin = LinkedIn("id", "s3cret", redirect_uris=OWN, issuer=server.url)
    linkedin._clock = clock
    made = [
        OpenIDProvider("op", server.url, "id", "s3cret", redirect_uris=OWN, clock=clock),
        linkedin,
        GitHub("id", "s3cret", redirect_uris=OWN, url=server.url, api_url=server.url),
    ]
    yield made
    for provider in made:
        provider.close()


@pytest.fixture
def client(service, providers):
    return browser(Identity(service, providers=providers))


def sent(client, login, name="op"):
    """Return the query with which the link of the login page sends a browser to a provider."""
    link = next(each["href"] for each in Page(client.get(login)).all("a") if f"/auth/{name}/" in each["href"])
    location = client.get(link).headers["location"]
    return {key: value[0] for key, value in parse_qs(urlsplit(location).query).items()}


def come_back(client, server, clock, query, name="op", **claims):
    """Return from the provider, with these claims in the ID token."""
    token = {"iss": server.url, "aud": "id", "sub": "u1", "exp": clock() + 60, "iat": clock()}
    token |= {"email": "ann@example.com", "email_verified": True, "nonce": query.get("nonce")} | claims
    id_token = make_token(token, algorithm="RS256", key=rsa_key(), kid="k1")
    server.answers["/token"] = 200, {"access_token": "t", "token_type": "Bearer", "id_token": id_token}
    path = f"/api/v1/auth/{name}/callback"
    return client.get(path, params={"code": "c0de", "state": query["state"]})


def auth_time(service, client):
    """Return the `auth_time` of the session of this browser."""
    credential = Credential(client.cookies["access_token"], "bearer")
    return judge(service.own_tokens, credential, service.clock()).principal.claims.get("auth_time")


@pytest.mark.parametrize(("login", "max_age"), [
    ("/login?next=/bank&max_age=300", "300"),
    ("/login?max_age=0", "0"),
    ("/login?acr_values=phr", "0"),
    ("/login?acr_values=phr&max_age=60", "60"),
    ("/login?max_age=soon", "0"),
    ("/login?max_age=", "0"),
    ("/login?max_age=-5", "0"),
    ("/login?max_age=9999999999", "0"),
])  # fmt: skip
def test_provider_is_asked_for_a_sign_in(client, login, max_age):
    """If the login page has `max_age` or `acr_values`, the provider is asked for a new sign-in."""
    query = sent(client, login)
    assert (query["prompt"], query["max_age"]) == ("login", max_age)


@pytest.mark.parametrize("login", ["/login", "/login?next=/b", "/register", "/login?next=/b%3Fmax_age%3D5"])
def test_provider_may_be_silent_otherwise(client, login):
    """Otherwise the provider is not asked for a new sign-in, and only for its time."""
    query = sent(client, login)
    assert "prompt" not in query
    assert int(query["max_age"]) > 300 * 86_400


def test_github_knows_no_such_parameters(client):
    """GitHub, which has no such parameters, does not get them."""
    query = sent(client, "/login?max_age=300", "github")
    assert not {"prompt", "max_age"} & set(query)


@pytest.mark.slow
@pytest.mark.parametrize("ago", [0, 5, -20, 30])
def test_new_sign_in(client, server, clock, service, ago):
    """A sign-in after the redirect is accepted, and its time is the `auth_time` of the session."""
    query = sent(client, "/login?next=/bank&max_age=300")
    clock.go_on(10)
    done = come_back(client, server, clock, query, auth_time=int(clock()) - ago)
    assert (done.status_code, done.headers["location"]) == (303, "/bank")
    assert auth_time(service, client) == int(clock()) - max(ago, 0)


@pytest.mark.parametrize("login", ["/login?max_age=300", "/login?acr_values=phr", "/login?max_age=86400"])
@pytest.mark.parametrize("claims", [
    {}, {"auth_time": 0}, {"ago": BEFORE}, {"ago": 100}, {"ago": -3600}, {"auth_time": "now"},
    {"auth_time": None}, {"auth_time": True}, {"auth_time": -1}, {"auth_time": [1]},
])  # fmt: skip
def test_silent_redirect_is_none(client, server, clock, login, claims):
    """A sign-in whose time is old, missing or malformed begins no session."""
    query = sent(client, login)
    clock.go_on(10)
    if "ago" in claims:
        claims = {"auth_time": int(clock()) - claims["ago"]}
    answer = come_back(client, server, clock, query, **claims)
    assert answer.status_code in (400, 401)
    assert "access_token" not in set_cookies(answer)


def test_session_before_stays(client, server, clock, service):
    """If the provider shows no new sign-in, the browser keeps its session unchanged."""
    come_back(client, server, clock, sent(client, "/login"), auth_time=int(clock()))
    clock.go_on(400)
    query = sent(client, "/login?max_age=300")
    assert come_back(client, server, clock, query, auth_time=int(clock()) - 400).status_code == 401
    assert client.get("/account").status_code == 200
    assert auth_time(service, client) == int(clock()) - 400
    assert service.audit.counts()["social", "stale"] == 1


def test_page_says_how_to_go_on(client, server, clock):
    """The page of the refusal mentions the password."""
    answer = come_back(client, server, clock, sent(client, "/login?max_age=300"))
    assert "password" in Page(answer).words


@pytest.mark.parametrize("ago", [0, BEFORE, 30 * 86_400])
def test_leaving_the_parameter_out(client, server, clock, service, ago):
    """Without `max_age` the session has the time of the sign-in at the provider."""
    query = sent(client, "/login")
    assert come_back(client, server, clock, query, auth_time=int(clock()) - ago).status_code == 303
    assert auth_time(service, client) == int(clock()) - ago


@pytest.mark.parametrize("name", ["op", "linkedin", "github"])
def test_providers_that_do_not_say(client, server, clock, service, name):
    """A sign-in without a time begins a session without `auth_time`."""
    query = sent(client, "/login", name)
    assert come_back(client, server, clock, query, name).status_code == 303
    assert client.get("/account").status_code == 200
    assert auth_time(service, client) is None


@pytest.mark.parametrize("name", ["linkedin", "github"])
def test_providers_that_cannot_show_it(client, server, clock, name):
    """A provider that returns no time cannot prove a more recent sign-in."""
    query = sent(client, "/login?max_age=300", name)
    assert come_back(client, server, clock, query, name).status_code == 401


def test_refreshing_keeps_the_time(client, server, clock, service):
    """A refresh keeps the time of the sign-in."""
    before = int(clock()) - BEFORE
    come_back(client, server, clock, sent(client, "/login"), auth_time=before)
    clock.go_on(9 * 3600)
    assert client.get("/login").status_code == 200
    assert auth_time(service, client) == before


def test_api_says_it_as_well(client, server, clock, service):
    """A code that an application sends gives tokens with the time of the sign-in at the provider."""
    come_back(client, server, clock, sent(client, "/login"), auth_time=int(clock()) - 77)
    body = {"code": "c0de", "redirect_uri": OWN[0]}
    answer = browser(client.app).post("/v1/auth/op/callback", json=body)
    claims = judge(service.own_tokens, Credential(answer.json()["access_token"], "bearer"), clock()).principal
    assert claims.claims["auth_time"] == int(clock()) - 77
