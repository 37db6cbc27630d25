"""Logouts in a Flask application, which report success only if the tokens of the session are revoked."""

from typing import Any

import pytest

from adapters.faces import ask_wsgi
from adapters.test_flask_sessions import DAY, Site
from authguard import MemoryRevocations, VerificationUnavailableError

HOUR = 3600


class Store(MemoryRevocations):
    """A store of several processes, which is asked at each request, and which may be down."""

    in_memory = False
    is_down = False

    def is_revoked(self, principal: Any) -> bool:
        """Return whether the principal is revoked, or raise if the store is down."""
        self._check()
        return super().is_revoked(principal)

    def revoke(self, **revocation: Any) -> Any:
        """Write a revocation, or raise if the store is down."""
        self._check()
        return super().revoke(**revocation)

    def _check(self) -> None:
        if self.is_down:
            raise VerificationUnavailableError("the store is down", retry_after=7)


@pytest.mark.parametrize("signs_in", ["by the token", "by the token to remember by"])
def test_a_store_that_answers_nothing_is_an_outage(signs_in: str) -> None:
    """A logout is a 503 and keeps the session if the store of revocations is down."""
    store = Store()
    site = Site(revocations=store)
    site.sign_in(remember=True)
    if signs_in == "by the token to remember by":
        site.close_the_browser()
    store.is_down = True
    answer = site.client.post("/logout")
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "7")
    assert "Set-Cookie" not in answer.headers
    store.is_down = False
    assert site.get() == "ann"


def test_a_user_loader_that_is_down_is_an_outage(site: Site) -> None:
    """A logout is a 503 and keeps the cookies if `user_loader` is down."""

    def down(principal: Any) -> Any:
        raise ConnectionError

    site.sign_in()
    site.loaded = down
    answer = site.client.post("/logout")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (503, False)


@pytest.mark.parametrize("remember", [False, True])
def test_a_token_of_its_own_lifetime_stays_revoked(remember: bool) -> None:
    """A token with a `ttl` longer than that of the issuer stays revoked after the logout."""
    site = Site(remember=3600)
    site.users["ann"] = {"ttl": DAY}
    site.sign_in(remember=remember)
    cookie = site.client.get_cookie("session")
    assert cookie is not None
    assert site.client.post("/logout").status_code == 303
    for passed in (0, 10 * HOUR, 10 * HOUR):
        site.now += passed
        assert (
            ask_wsgi(site.app, "GET", "/", [("Authorization", f"Bearer {cookie.value}".encode())]).status
            == 401
        )


@pytest.mark.parametrize("fields", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_who_is_not_signed_out_is_told_so(site: Site, fields: dict[str, str]) -> None:
    """A logout from another origin is a 403, and not a redirect that would report success."""
    site.sign_in(remember=True)
    answer = site.client.post("/logout", headers=fields)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    assert site.get() == "ann"


def test_another_site_signs_nobody_in_by_another_form(site: Site) -> None:
    """A form at another path than the login page refuses a sign-in from another origin."""

    def sign_up() -> Any:
        return site.sessions.begin("bob")

    site.app.add_url_rule("/logout/sign-up", view_func=sign_up, methods=["POST"])
    site.sign_in()
    answer = site.client.post("/logout/sign-up", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    assert site.get() == "ann"
    assert site.client.post("/logout/sign-up").status_code == 303
    assert site.get() == "bob"


@pytest.fixture(name="site")
def _site() -> Site:
    return Site()
