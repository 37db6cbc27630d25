"""Cookies that another program sets, which are read by their exact name: `host_prefix=False`."""

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
    """The cookie is read by its exact name, and a similar name is ignored."""
    assert foreign(name).read(request(f"theme=dark; {name}=a.b.c")) == "a.b.c"
    others = [f"__Host-{name}", name.swapcase(), f"x{name}", f"{name}x", name[1:]]
    assert foreign(name).read(request("; ".join(f"{other}=x" for other in others))) is None


def test_the_prefixed_cookie_of_the_default_is_another():
    """Without the option only the name with the prefix is read, and with it only the exact name."""
    assert AccessCookie("session").read(request("session=x")) is None
    assert foreign("session").read(request("__Host-session=x")) is None


def test_a_planted_second_cookie_is_refused():
    """Two cookies of the same name are refused, because a sibling domain can set the second one."""
    with pytest.raises(InvalidRequestError):
        foreign("__session").read(request("__session=a; __session=b"))


@pytest.mark.parametrize("name", NAMES[:3])
def test_what_is_set_by_it_has_the_exact_name(name):
    """The cookie is set with its exact name, HttpOnly and Secure."""
    cookie = foreign(name)
    assert cookie.issue("a.b.c", max_age=60) == (
        f"{name}=a.b.c; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie.clear() == f"{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert "Secure" not in foreign(name, secure=False).issue("a.b.c", max_age=60)


@pytest.mark.parametrize("name", ["__Host-session", "__host-session", "__Secure-session"])
def test_a_prefix_needs_the_option(name):
    """A name with a prefix is refused without `host_prefix=False` and with `secure=False`."""
    with pytest.raises(ConfigurationError, match="host_prefix=False"):
        AccessCookie(name)
    with pytest.raises(ConfigurationError, match="secure must be True"):
        foreign(name, secure=False)


@pytest.mark.parametrize("scheme", ["https", "http", "wss"])
def test_a_hint_names_the_option_where_the_plain_name_comes(scheme):
    """A cookie with the plain name gets a hint that names `host_prefix=False`."""
    hint = AccessCookie("session").hint(request("session=x", scheme=scheme))
    assert "its name must be __Host-session" in hint
    assert "AccessCookie('session', host_prefix=False)" in hint
    assert ("secure=False" in hint) is (scheme == "http")


def test_there_is_no_hint_about_a_name_that_is_read():
    """A cookie that is read gets no hint."""
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
    """A request by an unsafe method must show that the same site started it."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    guard = Guard(jwt, cookie=foreign("__session"))
    posted = request(f"__session={make_token(claims())}", method="POST", fields=fields)
    assert isinstance(run(guard.decide(posted, NOW)), Allow if allowed else Deny)


@pytest.mark.parametrize("name", NAMES)
def test_a_guard_with_a_login_page_takes_each_name(name):
    """A guard with a login page accepts each of these cookie names."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    assert Guard(jwt, cookie=foreign(name), login_path="/login")
