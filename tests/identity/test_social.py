"""Sign-in with providers: an OpenID provider of another project, and a server in the form of GitHub."""

import json
import re
import secrets
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from authguard import ConfigurationError, VerificationUnavailableError
from authguard._core.encoding import sha256_base64url
from authguard.identity.app import Identity
from authguard.identity.errors import InvalidFieldsError, SocialSignInError
from authguard.identity.limits import DEFAULT_LIMITS, Limit
from authguard.identity.social.configured import providers_from
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from identity.fake_servers import AnsweringServer
from identity.support import SECRET, Clock, service_at, settings, upgrade
from ports import free_port
from support import b64, jwk, make_token, rsa_key

APP = "https://yourapp.com/callback"
ORIGIN = "http://127.0.0.1:8000"
VERIFIER = "v" * 43


@pytest.fixture
def server():
    """Run a server with set answers."""
    running = AnsweringServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def closing():
    """Return a function that keeps providers, which are closed after the test."""
    opened = []

    def keep(provider):
        opened.append(provider)
        return provider

    yield keep
    for provider in opened:
        provider.close()


# --- a server in the form of GitHub


@pytest.fixture
def github(server, closing):
    """Return GitHub, with the answers of its documentation."""
    server.answers = {
        "/login/oauth/access_token": (
            200,
            {"access_token": "gho_t0ken", "token_type": "bearer", "scope": "user:email"},
        ),
        "/user": (
            200,
            {
                "id": 583231,
                "login": "octocat",
                "name": "Mona",
                "email": None,
                "avatar_url": "https://avatars.test/u/1",
            },
        ),
        "/user/emails": (
            200,
            [
                {"email": "other@example.com", "primary": False, "verified": True, "visibility": None},
                {"email": "mona@example.com", "primary": True, "verified": True, "visibility": "private"},
            ],
        ),
    }
    own = f"{ORIGIN}/api/v1/auth/github/callback", f"{ORIGIN}/v1/auth/github/callback"
    return closing(GitHub("id", "s3cret", redirect_uris=[APP, *own], url=server.url, api_url=server.url))


def test_github_tells_who_it_is(github, server):
    """A code is exchanged for a token, and the token for the user with the primary address."""
    result = github.exchange("c0de", APP, code_verifier=VERIFIER)
    assert (result.provider, result.subject, result.email, result.email_verified) == (
        "github",
        "583231",
        "mona@example.com",
        True,
    )
    assert (result.name, result.picture) == ("Mona", "https://avatars.test/u/1")
    (_, _, form), *others = server.seen
    assert form == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": APP,
        "code_verifier": VERIFIER,
        "client_id": "id",
        "client_secret": "s3cret",
    }
    assert [headers["Authorization"] for _, headers, _ in others] == ["Bearer gho_t0ken"] * 2


def test_github_address_that_is_not_verified(github, server):
    """An address that GitHub has not verified is unverified."""
    server.answers["/user/emails"] = (
        200,
        [{"email": "mona@example.com", "primary": True, "verified": False}],
    )
    assert github.exchange("c0de", APP).email_verified is False


def test_github_without_a_primary_address(github, server):
    """Without a primary address no other address is used."""
    server.answers["/user/emails"] = (
        200,
        [{"email": "mona@example.com", "primary": False, "verified": True}],
    )
    result = github.exchange("c0de", APP)
    assert (result.email, result.email_verified) == (None, False)


def test_github_refuses_a_code(github, server):
    """GitHub's error about the code, which has status 200, is a refusal."""
    server.answers["/login/oauth/access_token"] = (
        200,
        {"error": "bad_verification_code", "error_description": "x"},
    )
    with pytest.raises(SocialSignInError) as caught:
        github.exchange("s3cret-c0de", APP)
    assert "s3cret" not in f"{caught.value!r}"


def test_github_does_not_know_us(github, server):
    """GitHub's error about the client secret is an outage."""
    server.answers["/login/oauth/access_token"] = (200, {"error": "incorrect_client_credentials"})
    with pytest.raises(VerificationUnavailableError):
        github.exchange("c0de", APP)


@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/user", "/user/emails"])
@pytest.mark.parametrize(
    "answer", [(500, {}), (302, {}), (200, b"<html>"), (200, {}), (403, {"message": "limit"})]
)
def test_github_is_down(github, server, path, answer):
    """An unexpected answer of GitHub is an outage at each step."""
    server.answers[path] = answer
    with pytest.raises(VerificationUnavailableError) as caught:
        github.exchange("s3cret-c0de", APP)
    assert "s3cret" not in f"{caught.value!r}"


def test_nobody_listens(closing):
    """A provider that cannot be reached is an outage."""
    provider = closing(GitHub("i", "s", redirect_uris=[APP], url="http://127.0.0.1:9", timeout=1))
    with pytest.raises(VerificationUnavailableError):
        provider.exchange("c0de", APP)


@pytest.mark.parametrize("uri", [APP + "/", "https://evil.example/callback", APP + "?x", "", APP.upper()])
def test_redirect_uri_is_compared_exactly(github, server, uri):
    """A redirect_uri that was not configured is refused without a request."""
    with pytest.raises(InvalidFieldsError):
        github.exchange("c0de", uri)
    with pytest.raises(InvalidFieldsError):
        github.authorize_url(state="s", redirect_uri=uri)
    assert server.seen == []


def test_authorize_url(github):
    """The URL of the provider has its parameters, and PKCE by S256."""
    url = urlsplit(github.authorize_url(state="st", redirect_uri=APP, nonce="no", code_challenge="ch"))
    assert (url.path, parse_qs(url.query)) == (
        "/login/oauth/authorize",
        {
            "response_type": ["code"],
            "client_id": ["id"],
            "redirect_uri": [APP],
            "scope": ["read:user user:email"],
            "state": ["st"],
            "code_challenge": ["ch"],
            "code_challenge_method": ["S256"],
        },
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: GitHub("", "s", redirect_uris=[APP]),
        lambda: GitHub("i", "", redirect_uris=[APP]),
        lambda: GitHub("i", "s", redirect_uris=APP),
        lambda: GitHub("i", "s", redirect_uris=["http://yourapp.com/callback"]),
        lambda: GitHub("i", "s", redirect_uris=[APP], url="http://github.test"),
        lambda: OpenIDProvider("A/b", "https://op.test", "i", "s", redirect_uris=[APP]),
        lambda: OpenIDProvider("op", "http://op.test", "i", "s", redirect_uris=[APP]),
    ],
    ids=["id", "secret", "text", "plain callback", "plain url", "name", "plain issuer"],
)
def test_providers_are_checked_when_built(make):
    """A provider without an id or a secret, or with plain http, is refused when it is built."""
    with pytest.raises(ConfigurationError):
        make()


def test_reprs_hold_no_secret(github):
    """The client secret is not in the repr."""
    assert repr(github) == "GitHub('github')"


# --- an OpenID provider of the tests, for wrong answers


@pytest.fixture
def openid(server, closing):
    """Return a function that makes a provider with these claims and this key in its ID token."""
    now = Clock()

    def make(claims=None, *, key=None, algorithm="RS256", cls=OpenIDProvider, header=None, **answers):
        good = {
            "iss": server.url,
            "aud": "id",
            "sub": "u1",
            "exp": now() + 60,
            "iat": now(),
            "nonce": "n0nce",
        }
        good |= {"email": "ann@example.com", "email_verified": True}
        body = {name: value for name, value in {**good, **(claims or {})}.items() if value is not ...}
        id_token = make_token(body, algorithm=algorithm, key=key or rsa_key(), **(header or {"kid": "k1"}))
        server.answers = {
            "/.well-known/openid-configuration": (
                200,
                {
                    "issuer": server.url,
                    "authorization_endpoint": server.url + "/authorize",
                    "token_endpoint": server.url + "/token",
                    "jwks_uri": server.url + "/jwks",
                    "userinfo_endpoint": server.url + "/userinfo",
                },
            ),
            "/jwks": (200, {"keys": [jwk(rsa_key(), kid="k1", use="sig", alg="RS256")]}),
            "/token": (200, {"access_token": "at", "token_type": "Bearer", "id_token": id_token}),
            **{"/" + name.replace("__", "/"): answer for name, answer in answers.items()},
        }
        provider = cls("op", server.url, "id", "s3cret", redirect_uris=[APP], clock=now)
        provider.now = now
        return closing(provider)

    return make


def test_good_id_token(openid):
    """A valid ID token gives the identity of the user."""
    result = openid().exchange("c0de", APP, nonce="n0nce")
    assert (result.provider, result.subject, result.email, result.email_verified) == (
        "op",
        "u1",
        "ann@example.com",
        True,
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"iss": ...},
        {"aud": "other"},
        {"aud": ["id", "other"]},
        {"aud": ["id", "other"], "azp": "other"},
        {"azp": "other"},
        {"aud": ...},
        {"exp": 1},
        {"exp": ...},
        {"exp": "9999999999"},
        {"exp": True},
        {"iat": ...},
        {"iat": 9_999_999_999},
        {"nonce": "other"},
        {"nonce": ...},
        {"nonce": 7},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
    ],
)
def test_id_token_that_does_not_hold(openid, claims):
    """An ID token with a wrong or missing claim is refused (OpenID Connect Core section 3.1.3.7)."""
    with pytest.raises(SocialSignInError):
        openid(claims).exchange("c0de", APP, nonce="n0nce")


@pytest.mark.parametrize(
    "signed",
    [
        {"algorithm": "none"},
        {"algorithm": "HS256", "key": "s3cret"},
        {"key": rsa_key(3072)},
        {"algorithm": "HS256", "key": b64(b"x" * 40)},
    ],
    ids=["none", "client secret", "other key", "some secret"],
)
def test_id_token_of_somebody_else(openid, signed):
    """An ID token is verified by the provider's own keys, and by asymmetric algorithms only."""
    with pytest.raises(SocialSignInError):
        openid(**signed).exchange("c0de", APP, nonce="n0nce")


@pytest.mark.parametrize("token", [{"access_token": "at"}, {"access_token": "at", "id_token": 7}])
def test_missing_id_token(openid, token):
    """A response without an ID token is refused."""
    with pytest.raises(SocialSignInError):
        openid(token=(200, token)).exchange("c0de", APP, nonce="n0nce")


@pytest.mark.parametrize("verified", [1, "false", "True", "TRUE", "yes", "", " true", ["true"], None, ...])
def test_address_is_verified_by_true_only(openid, verified):
    """A value of `email_verified` other than true leaves the address unverified."""
    assert openid({"email_verified": verified}).exchange("c0de", APP, nonce="n0nce").email_verified is False


def test_address_is_verified_by_the_text_true(openid):
    """The text true of `email_verified` is accepted, which Apple and Amazon Cognito send."""
    assert openid({"email_verified": "true"}).exchange("c0de", APP, nonce="n0nce").email_verified is True


def test_userinfo_is_asked_for_the_address(openid):
    """An ID token without an address is completed by userinfo."""
    info = {"sub": "u1", "email": "bob@example.com", "email_verified": True, "picture": "javascript:x"}
    result = openid({"email": ...}, userinfo=(200, info)).exchange("c0de", APP, nonce="n0nce")
    assert (result.email, result.email_verified, result.picture) == ("bob@example.com", True, None)


def test_userinfo_about_somebody_else(openid):
    """Userinfo about another subject is refused (OpenID Connect Core section 5.3.2)."""
    with pytest.raises(SocialSignInError):
        openid({"email": ...}, userinfo=(200, {"sub": "u2", "email": "x@y.z"})).exchange(
            "c0de", APP, nonce="n0nce"
        )


def test_new_key_is_found(openid, server):
    """A new key of the provider is fetched at its first token."""
    provider = openid()
    provider.exchange("c0de", APP, nonce="n0nce")
    claims = {"iss": server.url, "aud": "id", "sub": "u1", "nonce": "n0nce", "email": "a@b.c"}
    claims |= {"exp": provider.now() + 600, "iat": provider.now()}
    new = make_token(claims, algorithm="RS256", key=rsa_key(3072), kid="k2")
    server.answers["/token"] = (200, {"access_token": "at", "id_token": new})
    server.answers["/jwks"] = (200, {"keys": [jwk(rsa_key(3072), kid="k2")]})
    assert provider.exchange("c0de", APP, nonce="n0nce").subject == "u1"
    assert [path for path, _, _ in server.seen].count("/jwks") == 2


@pytest.mark.parametrize(
    "answers",
    [
        {"jwks": (500, {})},
        {"jwks": (200, {})},
        {"jwks": (200, [])},
        {"jwks": (200, {"keys": []})},
        {"token": (500, {})},
        {"token": (200, b"x")},
        {".well-known__openid-configuration": (500, {})},
        {".well-known__openid-configuration": (200, [])},
        {".well-known__openid-configuration": (200, {"issuer": "https://evil.example"})},
    ],
)
def test_openid_provider_is_down(openid, answers):
    """An unexpected answer of an OpenID provider is an outage."""
    with pytest.raises(VerificationUnavailableError):
        openid(**answers).exchange("c0de", APP, nonce="n0nce")


@pytest.mark.parametrize("endpoint", [None, 7, "http://evil.example/token", "ftp://x"])
def test_endpoints_are_secure(openid, server, endpoint):
    """A token endpoint that is missing or not https is an outage."""
    provider = openid()
    server.answers["/.well-known/openid-configuration"][1]["token_endpoint"] = endpoint
    with pytest.raises(VerificationUnavailableError):
        provider.exchange("c0de", APP, nonce="n0nce")


@pytest.mark.parametrize("endpoint", ["authorization", "token", "userinfo", "jwks"])
@pytest.mark.parametrize(
    "host",
    [
        "https://10.0.0.1/x",
        "http://localhost:8000/x",
        "https://127.1/x",
        "https://[::ffff:169.254.169.254]/x",
    ],
)
def test_endpoints_lead_nowhere_inside(openid, server, endpoint, host):
    """An endpoint in a private network is an outage, and the error names the option."""
    name = {"jwks": "jwks_uri"}.get(endpoint, f"{endpoint}_endpoint")
    provider = openid({"email": ...})
    server.answers["/.well-known/openid-configuration"][1][name] = host
    with pytest.raises(VerificationUnavailableError, match=f"{name}.*allow_private=True of OpenIDProvider"):
        if endpoint == "authorization":
            provider.authorize_url(state="s", redirect_uri=APP)
        provider.exchange("c0de", APP, nonce="n0nce")


def test_endpoints_may_be_public_or_allowed(openid, server, closing):
    """An endpoint may be at another public host, or at a private one with `allow_private`."""
    provider = openid()
    metadata = server.answers["/.well-known/openid-configuration"][1]
    metadata["authorization_endpoint"] = "https://accounts.example.com/authorize"
    assert provider.authorize_url(state="s", redirect_uri=APP).startswith("https://accounts.example.com/")
    metadata["token_endpoint"] = server.url.replace("127.0.0.1", "localhost") + "/token"
    allowed = OpenIDProvider(
        "op", server.url, "id", "s3cret", redirect_uris=[APP], allow_private=True, clock=provider.now
    )
    assert closing(allowed).exchange("c0de", APP, nonce="n0nce").subject == "u1"
    with pytest.raises(ConfigurationError, match="allow_private must be True or False"):
        OpenIDProvider("op", server.url, "id", "s3cret", redirect_uris=[APP], allow_private="yes")


def test_cookies_of_a_provider_are_not_kept(openid, github, server):
    """A cookie that a provider sets is not sent back."""
    for _ in range(2):
        github.exchange("c0de", APP)
    provider = openid()
    for _ in range(2):
        provider.exchange("c0de", APP, nonce="n0nce")
    assert len(server.seen) > 8
    assert not [fields for _, fields, _ in server.seen if "Cookie" in fields]


def test_linkedin_may_leave_the_nonce_out(openid, closing, server):
    """A token of LinkedIn may lack the nonce, but a wrong nonce is refused."""
    for nonce, holds in ((..., True), ("other", False)):
        openid({"nonce": nonce, "exp": int(time.time()) + 60, "iat": int(time.time())})
        provider = closing(LinkedIn("id", "s3cret", redirect_uris=[APP], issuer=server.url))
        if holds:
            assert provider.exchange("c0de", APP, nonce="n0nce").provider == "linkedin"
        else:
            with pytest.raises(SocialSignInError):
                provider.exchange("c0de", APP, nonce="n0nce")


# --- over HTTP


@pytest.mark.slow
def test_a_provider_that_leads_inside_is_an_outage_that_is_seen(make_app, openid, server, caplog):
    """A provider with a private endpoint is 503, and the log names the option."""
    provider = openid()
    provider.redirect_uris |= {f"{ORIGIN}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")}
    server.answers["/.well-known/openid-configuration"][1]["authorization_endpoint"] = "https://10.0.0.1/x"
    assert make_app([provider]).get("/api/v1/auth/op/authorize").status_code == 503
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "oidc_allow_private" in "".join(warnings)


@pytest.fixture
def make_app(tmp_path):
    """Return a function that makes a client of the service with some providers."""
    opened = []

    def make(providers, **given):
        url = f"sqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
        upgrade(url)
        context = service_at(url, **given)
        service = context.__enter__()
        client = TestClient(Identity(service, providers=providers), base_url=ORIGIN, follow_redirects=False)
        client.service = service
        opened.append((context, client))
        return client

    yield make
    for context, client in opened:
        client.close()
        context.__exit__(None, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["/api/v1", "/v1"])
def test_code_is_handed_in(make_app, github, prefix):
    """The documents' request with a code gets the documented fields, with a valid token."""
    client = make_app([github])
    response = client.post(f"{prefix}/auth/github/callback", json={"code": "c0de", "redirect_uri": APP})
    body = response.json()
    assert response.status_code == 200, body
    assert set(body) == {"access_token", "token_type", "expires_in", "user"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 28800)
    assert set(body["user"]) == {"id", "email", "name", "avatar_url"}
    me = client.get(f"{prefix}/users/me", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert me.json()["email"] == "mona@example.com"


@pytest.mark.slow
def test_code_is_handed_in_for_a_refresh_token(make_app, github):
    """With `social_refresh_tokens` the answer also has a refresh token of the same session."""
    client = make_app([github], social_refresh_tokens=True)
    body = client.post("/v1/auth/github/callback", json={"code": "c0de", "redirect_uri": APP}).json()
    assert set(body) == {"access_token", "token_type", "expires_in", "user", "refresh_token"}
    answer = client.post("/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})
    assert answer.status_code == 200
    fields = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert len(client.get("/v1/users/me/sessions", headers=fields).json()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": "c0de"}, 422),
        ({"redirect_uri": APP}, 422),
        ({"code": "c0de", "redirect_uri": "https://evil.example"}, 422),
        ({"code": "c0de", "redirect_uri": APP, "code_verifier": "short"}, 422),
    ],
)
def test_body_is_checked(make_app, github, body, status):
    """A body without a field, or with an unknown redirect_uri, is 422."""
    assert make_app([github]).post("/v1/auth/github/callback", json=body).status_code == status


@pytest.mark.slow
def test_wrong_codes_are_limited(make_app, github, server):
    """A refused code is 400, and beyond the limit 429 without a request to the provider."""
    server.answers["/login/oauth/access_token"] = (200, {"error": "bad_verification_code"})
    client = make_app([github], limits={**DEFAULT_LIMITS, "secret_address": Limit(2, 86_400)})
    body = {"code": "c0de", "redirect_uri": APP}
    statuses = [client.post("/v1/auth/github/callback", json=body).status_code for _ in range(3)]
    assert (statuses, len(server.seen)) == ([400, 400, 429], 2)


@pytest.mark.slow
def test_provider_that_is_down_is_503(make_app, github, server):
    """An outage of the provider is 503 with Retry-After."""
    server.answers["/user"] = (500, {})
    response = make_app([github]).post("/v1/auth/github/callback", json={"code": "c", "redirect_uri": APP})
    assert (response.status_code, "retry-after" in response.headers) == (503, True)


@pytest.mark.parametrize("path", ["/v1/auth/gitlab/callback", "/v1/auth/gitlab/authorize"])
def test_unknown_provider(make_app, github, path):
    """A provider that is not configured has no endpoints."""
    assert make_app([github]).get(path).status_code in (401, 404)


def _start(client, path="/api/v1/auth/github/authorize", **query):
    response = client.get(path, params=query)
    assert response.status_code == 303, response.text
    return response, {
        name: value[0] for name, value in parse_qs(urlsplit(response.headers["location"]).query).items()
    }


@pytest.mark.slow
def test_browser_flow_with_github(make_app, github, server):
    """A browser is redirected with a state and PKCE, returns, and is signed in by a cookie."""
    client = make_app([github])
    response, sent = _start(client, next="/dashboard?tab=1")
    assert sent["redirect_uri"] == f"{ORIGIN}/api/v1/auth/github/callback"
    assert sent["code_challenge_method"] == "S256"
    cookie = response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    assert sent["state"] not in cookie
    back = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
    assert (back.status_code, back.headers["location"]) == (303, "/dashboard?tab=1")
    assert (back.headers["cache-control"], back.headers["referrer-policy"]) == ("no-store", "no-referrer")
    verifier = server.seen[0][2]["code_verifier"]
    assert sha256_base64url(verifier) == sent["code_challenge"]
    assert client.get("/api/v1/users/me").json()["email"] == "mona@example.com"
    assert not [name for name in client.cookies if name.startswith("authguard-social")]


@pytest.mark.slow
def test_browser_flow_under_https(make_app, github, server, closing):
    """Under https the cookie is `__Host-` and Secure, and signs the browser in."""
    origin = "https://id.example"
    callbacks = [f"{origin}{prefix}/auth/github/callback" for prefix in ("/api/v1", "/v1")]
    provider = closing(GitHub("id", "s3cret", redirect_uris=callbacks, url=server.url, api_url=server.url))
    client = make_app([provider], issuer=origin)
    client.base_url = origin
    _, sent = _start(client)
    back = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
    signed_in = back.headers.get_list("set-cookie")[0]
    assert signed_in.startswith("__Host-access_token=")
    assert "Secure" in signed_in.split("; ")
    assert client.get("/api/v1/users/me").json()["email"] == "mona@example.com"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "x" * 5000])
def test_next_stays_on_this_site(make_app, github, target):
    """A `next` of another site is replaced by the root."""
    client = make_app([github])
    _, sent = _start(client, next=target)
    back = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
    assert back.headers["location"] == "/"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda query: {"state": query["state"]},
        lambda query: query | {"code": ["a", "b"]},
        lambda query: {"state": query["state"], "error": "login_required", "error_description": "<script>"},
    ],
    ids=["no code", "two codes", "error"],
)
def test_browser_that_comes_back_without_a_code(make_app, github, server, change):
    """A browser that returns without one code gets 400, and its state is used up."""
    client = make_app([github])
    _, sent = _start(client)
    query = {"code": "c0de", "state": sent["state"]}
    response = client.get("/api/v1/auth/github/callback", params=change(query))
    assert response.status_code == 400
    assert "<script>" not in response.text
    assert client.get("/api/v1/auth/github/callback", params=query).status_code == 400
    assert server.seen == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda query: query | {"state": "other"},
        lambda query: query | {"state": query["state"][:-1] + ("A" if query["state"][-1] != "A" else "E")},
        lambda query: query | {"state": query["state"][:16]},
        lambda query: query | {"state": [query["state"], query["state"]]},
        lambda query: query | {"state": ""},
        lambda query: {"code": "c0de"},
    ],
    ids=["other state", "another end", "beginning", "two states", "empty state", "no state"],
)
def test_browser_that_was_not_sent_there(make_app, github, server, change):
    """A browser that returns without its state gets 400, and its attempt remains valid."""
    client = make_app([github])
    _, sent = _start(client)
    query = {"code": "c0de", "state": sent["state"]}
    assert client.get("/api/v1/auth/github/callback", params=change(query)).status_code == 400
    assert server.seen == []
    assert client.get("/api/v1/auth/github/callback", params=query).status_code == 303


@pytest.mark.slow
def test_another_browser_cannot_come_back(make_app, github, server):
    """Another browser with the code and the state gets 400."""
    client = make_app([github])
    _, sent = _start(client)
    client.cookies.clear()
    response = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
    assert (response.status_code, server.seen) == (400, [])


@pytest.mark.slow
@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1f", "\u2003".encode().decode("latin-1"), "x"])
def test_a_cookie_of_a_name_that_is_only_alike_is_not_read(make_app, github, server, space):
    """A cookie whose name has a space or another prefix is not read."""
    client = make_app([github])
    _, sent = _start(client)
    name, planted = next(iter(client.cookies.items()))
    client.cookies.clear()
    back = client.get(
        "/api/v1/auth/github/callback",
        params={"code": "c0de", "state": sent["state"]},
        headers=[(b"cookie", f"{space}{name}={planted}".encode("latin-1"))],
    )
    assert back.status_code == 400
    assert server.seen == []


@pytest.mark.slow
def test_two_cookies_with_a_state_are_none(make_app, github, server):
    """Two cookies with the state are refused."""
    client = make_app([github])
    _, sent = _start(client)
    cookie = "=".join(next(iter(client.cookies.items())))
    client.cookies.clear()
    back = client.get(
        "/api/v1/auth/github/callback",
        params={"code": "c0de", "state": sent["state"]},
        headers=[(b"cookie", f"{cookie}; {cookie}".encode())],
    )
    assert back.status_code == 400
    assert server.seen == []


@pytest.mark.slow
@pytest.mark.parametrize("query", ["code=c0de-s3cret&state=st4te-s3cret", "error=x&state=st4te-s3cret"])
def test_the_query_of_a_callback_is_in_no_access_log(make_app, github, query):
    """The query of a callback is removed from the scope, so that no access log has it."""
    client = make_app([github])
    scopes = []

    async def server(scope, receive, send):
        scopes.append(scope)
        await client.app(scope, receive, send)

    outer = TestClient(server, base_url=ORIGIN, follow_redirects=False)
    for method, status in (("GET", 400), ("HEAD", 405)):
        assert outer.request(method, f"/api/v1/auth/github/callback?{query}").status_code == status
    assert [scope["query_string"] for scope in scopes if scope["type"] == "http"] == [b"", b""]


@pytest.mark.slow
def test_state_lasts_ten_minutes(make_app, github, server):
    """A state is refused after ten minutes."""
    clock = Clock()
    client = make_app([github], clock=clock)
    _, sent = _start(client)
    clock.go_on(601)
    response = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
    assert (response.status_code, server.seen) == (400, [])


@pytest.mark.slow
def test_change_of_the_secret_disturbs_nobody_on_the_way(make_app, github):
    """A state of the previous secret is accepted only while that secret is set."""
    _, sent = _start(before := make_app([github]))
    for given, status in (({}, 400), ({"previous_secret": SECRET}, 303)):
        client = make_app([github], secret=SECRET[::-1], **given)
        client.cookies.update(before.cookies)
        response = client.get("/api/v1/auth/github/callback", params={"code": "c0de", "state": sent["state"]})
        assert response.status_code == status


@pytest.mark.slow
def test_forged_cookie_is_refused(make_app, github):
    """A cookie that this service did not seal is refused."""
    client = make_app([github])
    _, sent = _start(client)
    (name,) = client.cookies
    client.cookies.set(name, "gAAAA-forged")
    query = {"code": "c", "state": sent["state"]}
    assert client.get("/api/v1/auth/github/callback", params=query).status_code == 400


@pytest.mark.slow
def test_state_is_for_one_provider(make_app, github, openid, server):
    """A state of one provider, or the `iss` of another, is refused (RFC 9700 section 4.4)."""
    other = openid()
    server.answers["/login/oauth/access_token"] = (500, {})
    own = f"{ORIGIN}/api/v1/auth/op/callback", f"{ORIGIN}/v1/auth/op/callback"
    other.redirect_uris = frozenset(own)
    client = make_app([github, other])
    _, sent = _start(client)
    assert (
        client.get("/api/v1/auth/op/callback", params={"code": "c", "state": sent["state"]}).status_code
        == 400
    )
    _, sent = _start(client, "/api/v1/auth/op/authorize")
    query = {"code": "c", "state": sent["state"], "iss": "https://evil.example"}
    assert client.get("/api/v1/auth/op/callback", params=query).status_code == 400
    assert not any(path in ("/token", "/login/oauth/access_token") for path, _, _ in server.seen)


@pytest.mark.slow
def test_own_callback_has_to_be_allowed(make_app, server, closing):
    """A provider without the service's callback is refused."""
    with pytest.raises(ConfigurationError, match="redirect_uris"):
        make_app([closing(GitHub("i", "s", redirect_uris=[APP], url=server.url))])


def test_providers_of_the_settings(closing):
    """A client id in the settings enables a provider, with the callbacks of service and settings."""
    assert providers_from(settings("sqlite:///x.db")) == []
    result = providers_from(
        settings(
            "sqlite:///x.db",
            github_client_id="i",
            github_client_secret="s",
            linkedin_client_id="i",
            linkedin_client_secret="s",
            oidc_issuer="https://op.example",
            oidc_client_id="i",
            oidc_client_secret="s",
            oidc_allow_private=True,
            redirect_uris=[APP],
        )
    )
    assert [closing(provider).name for provider in result] == ["github", "linkedin", "oidc"]
    assert {APP, f"{ORIGIN}/v1/auth/oidc/callback"} <= result[2].redirect_uris
    assert "'s'" not in repr(settings("sqlite:///x.db", github_client_secret="s"))


# --- an OpenID provider of another project


@pytest.fixture(scope="module")
def real_issuer():
    """Run oidc-provider-mock in a process of its own, and return its issuer."""
    port = free_port()
    user = json.dumps({"sub": "alice", "email": "alice@example.com", "email_verified": True, "name": "Alice"})
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    process = subprocess.Popen(
        [*command, "--user-claims", user], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    issuer = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1_000):
            assert process.poll() is None
            try:
                httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield issuer
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_whole_flow_at_a_real_provider(make_app, closing, real_issuer):
    """A user signs in at the provider's own page, returns, and has an account."""
    own = [f"{ORIGIN}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")]
    provider = closing(OpenIDProvider("op", real_issuer, "client", "s3cret", redirect_uris=own))
    client = make_app([provider], clock=time.time)
    response, _ = _start(client, "/api/v1/auth/op/authorize", next="/account")
    location = response.headers["location"]
    page = httpx.get(location)
    assert re.search("alice", page.text)
    back = httpx.post(location, data={"sub": "alice"})
    assert back.headers["location"].startswith(own[0])
    done = client.get(back.headers["location"])
    assert (done.status_code, done.headers["location"]) == (303, "/account"), done.text
    me = client.get("/api/v1/users/me").json()
    assert (me["email"], me["email_verified"], me["name"]) == ("alice@example.com", True, "Alice")
    # The provider accepts the code once, and this service accepts the state once.
    client.cookies.clear()
    assert client.get(back.headers["location"]).status_code == 400


@pytest.mark.slow
def test_denied_at_a_real_provider(make_app, closing, real_issuer):
    """A user who denies the sign-in at the provider gets the login page with a notice."""
    own = [f"{ORIGIN}{prefix}/auth/op/callback" for prefix in ("/api/v1", "/v1")]
    provider = closing(OpenIDProvider("op", real_issuer, "client", "s3cret", redirect_uris=own))
    client = make_app([provider], clock=time.time)
    response, _ = _start(client, "/api/v1/auth/op/authorize")
    back = httpx.post(response.headers["location"], data={"action": "deny"})
    assert "error=access_denied" in back.headers["location"]
    done = client.get(back.headers["location"])
    assert done.headers["location"] == "/login?notice=provider-cancelled&next=%2F"
    assert "was cancelled" in client.get(done.headers["location"]).text
