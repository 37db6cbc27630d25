"""Requests from pages on another origin: which are allowed, and which answers a page can read."""

import pytest
from starlette.testclient import TestClient

from authguard.errors import ConfigurationError
from authguard.identity import Identity, Settings
from authguard.identity.limits import DEFAULT_LIMITS
from identity.support import ANN, SECRET, browser, service_at

pytestmark = pytest.mark.one_database

PAGE, STRANGER = "https://app.example.com", "https://evil.example"
GOOD = {"secret": SECRET, "issuer": "https://auth.example.com"}
PREFLIGHT = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


@pytest.fixture
def client(url):
    with service_at(url, cors_origins=[PAGE], limits=DEFAULT_LIMITS) as service:
        yield TestClient(Identity(service), headers={"origin": PAGE})


def is_readable(response):
    """Return whether a page of the origin may read the answer, and whether it varies by Origin."""
    fields = response.headers
    return fields.get("access-control-allow-origin") == PAGE and "origin" in fields["vary"].lower()


def test_preflight(client):
    """A preflight of a listed origin allows a token, JSON, and the methods of the API."""
    response = client.options("/v1/users/me", headers=PREFLIGHT)
    assert response.status_code == 200 and is_readable(response)
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    assert {"GET", "POST", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))


def test_preflight_of_a_stranger(client):
    """A preflight of an origin that is not listed is refused."""
    response = client.options("/v1/users/me", headers=PREFLIGHT | {"origin": STRANGER})
    assert response.status_code == 400
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "given"),
    [
        ("POST", "/v1/auth/register", 201, {"json": ANN}),
        ("POST", "/v1/auth/verify-email", 400, {"json": {"token": "x"}}),
        ("GET", "/v1/users/me", 401, {}),
        (
            "GET",
            "/v1/users/me",
            400,
            {"headers": [("authorization", "Bearer x"), ("authorization", "Bearer y")]},
        ),
        ("GET", "/v1/users/me/sessions", 403, {"headers": {"x-api-key": "sk_live_x"}}),
        ("GET", "/nothing", 404, {}),
        ("GET", "/v1/auth/login", 405, {}),
        ("POST", "/v1/auth/login", 415, {"content": "x"}),
        ("POST", "/v1/auth/login", 422, {"json": {}}),
        ("POST", "/v1/oauth/token", 400, {"data": {"grant_type": "x"}}),
    ],
)
def test_refusals_can_be_read(client, method, path, status, given):
    """A page of a listed origin can read the status and body of each refusal."""
    response = client.request(method, path, **given)
    assert response.status_code == status
    assert is_readable(response)


def test_limits_can_be_read(client):
    """A page of a listed origin can read a 429 and its Retry-After."""
    answers = [client.post("/v1/auth/login", json=ANN) for _ in range(11)]
    assert answers[-1].status_code == 429 and is_readable(answers[-1])
    exposed = answers[-1].headers["access-control-expose-headers"].lower().split(", ")
    assert {"retry-after", "ratelimit", "ratelimit-policy", "www-authenticate"} <= set(exposed)


def test_outages_can_be_read(url):
    """A page of a listed origin can read a 503 while the database is down."""
    with service_at(url, cors_origins=[PAGE]) as service:
        client = TestClient(Identity(service), headers={"origin": PAGE})
        with service.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE users RENAME TO users_away")
        try:
            response = client.post("/v1/auth/login", json=ANN)
        finally:
            with service.database.write() as connection:
                connection.exec_driver_sql("ALTER TABLE users_away RENAME TO users")
    assert response.status_code == 503 and is_readable(response)


def test_no_cookies(client):
    """No answer allows credentials, so that a page of another origin cannot use the cookie."""
    for response in (client.options("/v1/users/me", headers=PREFLIGHT), client.get("/v1/users/me")):
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.slow
def test_pages_are_for_no_other_origin(client):
    """Pages of the service cannot be read from another origin."""
    assert "access-control-allow-origin" not in client.get("/login").headers


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"])
def test_documents_are_for_every_origin(app, path):
    """Key set and metadata can be read from each origin, also without the setting."""
    client = TestClient(app, headers={"origin": STRANGER})
    assert client.get(path).headers["access-control-allow-origin"] == "*"
    headers = PREFLIGHT | {"access-control-request-headers": "mcp-protocol-version"}
    preflight = client.options(path, headers=headers)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, "*")


def test_without_the_setting_no_page_reads_the_api(app):
    """Without the setting, no page of another origin can read the API."""
    response = TestClient(app, headers={"origin": PAGE}).get("/v1/users/me")
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("*", "name each origin"),
        ("null", "name each origin"),
        ("https://App.example.com", "write https://app.example.com"),
        ("https://app.example.com/", "write https://app.example.com"),
        ("https://app.example.com:443", "write https://app.example.com"),
        ("http://app.example.com", "plain http"),
        ("https://*.example.com", "must be an origin"),
        ("https://user@app.example.com", "must be an origin"),
        ("app.example.com", "must be an origin"),
        ("https://app.example.com:x", "must be an origin"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin, advice):
    """An origin in a form that browsers do not send is refused with advice."""
    with pytest.raises(ConfigurationError, match="cors_origins") as refused:
        Settings(**GOOD, cors_origins=[origin])
    assert advice in str(refused.value)


def test_origins_of_variables():
    """Origins in a variable are separated by commas, and localhost may have plain http."""
    environment = {f"AUTHGUARD_{name.upper()}": value for name, value in GOOD.items()}
    result = Settings.from_env(environment | {"AUTHGUARD_CORS_ORIGINS": f"{PAGE}, http://localhost:3000"})
    assert result.cors_origins == (PAGE, "http://localhost:3000")


@pytest.mark.slow
def test_a_form_behind_a_proxy_that_rewrites_host(url):
    """A form whose Origin is the issuer's is accepted, regardless of Host, and others are refused."""
    with service_at(url, issuer="http://127.0.0.1:8000/id") as service:
        client = browser(Identity(service), origin="http://backend:9000")
        del client.headers["sec-fetch-site"]
        answers = [
            client.post("/register", data=ANN, headers={"origin": origin}).status_code
            for origin in ("http://127.0.0.1:8001", "https://127.0.0.1:8000", "http://127.0.0.1:8000")
        ]
    assert answers == [403, 403, 303]
