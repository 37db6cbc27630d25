"""The page that a browser gets instead of a problem document."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, JWTVerifier, Quota, Rule
from authguard._core.answer.page import page_of
from authguard._core.answer.refusal import Challenges, refuse
from authguard.drivers import run
from authguard.errors import (
    AddressDeniedError,
    CrossSiteRequestError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidProofError,
    InvalidRequestError,
    InvalidTokenError,
    MissingCredentialsError,
    QuotaUnavailableError,
    RateLimitedError,
    RefusedError,
    UnacceptedCredentialError,
    UnexpectedError,
    VerificationUnavailableError,
)
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, claims, make_token

HTML = {"accept": "text/html"}
ERRORS = [
    InvalidRequestError(),
    MissingCredentialsError(),
    UnacceptedCredentialError(),
    InvalidTokenError(),
    InvalidProofError(),
    InsufficientUserAuthenticationError(),
    InsufficientScopeError(),
    AddressDeniedError(),
    CrossSiteRequestError(),
    RateLimitedError("a", quota=1, window=60, retry_after=1),
    UnexpectedError(),
    VerificationUnavailableError(),
    QuotaUnavailableError(),
]


class OwnError(RefusedError):
    """Be an error of an application with text that looks like markup."""

    status_code = 403
    code = "<script>"
    title = "<b>no</b>"
    detail = 'a & "b"'


def guard(*rules, **options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    keys = APIKeyVerifier({"sk_live_0123456789": APIKey("bob")})
    return Guard(jwt, keys, protected_paths=["/", *rules], cookie=AccessCookie(secure=False), **options)


def shape(answer):
    """Return all of an answer except its exception."""
    return (answer.status, answer.headers, answer.body, answer.is_page)


def refusal(own_guard, request):
    """Return the refusal, after a check that the straight path and the flow give the same one."""
    flowing = run(own_guard.decide(request, NOW)).refusal
    recalled = own_guard.recall(request.presented, (request.method, request.path, request.root_path), NOW)
    if hasattr(recalled, "refusal"):
        assert shape(own_guard.present(request, recalled, NOW).refusal) == shape(flowing)
    return flowing


def browser(path="/x", *, method="GET", root_path="", **fields):
    return FakeRequest(path, method=method, root_path=root_path, headers=HTML | fields)


def links(answer):
    return re.findall('href="([^"]*)"', answer.body.decode())


@pytest.mark.parametrize("sign_in", [None, "/login?next=%2F" + "x" * 5000], ids=["plain", "a long link"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_each_error_has_a_small_page(error, sign_in):
    """The page of each error has a language, a title, one heading, a sentence and the error code."""
    page = page_of(error, sign_in).decode()
    assert len(page.encode()) < 4096
    assert '<html lang="en">' in page
    title, heading = re.search("<title>(.+)</title>", page)[1], re.search("<h1>(.+)</h1>", page)[1]
    assert title == heading
    assert page.count("<p>") >= 1
    assert f"{error.status_code} {error.code}" in page
    assert "<script" not in page


def test_a_page_says_what_to_do_next_where_nothing_links_to_a_login_page():
    """A page without a link to a login page tells the user to sign in, unless a sign-in would not help."""
    assert (
        "Sign in on this site, and open this page again." in page_of(MissingCredentialsError(), None).decode()
    )
    assert "Sign in" not in page_of(MissingCredentialsError(), "/l").decode().replace(">Sign in<", "")
    assert "Sign in" not in page_of(UnacceptedCredentialError(), None).decode()


def test_what_an_application_says_is_escaped():
    """The text of an application's error is escaped."""
    page = page_of(OwnError(), '/login?next="><script>').decode()
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "a &amp; &quot;b&quot;" in page
    assert "<script" not in page


def test_the_style_is_the_only_thing_that_the_policy_allows():
    """The policy of a page allows its style alone, by digest."""
    answer = refuse(MissingCredentialsError(), Challenges("api")).with_page()
    style = re.search("<style>(.*)</style>", answer.body.decode())[1]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = dict(answer.headers)["content-security-policy"]
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"style-src 'sha256-{digest}'"
    )


def test_a_page_keeps_what_programs_are_told():
    """A page has the same status, challenge, caching and Vary as the problem document."""
    program = refusal(guard(), FakeRequest("/x"))
    page = refusal(guard(), browser())
    assert (page.status, page.is_page, program.is_page) == (401, True, False)
    for name in ("www-authenticate", "cache-control", "x-content-type-options", "vary"):
        assert dict(page.headers)[name] == dict(program.headers)[name]
    assert dict(page.headers)["vary"] == "Accept, Sec-Fetch-Mode"


@pytest.mark.parametrize(
    ("retry_after", "words"),
    [
        (1, "1 second"),
        (2, "2 seconds"),
        (120, "120 seconds"),
        (121, "3 minutes"),
        (7200, "120 minutes"),
        (7201, "3 hours"),
        (200_000, "3 days"),
    ],
)
def test_a_page_says_when_to_try_again(retry_after, words):
    """A page names a time to try again that is not shorter than `Retry-After`."""
    error = RateLimitedError("a", quota=1, window=60, retry_after=retry_after)
    assert f"Try again in {words}." in page_of(error, None).decode()


def test_a_quota_is_refused_by_a_page():
    """The refusal of a quota is a page with `Retry-After`."""
    own_guard = guard(quotas=[Quota(1, 60)])
    request = browser(cookie=f"access_token={make_token()}")
    run(own_guard.decide(request, NOW))
    answer = run(own_guard.decide(request, NOW)).refusal
    assert (answer.status, answer.is_page, "retry-after" in dict(answer.headers)) == (429, True, True)


def test_a_page_without_a_login_page_links_nowhere():
    """A page has no link if the guard has no login page."""
    assert links(refusal(guard(), browser())) == []


@pytest.mark.parametrize(
    ("request_", "link"),
    [
        (browser("/api"), "/login?next=%2Fapi"),
        (browser("/api", root_path="/app"), "/app/login?next=%2Fapp%2Fapi"),
        (browser("/api", method="POST"), "/login"),
        (browser("/x", method="POST"), "/login"),
        (browser("/x", authorization="Bearer a.b.c"), "/login?next=%2Fx"),
        (browser("/own", method="POST"), "/sign-in"),
    ],
    ids=["no redirect", "mounted", "a form, no redirect", "a form", "a bad token", "of the rule"],
)
def test_a_page_links_to_the_login_page(request_, link):
    """A page links to the login page where no redirect leads to it."""
    rules = [Rule("/api", login_redirect=False), Rule("/own", login_path="/sign-in")]
    answer = refusal(guard(*rules, login_path="/login"), request_)
    assert (answer.status, answer.is_page, links(answer)) == (401, True, [link])


def test_a_page_about_an_old_sign_in_links_to_another():
    """The link of a page about an old sign-in has the required `max_age`."""
    rule = Rule("/x", max_age=60, login_redirect=False)
    token = make_token(claims(auth_time=NOW - 100))
    answer = refusal(guard(rule, login_path="/login"), browser(cookie=f"access_token={token}"))
    assert links(answer) == ["/login?next=%2Fx&amp;max_age=60"]


@pytest.mark.parametrize("rule", [Rule("/x", credentials=["api_key"]), Rule("/x", scopes=["a"])], ids=str)
def test_a_page_does_not_link_where_signing_in_is_in_vain(rule):
    """A page has no link to the login page if a sign-in would not help."""
    request = browser(cookie=f"access_token={make_token()}")
    answer = refusal(guard(rule, login_path="/login"), request)
    assert (answer.is_page, links(answer)) == (True, [])


def test_a_handshake_is_refused_without_a_page():
    """A refused handshake gets a problem document, even if it accepts HTML."""
    answer = run(guard().decide(browser(method="WEBSOCKET"), NOW)).refusal
    assert (answer.is_page, json.loads(answer.body)["status"]) == (False, 401)
    assert "vary" not in dict(answer.headers)


def test_a_connection_that_is_checked_again_gets_no_page():
    """A connection that is refused at a recheck gets no page."""
    own_guard = guard()
    request = browser(method="WEBSOCKET", authorization=f"Bearer {make_token()}")
    allowed = run(own_guard.decide(request, NOW))
    assert run(own_guard.recheck(request, allowed.auth, NOW + 10_000)).refusal.is_page is False


def test_an_application_replaces_the_page():
    """`on_error` can replace the page, and the policy of the old page is removed."""

    def own(request, refusal):
        if not refusal.is_page:
            return refusal
        return refusal.with_body(f"<h1>{refusal.status}</h1>", "text/html; charset=utf-8")

    own_guard = guard(on_error=own)
    page, program = refusal(own_guard, browser()), refusal(own_guard, FakeRequest("/x"))
    assert page.body == b"<h1>401</h1>"
    assert "content-security-policy" not in dict(page.headers)
    assert json.loads(program.body)["status"] == 401


def test_an_application_does_without_pages():
    """`on_error` can return the problem document for all callers."""
    own_guard = guard(on_error=lambda _, refusal: refusal.as_problem())
    page, program = refusal(own_guard, browser()), refusal(own_guard, FakeRequest("/x"))
    assert shape(page) == shape(program)


def test_a_problem_names_the_limits_as_before():
    """`as_problem` of a page returns the body and the fields of the first answer."""
    error = RateLimitedError("a", quota=1, window=60, retry_after=9)
    made = refuse(error, Challenges("api"))
    assert sorted(made.with_page().as_problem().headers) == sorted(made.headers)
    assert made.with_page().as_problem().body == made.body


def test_a_function_that_raises_leaves_a_page():
    """A page is sent as a 500 if `on_error` raises."""
    answer = run(guard(on_error=lambda *_: 1 / 0).decide(browser(), NOW)).refusal
    assert (answer.status, answer.is_page) == (500, True)


def test_a_login_redirect_is_no_page():
    """A login redirect is no page, and `on_error` is not called for it."""
    seen = []
    own_guard = guard(login_path="/login", on_error=lambda _, refusal: seen.append(refusal) or refusal)
    answer = refusal(own_guard, browser())
    assert (answer.status, answer.is_page, seen) == (303, False, [])
    assert answer.with_page() == answer.as_problem() == answer


def test_nothing_that_the_caller_sent_is_on_the_page():
    """A page shows neither the path nor the fields of the request."""
    answer = refusal(guard(), browser("/<marker>", cookie="access_token=marker"))
    assert b"marker" not in answer.body
