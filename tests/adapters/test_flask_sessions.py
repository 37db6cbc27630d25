"""Sessions of browsers in a Flask application: begun by a form, remembered, resumed and ended."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest

from adapters.faces import ask_wsgi
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    Rule,
    TokenIssuer,
    VerificationUnavailableError,
)
from authguard.flask import AuthGuardClient, BrowserSessions, current_principal, init_app

SECRET = secrets.token_urlsafe(40)
DAY = 86_400
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


class Site:
    """An application with browser sessions, and with a clock that the test sets.

    Args:
        options: the options of its guard.
    """

    def __init__(self, *, remember: Any = timedelta(days=30), home: str = "/", **options: Any) -> None:
        self.now = time.time()
        self.users: dict[str, Any] = {"ann": {"scopes": ["read"]}, "bob": {}}
        self.loaded: Callable[[Any], Any] = lambda principal: principal
        tokens = TokenIssuer(SECRET, issuer="https://site.example", audience="site", clock=lambda: self.now)
        self.revocations = MemoryRevocations(clock=lambda: self.now)
        self.cookie = AccessCookie("session", secure=False)
        guard = Guard(
            tokens.verifier(),
            **{
                "cookie": self.cookie,
                "login_path": "/login",
                "protected_paths": ["/", Rule("/recent", max_age=300)],
                "public_paths": ["/logout"],
                "revocations": self.revocations,
                "user_loader": self.load,
                **options,
            },
        )
        self.tokens, self.guard = tokens, guard
        self.sessions = BrowserSessions(guard, tokens, remember=remember, home=home)
        app = self.app = flask.Flask("site")
        app.test_client_class = AuthGuardClient
        init_app(app, guard)
        app.wsgi_app._clock = lambda: self.now  # type: ignore[attr-defined]
        app.add_url_rule("/login", view_func=self.login, methods=["GET", "POST"])
        app.add_url_rule("/logout", view_func=self.sessions.end, methods=["POST", "GET"])
        app.add_url_rule("/", "page", lambda page="": current_principal.subject)
        app.add_url_rule("/<page>", "page")
        self.client = app.test_client()

    def load(self, principal: Any) -> Any:
        return self.loaded(principal)

    def login(self) -> Any:
        form = flask.request.form
        if flask.request.method == "POST":
            grants = self.users[form["name"]]
            return self.sessions.begin(form["name"], remember="remember" in form, **grants)
        return self.sessions.resume(self.users.get) or "the form"

    def sign_in(self, name: str = "ann", *, remember: bool = False, query: str = "") -> Any:
        form = {"name": name, **({"remember": "on"} if remember else {})}
        return self.client.post(f"/login{query}", data=form)

    def get(self, path: str = "/") -> str:
        """Return the text that a browser shows after the redirects."""
        return self.client.get(path, headers=BROWSER, follow_redirects=True).text

    def claims(self) -> Any:
        """Return the claims of the access token in the browser."""
        cookie = self.client.get_cookie("session")
        assert cookie is not None
        return self.guard.verify(cookie.value, now=self.now).claims

    def close_the_browser(self) -> None:
        """Delete the cookie that a browser discards when it is closed."""
        self.client.delete_cookie("session")


@pytest.fixture(name="site")
def _site() -> Site:
    return Site()


def test_a_session_begins_and_ends(site: Site) -> None:
    """The form redirects the browser to the page that it requested, and a logout ends the session."""
    assert site.get("/page?a=1") == "the form"
    answer = site.sign_in(query="?next=/page%3Fa%3D1")
    assert (answer.status_code, answer.location, answer.headers["cache-control"]) == (
        303,
        "/page?a=1",
        "no-store",
    )
    assert site.get() == "ann"
    token = site.client.get_cookie("session").value  # type: ignore[union-attr]
    answer = site.client.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/")
    assert site.get() == "the form"
    # A copy of the token is revoked as well.
    site.client.set_cookie("session", token)
    assert site.get() == "the form"


def test_the_token_has_what_was_granted(site: Site) -> None:
    """The token has the granted scopes and claims, and the time of the sign-in as its `auth_time`."""
    site.users["ann"] = {"scopes": ["read"], "claims": {"tenant": "a", "auth_time": 1}}
    site.sign_in()
    claims = site.claims()
    assert (claims["scope"], claims["tenant"], claims["auth_time"]) == ("read", "a", int(site.now))


@pytest.mark.parametrize(
    ("given", "claimed"), [(0, 0), (-100, -100), (+100, 0), (None, 0)], ids=["now", "before", "later", "none"]
)
def test_a_sign_in_may_be_of_before(site: Site, given: int | None, claimed: int) -> None:
    """A given `auth_time` is kept when the session is resumed, and is not later than the present time."""
    auth_time = None if given is None else site.now + given
    site.users["ann"] = {"auth_time": auth_time}
    site.sign_in(remember=True)
    assert site.claims()["auth_time"] == int(site.now + claimed)
    site.users["ann"] = {}
    site.close_the_browser()
    assert site.get() == "ann"
    assert site.claims()["auth_time"] == int(site.now + claimed)


def test_a_session_of_another_system_is_no_recent_sign_in(site: Site) -> None:
    """A page with `max_age` shows the form for a sign-in long ago, and other pages are shown."""
    site.users["ann"] = {"auth_time": datetime.fromtimestamp(0, UTC)}
    site.sign_in()
    assert (site.get(), site.get("/recent")) == ("ann", "the form")
    with pytest.raises(ConfigurationError, match="auth_time must be seconds since the epoch"):
        site.sessions.begin("ann", auth_time="yesterday")  # type: ignore[arg-type]


def test_a_cookie_ends_with_the_browser_unless_it_is_to_be_remembered(site: Site) -> None:
    """The session cookie has no Max-Age, and the remember cookie is deleted, if `remember` was not chosen."""
    first, second = site.sign_in().headers.getlist("Set-Cookie")
    assert first.startswith("session=")
    assert "Max-Age" not in first
    assert second.startswith("session-remember=; Max-Age=0")
    site.close_the_browser()
    assert site.get() == "the form"


def test_a_remembered_browser_is_signed_in_without_a_form(site: Site) -> None:
    """A remembered browser is signed in again after it was closed, until the time to remember has passed."""
    fields = site.sign_in(remember=True).headers.getlist("Set-Cookie")
    assert "Max-Age=2592000" in fields[1]
    assert "HttpOnly" in fields[1]
    began = int(site.now)
    for days in (0, 1, 29):
        site.now = began + days * DAY
        site.close_the_browser()
        assert site.get("/page") == "ann"
        assert site.claims()["auth_time"] == began
    site.now = began + 30 * DAY + 60
    site.close_the_browser()
    assert site.get("/page") == "the form"


def test_it_gets_what_is_granted_now(site: Site) -> None:
    """A resumed session has the present scopes, and a deleted user gets the form."""
    site.sign_in(remember=True)
    site.users["ann"] = {"scopes": ["write"]}
    site.close_the_browser()
    assert site.get() == "ann"
    assert site.claims()["scope"] == "write"
    del site.users["ann"]
    site.close_the_browser()
    assert site.get() == "the form"


def test_there_is_no_redirect_loop_if_the_guard_refuses_the_user(site: Site) -> None:
    """The login page shows the form if `user_loader` refuses the remembered user or has an outage."""
    site.sign_in(remember=True)
    site.close_the_browser()

    def down(principal: Any) -> Any:
        raise ConnectionError("down")

    for loader in (lambda principal: None, down):
        site.loaded = loader
        assert site.client.get("/login").text == "the form"


def test_a_rule_that_asks_for_a_recent_sign_in_gets_the_form(site: Site) -> None:
    """A page with `max_age` shows the form for a remembered browser, until its user signs in again."""
    site.sign_in(remember=True)
    assert site.get("/recent") == "ann"
    site.now += 301
    assert site.get("/recent") == "the form"
    assert site.get("/page") == "ann"
    site.sign_in(remember=True)
    assert site.get("/recent") == "ann"


def test_signing_out_ends_what_was_remembered(site: Site) -> None:
    """A logout revokes the remember token, also if the access token has expired."""
    for is_expired in (False, True):
        site.sign_in(remember=True)
        copy = site.client.get_cookie("session-remember").value  # type: ignore[union-attr]
        site.now += is_expired * DAY
        site.client.post("/logout")
        assert site.client.get_cookie("session-remember") is None
        site.client.set_cookie("session-remember", copy)
        assert site.get() == "the form"
        site.now += 28 * DAY
        assert site.get() == "the form"


def test_signing_out_without_the_second_cookie_revokes_it_as_well(site: Site) -> None:
    """A logout revokes the remember token of the session, also if the request does not have it."""
    site.sign_in(remember=True)
    copy = site.client.get_cookie("session-remember").value  # type: ignore[union-attr]
    site.client.delete_cookie("session-remember")
    site.client.post("/logout")
    site.now += 5 * DAY
    site.client.set_cookie("session-remember", copy)
    assert site.get() == "the form"


def test_revoking_a_subject_ends_what_was_remembered(site: Site) -> None:
    """The revocation of a subject ends remembered sessions."""
    site.sign_in(remember=True)
    site.now += 10
    site.revocations.revoke(subject="ann", until=site.now + 31 * DAY)
    site.now += 10
    site.close_the_browser()
    assert site.get() == "the form"


def test_another_user_of_the_browser_is_not_taken_for_the_remembered_one(site: Site) -> None:
    """A sign-in of another user deletes the remember cookie of the first one."""
    site.sign_in("ann", remember=True)
    site.sign_in("bob")
    assert site.get() == "bob"
    site.close_the_browser()
    assert site.get() == "the form"


def test_another_site_signs_nobody_in_or_out(site: Site) -> None:
    """A request from another origin neither signs a user in nor out."""
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    site.sign_in(remember=True)
    answer = site.client.post("/logout", headers=elsewhere)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    assert site.get() == "ann"
    cookies = "; ".join(
        f"{name}={site.client.get_cookie(name).value}" for name in ("session", "session-remember")
    )  # type: ignore[union-attr]
    unknown = ask_wsgi(site.app, "POST", "/logout", [("Cookie", cookies.encode())])
    assert (unknown.status, "set-cookie" in unknown.headers) == (403, False)
    site.app.testing = True
    with pytest.raises(ConfigurationError, match=r"write @app\.post"):
        site.client.get("/logout")
    assert site.client.post("/login", data={"name": "bob"}, headers=elsewhere).status_code == 403
    assert site.get() == "ann"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "/login", ""])
def test_a_hostile_next_leads_home(site: Site, target: str) -> None:
    """A `next` to another origin is replaced by the home page, for a form and for a remembered browser."""
    for answer in (
        site.sign_in(remember=True, query=f"?next={target}"),
        site.client.get(f"/login?next={target}"),
    ):
        assert (answer.status_code, answer.location) == (303, "/")


def test_a_mount_point_is_kept() -> None:
    """The redirects include a valid mount point of a proxy."""
    site = Site(home="/start")
    environ = {"SCRIPT_NAME": "/shop"}
    answer = site.client.post("/login", data={"name": "ann"}, environ_overrides=environ)
    assert answer.location == "/shop/start"
    assert site.client.post("/logout", environ_overrides=environ).location == "/shop/start"
    hostile = {"SCRIPT_NAME": "//evil.example"}
    assert site.client.post("/login", data={"name": "ann"}, environ_overrides=hostile).location == "/start"


@pytest.mark.parametrize("method", ["bearer", "cookie", "issued"])
def test_a_token_to_remember_by_opens_nothing(site: Site, method: str) -> None:
    """A remember token is no access token, for the guard and for another verifier with the same key."""
    site.sign_in(remember=True)
    token = site.client.get_cookie("session-remember").value  # type: ignore[union-attr]
    if method == "cookie":
        site.client.set_cookie("session", token)
        assert site.client.get("/page").status_code == 401
    elif method == "bearer":
        assert (
            ask_wsgi(site.app, "GET", "/page", [("Authorization", f"Bearer {token}".encode())]).status == 401
        )
    else:
        for types in ({}, {"token_types": ["remember+jwt"]}):
            verifier = JWTVerifier(
                SECRET, algorithms=["HS256"], issuer="https://site.example", audience="site", **types
            )
            answer = ask_wsgi(_guarded(verifier), "GET", "/", [("Authorization", f"Bearer {token}".encode())])
            assert answer.status == 401


def _guarded(verifier: JWTVerifier) -> flask.Flask:
    app = flask.Flask("other")
    init_app(app, Guard(verifier))
    return app


def test_an_access_token_is_no_token_to_remember_by(site: Site) -> None:
    """An access token, a forged remember token and two remember tokens do not sign in."""
    site.sign_in(remember=True)
    access = site.client.get_cookie("session").value  # type: ignore[union-attr]
    remember = site.client.get_cookie("session-remember").value  # type: ignore[union-attr]
    for value in (access, remember[:-4] + "AAAA", f"{remember}; session-remember={remember}"):
        answer = ask_wsgi(site.app, "GET", "/login", [("Cookie", f"session-remember={value}".encode())])
        assert answer.body == b"the form"
    assert (
        ask_wsgi(site.app, "GET", "/login", [("Cookie", f"session-remember={remember}".encode())]).status
        == 303
    )


def test_signing_out_when_nobody_is_signed_in(site: Site) -> None:
    """A logout without a session deletes the cookies, and revokes nothing."""
    answer = site.client.post("/logout")
    assert (answer.status_code, len(answer.headers.getlist("Set-Cookie"))) == (303, 2)
    assert site.revocations.sequence == 0


def test_a_store_that_is_down_is_an_outage() -> None:
    """A logout is a 503 and keeps the cookies if the token cannot be revoked."""

    class Down(MemoryRevocations):
        def revoke(self, **_: Any) -> Any:
            raise VerificationUnavailableError("the store is down", retry_after=7)

    site = Site(revocations=Down())
    site.sign_in()
    answer = site.client.post("/logout")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert "Set-Cookie" not in answer.headers
    assert site.get() == "ann"


@pytest.mark.parametrize("remember", [30, 365, 3599])
def test_a_number_of_days_is_no_time_to_be_remembered(remember: int) -> None:
    """A number below an hour is an error, because it is probably a number of days."""
    with pytest.raises(ConfigurationError, match="remember must be a whole number of seconds between 3600"):
        Site(remember=remember)


def test_private_keys_sign_as_well() -> None:
    """The verifier of remember tokens has the public key of a private signing key."""
    from support import ec_key

    tokens = TokenIssuer(ec_key(), issuer="https://site.example", audience="site")
    remember = tokens.remember_tokens(60)
    guard = Guard(remember.verifier())
    assert guard.verify(remember.issue("ann", "s1")).claims["sid"] == "s1"


def guarded_by(*verifiers: Any) -> Guard:
    return Guard(*verifiers, cookie=AccessCookie(), login_path="/login", revocations=MemoryRevocations())


KEYS = APIKeyVerifier({"sk_live_" + secrets.token_hex(20): APIKey("robot")})
ISSUED: dict[str, Any] = {"algorithms": ["HS256"], "issuer": "https://site.example", "audience": "site"}


@pytest.mark.parametrize(
    "verifiers",
    [
        [JWTVerifier(secrets.token_urlsafe(40), **ISSUED)],
        [JWTVerifier(SECRET, **{**ISSUED, "issuer": "https://site.example/"})],
        [JWTVerifier(SECRET, **{**ISSUED, "audience": None})],
        [JWTVerifier(SECRET, **ISSUED, token_types=["JWT"])],
        [JWTVerifier(SECRET, **ISSUED, header="X-Token")],
        [KEYS],
    ],
    ids=["key", "issuer", "audience", "type", "field", "keys alone"],
)
def test_a_guard_that_refuses_the_tokens_is_refused(verifiers: list[Any]) -> None:
    """The sessions refuse a guard that refuses their tokens, since a sign-in would have no effect."""
    tokens = TokenIssuer(SECRET, issuer="https://site.example", audience="site")
    with pytest.raises(ConfigurationError, match="must take what tokens issues.*write Guard"):
        BrowserSessions(guarded_by(*verifiers), tokens)


@pytest.mark.parametrize(
    "verifiers",
    [
        [JWTVerifier(SECRET, **ISSUED), KEYS],
        [JWTVerifier(SECRET, **ISSUED, claims={"tenant": "a"})],
        [JWTVerifier(SECRET, **{**ISSUED, "issuer": "https://other.example"}), JWTVerifier(SECRET, **ISSUED)],
        [JWTVerifier.from_issuer("https://site.example", audience="site")],
        [IntrospectionVerifier("https://site.example/ask", client_id="a", client_secret=SECRET)],
    ],
    ids=["same", "claims", "two", "remote", "asks"],
)
def test_a_guard_that_may_take_the_tokens_is_taken(verifiers: list[Any]) -> None:
    """The sessions accept a guard that may accept their tokens, and send no request to find out."""
    BrowserSessions(
        guarded_by(*verifiers), TokenIssuer(SECRET, issuer="https://site.example", audience="site")
    )


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ({"cookie": None}, "a cookie"),
        ({"login_path": None}, "a login page"),
        ({"revocations": None}, "writable revocations"),
    ],
)
def test_a_guard_that_cannot_do_it_is_refused(options: dict[str, Any], lacks: str) -> None:
    """The sessions refuse a guard without a cookie, a login page or revocations, with advice."""
    with pytest.raises(ConfigurationError, match=f"must have {lacks}.*write Guard"):
        Site(**options)


def test_an_async_store_is_refused() -> None:
    """A store with an async `revoke` is refused, since a logout would not await it."""

    class Store(MemoryRevocations):
        async def revoke(self, **named: Any) -> None:  # type: ignore[override]
            """Revoke nothing."""

    with pytest.raises(ConfigurationError, match="must have a plain revoke, got an async one"):
        Site(revocations=Store())


@pytest.mark.parametrize("grants", [True, ["read"], "read"])
def test_what_is_no_mapping_is_not_granted(site: Site, grants: Any) -> None:
    """A value of `grants` that is not a mapping is an error."""
    site.sign_in(remember=True)
    site.users["ann"] = grants
    site.app.testing = True
    with pytest.raises(ConfigurationError, match="what grants returns"):
        site.client.get("/login")
