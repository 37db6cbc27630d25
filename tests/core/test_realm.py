"""The texts that a guard accepts as its realm, which is quoted in each challenge."""

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier
from authguard._core.answer.refusal import check_realm
from support import SECRET

BAD = [
    'a"b',
    '"',
    "a\\b",
    "a\nb",
    "a\r\nSet-Cookie: b=c",
    "a\tb",
    "a\x00b",
    "a\x7fb",
    "caf\xe9",
    "\u2028",
    5,
    None,
    b"api",
]


@pytest.mark.parametrize("realm", BAD, ids=ascii)
def test_a_realm_that_would_end_its_quotes_is_refused(realm):
    """A realm with a quote, a backslash, a control character or beyond ASCII is refused."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    with pytest.raises(
        ConfigurationError, match="realm must be printable ASCII without quotes and backslashes"
    ):
        Guard(jwt, realm=realm)


@pytest.mark.parametrize("realm", ["api", "a b", "https://api.example/", "a,b=c;d", "{}[]<>'", "~"])
def test_any_other_printable_ascii_is_a_realm(realm):
    """Any other printable ASCII is accepted as a realm."""
    assert check_realm(realm) == realm


def test_an_empty_realm_is_taken():
    """An empty realm is accepted (RFC 9110 section 11.5)."""
    assert check_realm("") == ""
