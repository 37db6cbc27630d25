"""Cookies that somebody else sets, by their exact name: `host_prefix=False`."""

import pytest

from authguard import AccessCookie, ConfigurationError, Guard, JWTVerifier
from authguard._core.answer.decision import Allow, Deny
from authguard.drivers import run
from authguard.errors import InvalidRequestError
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, claims, make_token

NAMES = [
    "__session",
    "CF_Authorization",
    "fastapiusersauth",
    "__Secure-next-auth.session-token",
    "__Host-session",
]


def request(cookies, **options):
    fields = [("cookie", cookies), *options.pop("fields", ())]
    return FakeRequest(headers=fields, credential_fields=(b"authorization", b"cookie"), **options)


def foreign(name, **options):
    return AccessCookie(name, host_prefix=False, **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_cookie_is_read_by_its_exact_name(name):
    """With no prefix before it, and one that the name has stays."""
    assert foreign(name).read(request(f"theme=dark; {name}=a.b.c")) == "a.b.c"
    others = [f"__Host-{name}", name.swapcase(), f"x{name}", f"{name}x", name[1:]]
    assert foreign(name).read(request("; ".join(f"{other}=x" for other in others))) is None


def test_the_prefixed_cookie_of_the_default_is_another():
    """Each of the two options reads its own name alone."""
    assert AccessCookie("session").read(request("session=x")) is None
    assert foreign("session").read(request("__Host-session=x")) is None


def test_a_planted_second_cookie_is_refused():
    """Without the prefix a sibling domain can set one of the same name; which of them counts is a guess."""
    with pytest.raises(InvalidRequestError):
        foreign("__session").read(request("__session=a; __session=b"))


@pytest.mark.parametrize("name", NAMES[:3])
def test_what_is_set_by_it_has_the_exact_name(name):
    """And is kept from scripts and plain http as ever."""
    cookie = foreign(name)
    assert cookie.issue("a.b.c", max_age=60) == (
        f"{name}=a.b.c; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie.clear() == f"{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert "Secure" not in foreign(name, secure=False).issue("a.b.c", max_age=60)


@pytest.mark.parametrize("name", ["__Host-session", "__host-session", "__Secure-session"])
def test_a_prefix_needs_the_option(name):
    """The error says what to write; and browsers keep such a cookie under https only."""
    with pytest.raises(ConfigurationError, match="host_prefix=False"):
        AccessCookie(name)
    with pytest.raises(ConfigurationError, match="secure must be True"):
        foreign(name, secure=False)


@pytest.mark.parametrize("scheme", ["https", "http", "wss"])
def test_a_hint_names_the_option_where_the_plain_name_comes(scheme):
    """Else a cookie of a provider would be a 401 without a reason."""
    hint = AccessCookie("session").hint(request("session=x", scheme=scheme))
    assert "its name must be __Host-session" in hint
    assert "AccessCookie('session', host_prefix=False)" in hint
    assert ("secure=False" in hint) is (scheme == "http")


def test_there_is_no_hint_about_a_name_that_is_read():
    """Over http the cookie comes by the name that is looked for."""
    assert foreign("session").hint(request("session=x", scheme="http")) is None


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ([("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "cross-site")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([], False),
    ],
)
def test_another_site_cannot_use_it(fields, allowed):
    """Unsafe methods have to show that this site started them, as with a cookie of our own."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(jwt, cookie=foreign("__session"))
    posted = request(f"__session={make_token(claims())}", method="POST", fields=fields)
    assert isinstance(run(guard.decide(posted, NOW)), Allow if allowed else Deny)


@pytest.mark.parametrize("name", NAMES)
def test_a_guard_with_a_login_page_takes_each_name(name):
    """Its cookie against redirect loops is named after it."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    assert Guard(jwt, cookie=foreign(name), login_path="/login")
