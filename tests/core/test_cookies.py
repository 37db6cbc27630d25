"""The access token in a cookie."""

from datetime import timedelta
from math import inf

import pytest

from authguard import AccessCookie, ConfigurationError
from authguard.errors import InvalidRequestError
from support import FakeRequest

COOKIE = AccessCookie()
DEVELOPMENT = AccessCookie(secure=False)


@pytest.mark.parametrize(
    "name", ["", "a b", "a=b", "a;b", "ä", "__Host-a", "__host-a", "__Secure-a", "a\n"], ids=repr
)
def test_names_that_browsers_would_not_send_are_refused(name):
    """A cookie name with a prefix or with characters outside of a token is refused."""
    with pytest.raises(ConfigurationError):
        AccessCookie(name)


@pytest.mark.parametrize(
    "origins",
    [
        "https://a.example",
        ["a.example"],
        ["https://a.example/"],
        ["https://A.example"],
        ["*"],
        ["null"],
        ["https://"],
    ],
    ids=repr,
)
def test_origins_that_browsers_would_not_send_are_refused(origins):
    """A trusted origin must be scheme, host and port in lower case."""
    with pytest.raises(ConfigurationError):
        AccessCookie(trusted_origins=origins)


def test_the_origins_may_be_an_iterator():
    """All origins of an iterator are kept, although checking them uses the iterator up."""
    cookie = AccessCookie(trusted_origins=iter(["https://a.example"]))
    assert cookie.trusted_origins == {"https://a.example"}


@pytest.mark.parametrize("scheme", [None, "https", "http", "wss", "ws", ""], ids=repr)
def test_issue_is_secure_and_prefixed_whatever_the_scheme(scheme):
    """The cookie has `__Host-`, HttpOnly and Secure for each scheme, also behind a proxy that ends TLS."""
    assert COOKIE.issue("a.b.c", scheme=scheme, max_age=60) == (
        "__Host-access_token=a.b.c; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


@pytest.mark.parametrize("scheme", [None, "https", "http"], ids=repr)
def test_issue_for_development_has_the_plain_name(scheme):
    """With `secure=False` the cookie has its plain name and no Secure, for browsers under plain http."""
    assert DEVELOPMENT.issue("a.b.c", scheme=scheme, max_age=60) == (
        "access_token=a.b.c; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize("secure", [None, 1, 0, "true", "", [], "https"], ids=repr)
def test_secure_is_true_or_false(secure):
    """Any other value than True or False is refused."""
    with pytest.raises(ConfigurationError, match=r"secure must be True, or False .* got "):
        AccessCookie(secure=secure)


@pytest.mark.parametrize(
    ("cookie", "request_", "hinted"),
    [
        ("default", ("access_token=t", "http"), True),
        ("default", ("a=b; access_token=", "http"), True),
        ("default", ("access_token=t", "ws"), True),
        ("default", ("access_token=t", "https"), False),
        ("default", ("__Host-access_token=t", "http"), False),
        ("default", ("other=t", "http"), False),
        ("development", ("access_token=t", "http"), False),
    ],
    ids=str,
)
def test_a_cookie_of_a_development_site_is_hinted_at(cookie, request_, hinted):
    """A cookie with the plain name over http gets the hint to set `secure=False`."""
    value, scheme = request_
    hint = {"default": COOKIE, "development": DEVELOPMENT}[cookie].hint(with_cookies(value, scheme=scheme))
    assert (hint is not None and "AccessCookie('access_token', secure=False)" in hint) is hinted


@pytest.mark.parametrize("token", ["", "a b", "a;b", "a\r\nSet-Cookie: x", "ä", 'a"', "a,b"], ids=repr)
def test_what_cookies_cannot_carry_is_no_token(token):
    """A token with characters that a cookie cannot carry is refused."""
    with pytest.raises(ValueError, match="cannot be a token"):
        COOKIE.issue(token, scheme="https", max_age=60)


@pytest.mark.parametrize(
    ("token", "error"),
    [(b"abc", r"got bytes: write token\.decode\(\)"), (None, "got None"), (["abc"], "got list")],
)
def test_a_token_for_the_cookie_is_text(token, error):
    """A token that is not text is refused, and the error names its type alone."""
    with pytest.raises(ConfigurationError, match=f"token must be text, {error}"):
        COOKIE.issue(token, max_age=60)


@pytest.mark.parametrize(
    ("length", "fits"), [(4096 - 19, True), (4096 - 18, False)], ids=["fits", "too-large"]
)
def test_a_token_too_large_for_browsers_is_refused(length, fits):
    """A cookie whose name and value are longer than 4096 bytes is refused."""
    assert len("__Host-access_token") == 19
    if fits:
        assert COOKIE.issue("a" * length, scheme="https", max_age=1)
    else:
        with pytest.raises(ValueError, match="drop"):
            COOKIE.issue("a" * length, scheme="https", max_age=1)


def test_clear_has_the_same_name_and_attributes():
    """`clear` has the name and the attributes of `issue`, because browsers compare them."""
    assert COOKIE.clear() == COOKIE.clear(scheme="http")
    assert COOKIE.clear() == "__Host-access_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert DEVELOPMENT.clear() == "access_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"


def with_cookies(*values, scheme="https"):
    return FakeRequest(headers=[("cookie", value) for value in values], scheme=scheme)


@pytest.mark.parametrize(
    ("request_", "token"),
    [
        (with_cookies("__Host-access_token=a.b.c"), "a.b.c"),
        (with_cookies("x=1; __Host-access_token=a.b.c; y=2"), "a.b.c"),
        (with_cookies("x=1;\t__Host-access_token=a=b"), "a=b"),
        (with_cookies("x=1", "__Host-access_token=t"), "t"),
        (with_cookies("access_token=t", scheme="http"), None),
        (with_cookies("__Host-access_token=t; access_token=u"), "t"),
        (with_cookies("__Host-access_token=t", scheme="wss"), "t"),
        (with_cookies("access_token=t"), None),
        (with_cookies("__Host-access_token=t", scheme="http"), "t"),
        (with_cookies("__host-access_token=t"), None),
        (with_cookies("__Host-access_token="), None),
        (with_cookies("__Host-access_token"), None),
        (with_cookies(";;=;"), None),
        (with_cookies(), None),
    ],
    ids=[
        "alone",
        "among-others",
        "tab",
        "split-field",
        "plain-under-http",
        "both",
        "wss",
        "plain-under-https",
        "prefixed-under-http",
        "case",
        "empty",
        "no-value",
        "rubbish",
        "none",
    ],
)
def test_the_token_is_read(request_, token):
    """The token is read from the cookie with the prefix, for any scheme of the server."""
    assert COOKIE.read(request_) == token


def test_the_token_is_read_for_development():
    """With `secure=False` the token is read from the cookie with the plain name alone."""
    assert DEVELOPMENT.read(with_cookies("access_token=t; __Host-access_token=u", scheme="http")) == "t"
    assert DEVELOPMENT.read(with_cookies("__Host-access_token=u", scheme="https")) is None


@pytest.mark.parametrize(
    "request_",
    [
        with_cookies("__Host-access_token=a; __Host-access_token=b"),
        with_cookies("__Host-access_token=a", "__Host-access_token=a"),
        with_cookies("__Host-access_token=; __Host-access_token=a"),
    ],
    ids=["one-field", "two-fields", "one-empty"],
)
def test_a_cookie_sent_twice_is_refused(request_):
    """Two cookies of the same name are refused, because one of them may be planted."""
    with pytest.raises(InvalidRequestError):
        COOKIE.read(request_)


def post(headers, *, method="POST", scheme="https"):
    return FakeRequest(method=method, headers=headers, scheme=scheme)


SITE, MODE, ORIGIN, HOST = "sec-fetch-site", "sec-fetch-mode", "origin", "host"
APP = (HOST, "app.example")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_never_count(method):
    """A request by a safe method is never cross-site."""
    assert COOKIE.is_cross_site(post([(SITE, "cross-site")], method=method)) is False


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "WEBSOCKET", "get", "TRACE"])
def test_other_methods_count(method):
    """A cross-site request by any other method is cross-site."""
    assert COOKIE.is_cross_site(post([(SITE, "cross-site")], method=method)) is True


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        (post([(SITE, "same-origin")]), False),
        (post([(SITE, "same-site")]), True),
        (post([(SITE, "cross-site")]), True),
        (post([(SITE, "none")]), True),
        (post([(SITE, "none"), (MODE, "navigate")]), False),
        (post([(SITE, "none"), (MODE, "navigate")], method="WEBSOCKET"), True),
        (post([(SITE, "same-origin"), (SITE, "cross-site")]), True),
        (post([(SITE, "")]), True),
        (post([(SITE, "cross-site"), (ORIGIN, "https://app.example"), APP]), True),
        (post([APP]), None),
        (post([]), None),
        (post([(ORIGIN, "https://app.example"), APP]), False),
        (post([(ORIGIN, "https://app.example"), (HOST, "APP.example:443")]), False),
        (post([(ORIGIN, "http://app.example"), APP]), True),
        (post([(ORIGIN, "http://app.example"), APP], scheme="http"), False),
        (post([(ORIGIN, "http://app.example"), (HOST, "app.example:80")], scheme="http"), False),
        (post([(ORIGIN, "https://app.example"), APP], scheme="http"), False),
        (post([(ORIGIN, "https://app.example"), APP], scheme="wss"), False),
        (post([(ORIGIN, "https://app.example:8443"), APP]), True),
        (post([(ORIGIN, "https://evil.example"), APP]), True),
        (post([(ORIGIN, "null"), APP]), True),
        (post([(ORIGIN, ""), APP]), True),
        (post([(ORIGIN, "https://app.example")]), True),
        (post([(ORIGIN, "https://"), (HOST, "")]), True),
        (post([(ORIGIN, "https://app.example"), (ORIGIN, "https://app.example"), APP]), True),
        (post([(ORIGIN, "https://evil.example"), APP, (HOST, "evil.example")]), True),
    ],
    ids=[
        "same-origin",
        "same-site",
        "cross-site",
        "none",
        "typed",
        "typed-websocket",
        "two-sites",
        "empty-site",
        "site-beats-origin",
        "nothing",
        "no-fields",
        "origin",
        "default-port",
        "other-scheme",
        "http",
        "http-port",
        "behind-proxy",
        "wss",
        "other-port",
        "other-origin",
        "null",
        "empty-origin",
        "no-host",
        "empty-host",
        "two-origins",
        "two-hosts",
    ],
)
def test_who_started_the_request(request_, verdict):
    """Fetch Metadata decides, and without it Origin compared with Host; without both the result is None."""
    assert COOKIE.is_cross_site(request_) is verdict


def test_a_trusted_origin_may_send_unsafe_requests():
    """A trusted origin is not cross-site, even if Fetch Metadata has another value."""
    cookie = AccessCookie(trusted_origins=["https://spa.example"])
    assert cookie.is_cross_site(post([(ORIGIN, "https://spa.example"), (SITE, "same-site"), APP])) is False


def test_trust_in_one_origin_is_no_trust_in_another():
    """An origin beside a trusted one is cross-site."""
    cookie = AccessCookie(trusted_origins=["https://spa.example"])
    assert cookie.is_cross_site(post([(ORIGIN, "https://evil.example"), (SITE, "same-site"), APP])) is True


def test_a_cookie_may_last_until_the_browser_is_closed() -> None:
    """A cookie with `max_age=None` has no Max-Age."""
    assert COOKIE.issue("a.b.c", max_age=None) == (
        "__Host-access_token=a.b.c; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


def test_a_cookie_beside_another_has_its_attributes() -> None:
    """`beside` returns a cookie with the same prefix option, and without `no_store`."""
    cookie = AccessCookie("__Secure-a", host_prefix=False, no_store=True).beside("remember")
    assert cookie == AccessCookie("__Secure-a-remember", host_prefix=False)
    assert AccessCookie("a", secure=False).beside("x").clear().startswith("a-x=;")


def test_an_origin_of_plain_http_is_trusted_only_on_loopback():
    """A trusted origin of plain http is refused, except on loopback or with `secure=False`."""
    with pytest.raises(ConfigurationError, match="each of trusted_origins must be https"):
        AccessCookie(trusted_origins=["http://app.example.com"])
    AccessCookie(trusted_origins=["http://localhost:3000", "https://app.example.com"])
    AccessCookie(trusted_origins=["http://app.example.com"], secure=False)


@pytest.mark.parametrize("age", [0, -1, 0.5, -inf, timedelta(0), timedelta(-1), timedelta(milliseconds=999)])
def test_a_lifetime_that_deletes_the_cookie_is_refused(age):
    """Browsers delete a cookie with a Max-Age of zero or less: this is for `clear`, not for a sign-in."""
    with pytest.raises(ConfigurationError, match=r"^max_age must be at least 1 seconds, got "):
        COOKIE.issue("a.b.c", max_age=age)


@pytest.mark.parametrize(("age", "shown"), [(1, 1), (1.9, 1), (timedelta(hours=1), 3600)])
def test_a_lifetime_of_a_second_or_more_is_kept(age, shown):
    """Parts of a second are left out."""
    assert f"; Max-Age={shown};" in COOKIE.issue("a.b.c", max_age=age)
