"""What a guard takes as its realm, which stands between quotes in every challenge."""

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
    """A quote, a backslash, a control character, or what is no ASCII text would change the challenge."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    with pytest.raises(
        ConfigurationError, match="realm must be printable ASCII without quotes and backslashes"
    ):
        Guard(jwt, realm=realm)


@pytest.mark.parametrize("realm", ["api", "a b", "https://api.example/", "a,b=c;d", "{}[]<>'", "~"])
def test_any_other_printable_ascii_is_a_realm(realm):
    """It is quoted as it is."""
    assert check_realm(realm) == realm


def test_an_empty_realm_is_taken():
    """RFC 9110 section 11.5 does not ask for more than a quoted string."""
    assert check_realm("") == ""
