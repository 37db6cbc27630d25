"""Several tabs with sign-ins at providers at the same time, and callbacks that are loaded again."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from authguard.identity import Identity
from authguard.identity.web.attempt_cookies import MAX_ATTEMPTS, MAX_BYTES
from identity.social_attempts import answering, back, both_kinds, id_token, start
from identity.support import ISSUER, Page, browser, service_at, set_cookies

pytestmark = pytest.mark.one_database  # cookies and redirects do not depend on the database


@pytest.fixture
def server():
    with answering() as server:
        yield server


@pytest.fixture
def providers(server, clock):
    with both_kinds(server, clock) as providers:
        yield providers


@pytest.fixture
def client(service, providers):
    return browser(Identity(service, providers=providers))


def attempts(client):
    """Return the names of the cookies of attempts that the browser has."""
    return sorted(name for name in client.cookies if "authguard-social-" in name)


@pytest.mark.parametrize("order", [1, -1])
def test_two_tabs(client, order):
    """Two tabs return in any order, and each is redirected to its own `next`."""
    tabs = [("/a", start(client, next="/a")), ("/b", start(client, next="/b"))]
    assert len(attempts(client)) == 2
    for target, sent in tabs[::order]:
        answer = back(client, code="c0de", state=sent["state"])
        assert (answer.status_code, answer.headers["location"]) == (303, target)
    assert attempts(client) == []
    assert client.get("/account").status_code == 200


@pytest.mark.slow
def test_two_tabs_at_two_providers(client, server, clock):
    """Two tabs at two providers each have their own nonce and verifier."""
    first, second = start(client, "github"), start(client, "op")
    id_token(server, clock, nonce=second["nonce"])
    assert back(client, "op", code="c0de", state=second["state"]).status_code == 303
    assert back(client, "github", code="c0de", state=first["state"]).status_code == 303


def test_one_tab_is_cancelled(client):
    """A sign-in that is cancelled in one tab does not prevent that of another tab."""
    first, second = start(client), start(client)
    assert back(client, error="access_denied", state=first["state"]).status_code == 303
    assert back(client, code="c0de", state=second["state"]).headers["location"] == "/"


def test_each_state_is_good_once(client):
    """The state of one tab is accepted once."""
    first, _ = start(client), start(client)
    assert back(client, code="c0de", state=first["state"]).status_code == 303
    client.cookies.delete("access_token")
    client.cookies.delete("refresh_token")
    assert back(client, code="c0de", state=first["state"]).status_code == 400


def test_attempts_are_bounded(client, clock):
    """A browser has a limited number of attempts, and a new one replaces the oldest."""
    sent = []
    for _ in range(MAX_ATTEMPTS + 2):
        sent.append(start(client))
        clock.go_on(1)
    assert len(attempts(client)) == MAX_ATTEMPTS
    statuses = [back(client, code="c0de", state=each["state"]).status_code for each in sent[:3]]
    assert statuses == [400, 400, 303]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_cookies_are_small(client, clock, count):
    """The cookies of all attempts together stay below a limit, also with long paths in `next`."""
    for _ in range(count):
        sent = start(client, next="/" + "x" * 2000)
        clock.go_on(1)
    sizes = [len(client.cookies[name]) for name in attempts(client)]
    assert sum(sizes) <= MAX_BYTES
    assert back(client, code="c0de", state=sent["state"]).headers["location"] == "/" + "x" * 2000


def test_many_planted_cookies(client):
    """Cookies of attempts that another site has planted are cleared, at most 20 at a time."""
    planted = "; ".join(f"authguard-social-{number:016x}=planted" for number in range(300))
    answer = client.get("/v1/auth/github/authorize", headers={"cookie": planted})
    assert answer.status_code == 303
    cleared = [value for value, _ in set_cookies(answer).values() if not value]
    assert 0 < len(cleared) <= 20


def test_names_of_cookies(service, providers, url, server):
    """Under https the cookie of an attempt has the prefix `__Host-`."""
    with service_at(url, issuer="https://id.example") as secure:
        for provider in providers:
            provider.redirect_uris |= {
                f"https://id.example{prefix}/auth/{provider.name}/callback" for prefix in ("/api/v1", "/v1")
            }
        there = browser(Identity(secure, providers=providers), origin="https://id.example")
        answer = there.get("/v1/auth/github/authorize")
    (name,) = set_cookies(answer)
    assert re.fullmatch(r"__Host-authguard-social-[0-9a-f]{16}", name)
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set_cookies(answer)[name][1]


def test_reloaded_callback(client):
    """A signed-in browser that loads the callback again is redirected to the account."""
    sent = start(client, next="/a")
    assert back(client, code="c0de", state=sent["state"]).status_code == 303
    before = dict(client.cookies)
    answer = back(client, code="c0de", state=sent["state"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert dict(client.cookies) == before


def test_reloaded_callback_with_an_expired_token(client, clock):
    """A callback that is loaded again refreshes an expired access token."""
    sent = start(client)
    back(client, code="c0de", state=sent["state"])
    clock.go_on(9 * 3_600)
    answer = back(client, code="c0de", state=sent["state"])
    assert answer.headers["location"] == "/account"
    assert "access_token" in set_cookies(answer)


def test_code_of_an_attacker_in_a_browser_that_is_signed_in(client, server):
    """A link with another user's code and state does not change the session of a signed-in browser."""
    sent = start(client)
    back(client, code="c0de", state=sent["state"])
    seen_before = len(server.seen)
    assert back(client, code="other", state="f" * 16 + "." + "A" * 43).headers["location"] == "/account"
    assert len(server.seen) == seen_before


@pytest.mark.parametrize(
    ("login", "location"),
    [
        ({}, {"notice": ["provider-cancelled"], "next": ["/"]}),
        ({"next": "/b?c=d"}, {"notice": ["provider-cancelled"], "next": ["/b?c=d"]}),
        ({"max_age": "60"}, {"notice": ["provider-cancelled"], "next": ["/"], "max_age": ["60"]}),
    ],
)
def test_cancelled(client, login, location):
    """A cancelled sign-in redirects to the login page with a notice, and keeps `next` and `max_age`."""
    sent = start(client, **login)
    answer = back(client, error="access_denied", state=sent["state"])
    parts = urlsplit(answer.headers["location"])
    assert (answer.status_code, parts.path, parse_qs(parts.query)) == (303, "/login", location)
    assert "was cancelled" in Page(client.get(answer.headers["location"])).words
    assert attempts(client) == []


def test_cancelled_by_who_is_signed_in(client):
    """A signed-in browser that cancels a sign-in sees the notice, and stays signed in."""
    back(client, code="c0de", state=start(client)["state"])
    answer = back(client, error="access_denied", state=start(client)["state"])
    words = Page(client.get(answer.headers["location"])).words
    assert "was cancelled" in words
    assert "You are signed in" in words


@pytest.mark.slow
def test_cancelled_without_pages(url, providers):
    """Without pages a cancelled sign-in gets a problem document."""
    with service_at(url, pages=False) as service:
        client = browser(Identity(service, providers=providers))
        sent = start(client)
        answer = back(client, error="access_denied", state=sent["state"])
    assert (answer.status_code, answer.json()["code"]) == (400, "social_sign_in")
    assert "cancelled" in answer.json()["detail"]


def test_cancelled_below_a_mount(service, providers):
    """In a mounted service a cancelled sign-in redirects below the path of the mount."""
    app = Identity(service, providers=providers)

    async def mounted(scope, receive, send):
        await app(scope | {"root_path": "/id", "path": "/id" + scope["path"]}, receive, send)

    client = browser(mounted)
    sent = start(client)
    answer = back(client, error="access_denied", state=sent["state"])
    assert answer.headers["location"].startswith("/id/login?")


@pytest.mark.parametrize(
    ("supported", "iss", "status"),
    [(True, "own", 303), (True, None, 400), (True, "https://evil.example", 400), (False, None, 303),
     ("true", None, 303), (False, "https://evil.example", 400)],
)  # fmt: skip
def test_issuer_of_the_answer(client, server, clock, supported, iss, status):
    """A provider whose metadata announce `iss` must send it in its answer (RFC 9207 section 2.4)."""
    metadata = server.answers["/.well-known/openid-configuration"][1]
    metadata["authorization_response_iss_parameter_supported"] = supported
    sent = start(client, "op")
    id_token(server, clock, nonce=sent["nonce"])
    query = {} if iss is None else {"iss": server.url if iss == "own" else iss}
    assert back(client, "op", code="c0de", state=sent["state"], **query).status_code == status


def test_states_are_of_one_service(client):
    """The cookie of an attempt is named by the beginning of its state, which has a long random rest."""
    sent = start(client)
    (name,) = attempts(client)
    assert name == f"authguard-social-{sent['state'][:16]}"
    assert len(sent["state"]) > 16 + 43 - 1
    assert sent["redirect_uri"] == f"{ISSUER}/v1/auth/github/callback"
