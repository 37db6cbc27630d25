"""Signing out of a Flask application: nobody is told that they have, while a token of the session is good."""

from typing import Any

import pytest

from adapters.faces import ask_wsgi
from adapters.test_flask_sessions import DAY, Site
from authguard import MemoryRevocations, VerificationUnavailableError

HOUR = 3600


class Store(MemoryRevocations):
    """A store of several processes, which has to be asked each time, and which may be down."""

    in_memory = False
    is_down = False

    def is_revoked(self, principal: Any) -> bool:
        """What the memory says, unless the store is down."""
        self._check()
        return super().is_revoked(principal)

    def revoke(self, **revocation: Any) -> Any:
        """Take a revocation, unless the store is down."""
        self._check()
        return super().revoke(**revocation)

    def _check(self) -> None:
        if self.is_down:
            raise VerificationUnavailableError("the store is down", retry_after=7)


@pytest.mark.parametrize("signs_in", ["by the token", "by the token to remember by"])
def test_a_store_that_answers_nothing_is_an_outage(signs_in: str) -> None:
    """On the open path of a sign-out, the guard cannot say who is calling, and the session goes on."""
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
    """It is asked on open paths, too."""

    def down(principal: Any) -> Any:
        raise ConnectionError

    site.sign_in()
    site.loaded = down
    answer = site.client.post("/logout")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (503, False)


@pytest.mark.parametrize("remember", [False, True])
def test_a_token_of_its_own_lifetime_stays_revoked(remember: bool) -> None:
    """`begin` takes the `ttl` of `issue`, which may be longer than that of the issuer."""
    site = Site(remember=60)
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
    """A redirect to the page after signing out would tell otherwise."""
    site.sign_in(remember=True)
    answer = site.client.post("/logout", headers=fields)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    assert site.get() == "ann"


def test_another_site_signs_nobody_in_by_another_form(site: Site) -> None:
    """Such as one to sign up, which is no login page of the guard."""

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
