"""The decisions of the straight path about remembered credentials, and the cases for the flow."""

from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Rule
from authguard._core.answer.decision import Known
from authguard._core.deciding.callers import UNDECIDED
from authguard.drivers import run
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer, make_token

KEY, UNPREFIXED = "sk_live_0123456789", "0123456789-without-a-prefix"
KEYS = {KEY: APIKey("bob"), UNPREFIXED: APIKey("carl")}


JWT = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
TOKEN = make_token()
NAME = "__Host-access_token"
COOKIE = f"{NAME}={TOKEN}"


def guard(keys: Any = KEYS, **options: Any) -> Guard:
    return Guard(JWT, APIKeyVerifier(keys, **options))


def recall(own_guard: Guard, request: FakeRequest, now: float = NOW) -> Any:
    """Return the outcome of the straight path for the fields that adapters give it."""
    presented = [field for field in request._headers if field[0] in own_guard.recalled_fields]
    return own_guard.recall(presented, (request.method, request.path, request.root_path), now)


def decided(own_guard: Guard, request: FakeRequest, now: float = NOW) -> Any:
    """Return the decision as drivers get it."""
    recalled = recall(own_guard, request, now)
    return recalled if recalled.is_decision else run(own_guard.decide(request, now, recalled))


def test_a_key_in_the_authorization_field_is_recalled() -> None:
    """The second request with a key in the Authorization field needs no flow."""
    own_guard = guard()
    assert recall(own_guard, bearer(KEY)) is UNDECIDED
    assert decided(own_guard, bearer(KEY)).user.subject == "bob"
    assert recall(own_guard, bearer(KEY)).user.method == "api_key"


def test_a_key_in_the_authorization_field_is_asked_about_again() -> None:
    """A key in the Authorization field is looked up again after `cache_ttl`, and refused if it is missing."""
    results: dict[str, APIKey] = {KEY: APIKey("bob")}
    own_guard = guard(lambda digest: results.get(KEY), cache_ttl=30)
    assert decided(own_guard, bearer(KEY)).user.subject == "bob"
    results.clear()
    assert isinstance(recall(own_guard, bearer(KEY), NOW + 29), Known)
    assert decided(own_guard, bearer(KEY), NOW + 30).refusal.status == 401


class Telling(APIKeyVerifier):
    """Verify keys with terms, and get no requests."""

    has_terms = True


def test_a_token_beside_keys_whose_verifier_is_told() -> None:
    """A token is recalled beside a verifier of keys with terms."""
    own_guard = Guard(JWT, Telling(KEYS))
    assert all(decided(own_guard, bearer(TOKEN)).reaches_app for _ in range(3))
    assert isinstance(recall(own_guard, bearer(TOKEN)), Known)


@pytest.mark.parametrize("key", [KEY, UNPREFIXED])
def test_a_key_is_remembered_for_the_field_that_it_came_in(key: str) -> None:
    """A key is remembered only for the field in which it was sent."""
    own_guard = guard()
    in_its_field = FakeRequest(headers={"x-api-key": key})
    assert decided(own_guard, in_its_field).reaches_app
    assert not recall(own_guard, bearer(key)).is_decision
    assert decided(own_guard, bearer(key)).reaches_app is (key == KEY)
    assert not recall(own_guard, FakeRequest(headers={"x-api-key": f"Bearer {key}"})).is_decision


def test_a_known_key_beside_another_credential() -> None:
    """Two credentials are refused, even if both are known."""
    own_guard = guard()
    both = FakeRequest(headers={"authorization": f"Bearer {KEY}", "x-api-key": KEY})
    assert decided(own_guard, bearer(KEY)).reaches_app
    assert decided(own_guard, FakeRequest(headers={"x-api-key": KEY})).reaches_app
    assert decided(own_guard, both).refusal.status == 400


def site(**options: Any) -> Guard:
    """Return a guard of a website that knows the token of the cookie."""
    own_guard = Guard(JWT, APIKeyVerifier(KEYS), cookie=AccessCookie(), **options)
    assert decided(own_guard, browser()).reaches_app
    return own_guard


def browser(
    cookie: str = COOKIE, *fields: tuple[str, str], path: str = "/", method: str = "GET"
) -> FakeRequest:
    return FakeRequest(path, method=method, headers=[("cookie", cookie), *fields])


def outcome(decision: Any) -> Any:
    """Return the subject and the fields of a decision, or the status and the code of a refusal."""
    if decision.reaches_app:
        return decision.user.subject, decision.response_fields
    return decision.refusal.status, decision.error.code


def test_a_known_cookie_is_recalled() -> None:
    """A known cookie is recalled at any place among other cookies."""
    own_guard = site()
    for cookie in (COOKIE, f"theme=dark; {COOKIE}", f"{COOKIE}; theme=dark", f"a=1; {COOKIE}; b=2"):
        assert isinstance(recall(own_guard, browser(cookie)), Known)


SITES: list[tuple[str, ...]] = [
    (), ("same-origin",), ("same-site",), ("cross-site",), ("none",), ("Same-Origin",), ("same-origin,",),
    ("",), ("same-origin", "cross-site"), ("cross-site", "same-origin"), ("same-origin", "same-origin"),
    ("", "same-origin"), ("same-", "origin"), ("same-origin", "", "same-origin"),
]  # fmt: skip
ORIGINS = [(), ("https://site.example",), ("https://evil.example",), ("null",)]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "get", "post", "WEBSOCKET"]


@pytest.mark.parametrize("sites", SITES, ids=repr)
@pytest.mark.parametrize("origins", ORIGINS, ids=repr)
def test_the_cross_site_rule_holds_for_a_known_cookie(
    sites: tuple[str, ...], origins: tuple[str, ...]
) -> None:
    """The straight path and the flow decide alike about a known cookie and the origin of the request."""
    own_guard = site()
    fields = [
        ("host", "site.example"),
        *(("sec-fetch-site", value) for value in sites),
        *(("origin", value) for value in origins),
    ]
    for method, path in product(METHODS, ["/", "/a/b"]):
        request = browser(COOKIE, *fields, method=method, path=path)
        assert outcome(decided(own_guard, request)) == outcome(run(own_guard.decide(request, NOW)))


@pytest.mark.parametrize(("method", "at_once"), [("GET", True), ("POST", True), ("BREW", True)])
def test_a_request_of_the_same_site_is_decided_at_once(method: str, *, at_once: bool) -> None:
    """A request with `Sec-Fetch-Site: same-origin` is decided on the straight path."""
    request = browser(COOKIE, ("sec-fetch-site", "same-origin"), method=method)
    assert isinstance(recall(site(), request), Known) is at_once


@pytest.mark.parametrize(
    "sites", [(), ("cross-site",), ("same-site",), ("same-origin", "same-origin")], ids=repr
)
def test_a_request_of_another_site_is_left_to_the_flow(sites: tuple[str, ...]) -> None:
    """An unsafe request with no, another or a repeated `Sec-Fetch-Site` is left to the flow."""
    fields = [("sec-fetch-site", value) for value in sites]
    assert recall(site(), browser(COOKIE, *fields, method="POST")) is UNDECIDED


OTHER = make_token(key="x" * 40)
ODD = [
    f"{COOKIE}; {NAME}={OTHER}", f"{NAME}={OTHER}; {COOKIE}", f"{COOKIE}; {COOKIE}", f"{COOKIE}; {NAME}",
    f"{NAME}; {COOKIE}", f"{NAME}=; {COOKIE}", f"x{COOKIE}", f"x {COOKIE}", f"a=1;{COOKIE}",
    f"a=1 ;  {COOKIE}", f" {COOKIE}", f"{COOKIE} ", f"{COOKIE}\t; a=1", f"{NAME}= {TOKEN}",
    f'{NAME}="{TOKEN}"', f"{NAME} ={TOKEN}", f"{NAME.lower()}={TOKEN}", f"access_token={TOKEN}",
    f"a={COOKIE}", f"a={NAME}; {COOKIE}", f"{COOKIE}=", f"{COOKIE},{COOKIE}", f"a=1, {COOKIE}", f"{NAME}=",
    NAME, "", ";", f"{NAME}={TOKEN[:-1]}",
]  # fmt: skip


@pytest.mark.parametrize("cookie", ODD, ids=range(len(ODD)))
def test_an_odd_cookie_field(cookie: str) -> None:
    """The straight path and the flow decide alike about an odd Cookie field."""
    own_guard = site()
    request = browser(cookie)
    assert outcome(decided(own_guard, request)) == outcome(run(own_guard.decide(request, NOW)))


def test_a_cookie_field_that_comes_twice() -> None:
    """Two Cookie fields with the cookie are left to the flow, and refused."""
    own_guard = site()
    request = browser(COOKIE, ("cookie", f"{NAME}={OTHER}"))
    assert recall(own_guard, request) is UNDECIDED
    assert decided(own_guard, request).refusal.status == 400


@given(
    st.text('ab=; \t,"' + NAME[:3], max_size=12),
    st.sampled_from([NAME, NAME + "=", NAME + "=tok", NAME.upper() + "=tok"]),
    st.text('ab=; \t,"', max_size=12),
    st.sampled_from(["", NAME, "; " + NAME + "=x"]),
)
@example("", f"{NAME}=tok", " ", "")
@example("a=1; ", f"{NAME}=tok", "; b=2", "")
def test_the_plain_form_of_a_cookie_is_what_is_read(before: str, mine: str, after: str, again: str) -> None:
    """The plain form of a cookie is the one that `read` returns; other forms are left to `read`."""
    cookie, field = AccessCookie(), before + mine + after + again
    plain = cookie.plain(field.encode())
    if plain is not None:
        assert cookie.read(browser(field)) == plain.decode()


@pytest.mark.parametrize(("token", "status"), [(TOKEN, None), (OTHER, 401)])
def test_a_token_beside_a_known_cookie(token: str, status: int | None) -> None:
    """A token in a field is used before the cookie, and an invalid one is refused."""
    request = browser(COOKIE, ("authorization", f"Bearer {token}"), ("sec-fetch-site", "same-origin"))
    decision = decided(site(), request)
    assert status is None if decision.reaches_app else decision.refusal.status == status


def test_a_token_of_a_browser_is_recalled() -> None:
    """A token in a field is recalled with any `Sec-Fetch-Site`."""
    own_guard = site()
    fields = {"authorization": f"Bearer {TOKEN}", "sec-fetch-site": "cross-site"}
    request = FakeRequest(method="POST", headers=fields)
    assert decided(own_guard, request).reaches_app
    assert isinstance(recall(own_guard, request), Known)


def test_a_known_cookie_that_has_expired() -> None:
    """A known cookie is refused after its token has expired."""
    assert decided(site(), browser(), NOW + 10_000).refusal.status == 401


def test_a_rule_for_a_known_cookie() -> None:
    """A known cookie must meet the rule of the path."""
    own_guard = site(protected_paths=["/", Rule("/admin", scopes=["admin"])])
    assert decided(own_guard, browser(path="/admin")).refusal.status == 403


def test_which_site_has_started_a_request_is_no_credential() -> None:
    """`Sec-Fetch-Site` is among the recalled fields, and not among the credential fields."""
    own_guard = site()
    assert own_guard.recalled_fields - own_guard.credential_fields == {b"sec-fetch-site"}
    assert guard().recalled_fields == guard().credential_fields
