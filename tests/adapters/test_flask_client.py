"""The test client for Flask applications, which behaves as a browser on the same site."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import flask
import pytest

from authguard import ANONYMOUS, AccessCookie, ConfigurationError, Guard, Principal, TokenIssuer
from authguard.flask import AuthGuardClient, current_principal, current_user, init_app, requires

TOKENS = TokenIssuer(secrets.token_urlsafe(40), issuer="https://site.example", audience="site")


def site(cookie: AccessCookie | None = AccessCookie(), **options: Any) -> flask.Flask:
    """Return an application with a form for signing in, as an application would have it."""
    app = flask.Flask("site")
    guard = Guard(TOKENS.verifier(), cookie=cookie, login_path="/login" if cookie else None, **options)
    init_app(app, guard)
    app.test_client_class = AuthGuardClient

    @app.route("/login", methods=["GET", "POST"])
    def _login() -> Any:
        response = flask.redirect("/notes")
        if cookie:
            response.headers.add("Set-Cookie", cookie.issue(TOKENS.issue("ann"), max_age=60))
        return response

    @app.route("/notes", methods=["GET", "POST", "DELETE"])
    def _notes() -> str:
        return f"{flask.request.method} {current_principal.subject}"

    @app.get("/admin")
    @requires("admin")
    def _admin() -> str:
        return str(current_user)

    return app


@pytest.mark.parametrize("secure", [True, False])
def test_a_cookie_needs_no_hidden_field(secure: bool) -> None:
    """The client sends POST and DELETE after the form; another client lacks the fields of a browser."""
    app = site(AccessCookie(secure=secure))
    client = app.test_client()
    assert client.post("/login", follow_redirects=True).text == "GET ann"
    assert client.post("/notes").text == "POST ann"
    assert client.delete("/notes").text == "DELETE ann"
    plain = flask.Flask.test_client_class or flask.testing.FlaskClient
    other = plain(app, app.response_class)
    other.set_cookie("__Host-access_token" if secure else "access_token", TOKENS.issue("ann"))
    assert other.post("/notes").status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=str
)
def test_a_test_may_be_another_site(headers: dict[str, str]) -> None:
    """Fields that a test sets to those of another origin are not replaced by the client."""
    client = site().test_client(token=TOKENS.issue("ann"))
    assert client.post("/notes", headers=headers).status_code == 403
    assert client.post("/login", headers=headers).status_code == 403


@pytest.mark.parametrize("cookie", [AccessCookie(), AccessCookie(secure=False), None], ids=str)
def test_a_token_signs_in(cookie: AccessCookie | None) -> None:
    """A token for the client is sent in the cookie of the guard, or in the `Authorization` field."""
    client = site(cookie).test_client(token=TOKENS.issue("ann"))
    assert client.post("/notes").text == "POST ann"
    assert client.get("/admin").status_code == 403


def test_a_cookie_is_for_the_name_of_the_server() -> None:
    """The cookie of the client is also sent to an application with a `SERVER_NAME`."""
    app = site()
    app.config["SERVER_NAME"] = "site.example:8000"
    assert app.test_client(token=TOKENS.issue("ann")).post("/notes").text == "POST ann"


def test_a_client_may_be_anybody() -> None:
    """A client may have a principal, a user with a principal, or ANONYMOUS; rules and decorators apply."""
    app = site()
    assert app.test_client(user=Principal("eve")).post("/notes").text == "POST eve"
    assert app.test_client(user=Principal("eve")).get("/admin").status_code == 403
    user = SimpleNamespace(name="Ann")
    ann = Principal("ann", scopes=frozenset({"admin"}))
    assert app.test_client(user=user, principal=ann).get("/admin").text == "namespace(name='Ann')"
    assert app.test_client(user=ANONYMOUS, token=TOKENS.issue("ann")).get("/notes").status_code == 401


def test_clients_do_not_mix() -> None:
    """Each client keeps its caller, also in alternating requests and in a `with` block."""
    app = site()
    a, b = app.test_client(user=Principal("a")), app.test_client(user=Principal("b"))
    assert [client.get("/notes").text for client in (a, b, a)] == ["GET a", "GET b", "GET a"]
    with a:
        a.get("/notes")
        assert current_user.subject == "a"
    assert app.test_client().get("/notes").status_code == 401


def test_a_client_is_nobody_in_other_threads() -> None:
    """The user of a client does not apply to requests from another thread."""
    app = site()
    others = []

    @app.get("/waits")
    def _waits() -> str:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(lambda: app.test_client().get("/notes").status_code).result())
        return str(current_principal.subject)

    assert app.test_client(user=Principal("ann")).get("/waits").text == "ann"
    assert others == [401]


def test_what_cannot_be_tested_is_refused() -> None:
    """The client refuses an application without a guard, and a principal without a user."""
    app = flask.Flask("plain")
    app.test_client_class = AuthGuardClient
    with pytest.raises(ConfigurationError, match=r"write init_app\(app, guard\) first"):
        app.test_client()
    with pytest.raises(ConfigurationError, match="write user="):
        site().test_client(principal=Principal("ann"))
