"""A token among the subprotocols that a websocket offers."""

import pytest

from authguard import ConfigurationError
from authguard._core.credential.subprotocol import Subprotocol
from support import b64

AUTHGUARD = Subprotocol("authguard")


def authorization(text):
    return AUTHGUARD.authorization(f"authguard.bearer.{text}")


@pytest.mark.parametrize(
    ("offered", "has"),
    [
        ("authguard.bearer.eA", True),
        ("authguard.bearer.", True),
        ("authguard", False),
        ("authguard.bearer", False),
        ("authguard.bearers.eA", False),
        ("Authguard.Bearer.eA", False),
        ("xauthguard.bearer.eA", False),
        ("chat", False),
        ("", False),
    ],
)
def test_a_token_is_known_by_its_prefix(offered, has):
    """A token is recognised by the exact prefix (RFC 6455 section 1.9)."""
    assert AUTHGUARD.has_token(offered) is has


@pytest.mark.parametrize("token", ["a.b.c", "opaque", "sk_live_0123456789", "a-._~+/b", "padded=="])
def test_a_token_becomes_an_authorization_field(token):
    """A token is converted to the value of an Authorization field."""
    assert authorization(b64(token.encode())) == b"Bearer " + token.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e",
        "eB",
        "eA==",
        "eHh=",
        "a+b/",
        "eA.eA",
        "eA eA",
        "\xe9A",
        "eA\n",
        b64(b" x"),
        b64(b"x "),
        b64(b"x y"),
        b64(b"x, Bearer y"),
        b64(b"x\r\ny"),
        b64(b"x\n"),
        b64(b"\x00"),
        b64(b"\xff"),
        b64(b"=="),
    ],
    ids=ascii,
)
def test_what_is_no_token_is_a_malformed_field(text):
    """Another encoding, or more than one token, becomes a malformed field."""
    assert authorization(text) == b"Bearer"


@pytest.mark.parametrize(
    "name", ["authguard", "v1.authguard.example", "a!#$%&'*+.^_`|~-9", "bearer", "a.bearers"]
)
def test_a_name_that_can_be_offered(name):
    """Any token of RFC 9110 is a valid name."""
    assert Subprotocol(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a,b",
        'a"b',
        "caf\xe9",
        "a\n",
        "a.bearer",
        "a.bearer.b",
        "a.Bearer.b",
        ".bearer.",
        b"a",
        7,
        True,
    ],
    ids=repr,
)
def test_a_name_that_cannot_be_meant(name):
    """A name that is no token, or that looks like an offer with a token, is refused."""
    with pytest.raises(ConfigurationError, match="must be a name such as 'authguard'"):
        Subprotocol(name)


def test_what_it_shows_of_itself():
    """The repr shows the name."""
    assert repr(AUTHGUARD) == "Subprotocol('authguard')"


@pytest.mark.parametrize("size", [16 * 1024 + 1, 16 * 1024 + 2, 16 * 1024 + 3, 65_536, 1_048_576])
def test_a_token_that_is_too_long_is_refused_as_too_long(size):
    """A token that is too long is cut to one byte more than the limit before it is decoded."""
    assert len(authorization(b64(b"b" * size))) == len(b"Bearer ") + 16 * 1024 + 1


def test_the_longest_token_is_read():
    """A token of the maximal length is read."""
    assert authorization(b64(b"a" * 16 * 1024)) == b"Bearer " + b"a" * 16 * 1024
