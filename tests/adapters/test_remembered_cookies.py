"""A remembered cookie in requests as browsers send them, over ASGI and WSGI."""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.faces import Answer, ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import AccessCookie, Guard, JWTVerifier
from support import AUDIENCE, ISSUER, NOW, SECRET, make_token

Ask = Callable[..., Answer]
FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi)}
GOOD = make_token()
STALE = make_token(key="x" * 40)
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


@pytest.fixture(params=FACES)
def ask(request: pytest.FixtureRequest) -> Ask:
    """Send a request to a guarded application; the fields are keywords or a mapping."""
    make, send = FACES[request.param]
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(verifier, login_path="/login", cookie=AccessCookie(secure=False))
    app = make(guard, lambda: NOW)

    def ask(method: str, token: str | None = GOOD, fields: dict[str, str] | None = None) -> Answer:
        cookie = {} if token is None else {"Cookie": f"theme=dark; access_token={token}"}
        pairs = [(name, value.encode()) for name, value in {**cookie, **(fields or {})}.items()]
        return send(app, method, "/private", pairs)

    assert ask("GET").status == 200  # the guard remembers the token from here on
    return ask


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_of_this_site(ask: Ask, method: str) -> None:
    """A request of the same origin passes, and its answer varies by the cookie."""
    answer = ask(method, fields={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status, answer.headers["vary"]) == (200, "Cookie")
    assert answer.headers["cache-control"] == "private"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
def test_a_form_of_another_site(ask: Ask, site: str | None) -> None:
    """A POST of another origin with a known cookie is refused."""
    assert ask("POST", fields={} if site is None else {"Sec-Fetch-Site": site}).status in (303, 401, 403)


@pytest.mark.parametrize("site", ["none", "same-origin", "cross-site"])
@pytest.mark.parametrize("token", [STALE, None])
def test_a_person_without_a_good_cookie_is_sent_to_sign_in(ask: Ask, token: str | None, site: str) -> None:
    """A navigation without a valid cookie is redirected to the login page, for each `Sec-Fetch-Site`."""
    answer = ask("GET", token, {**NAVIGATES, "Sec-Fetch-Site": site})
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?")


def test_a_preflight(ask: Ask) -> None:
    """A preflight with the `Sec-Fetch` fields of a browser is answered by 204."""
    fields = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "cors",
    }
    assert ask("OPTIONS", None, fields).status == 204


def test_a_token_in_a_field_of_a_browser(ask: Ask) -> None:
    """A token in the Authorization field needs no proof of the origin, and an invalid one is refused."""
    for token, status in ((GOOD, 200), (GOOD, 200), (STALE, 401)):
        fields: dict[str, Any] = {"Authorization": f"Bearer {token}", "Sec-Fetch-Site": "cross-site"}
        assert ask("POST", None, fields).status == status
