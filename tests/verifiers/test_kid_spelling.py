"""The comparison of the `kid` of a token, which is case-sensitive (RFC 7515 section 4.1.4)."""

import pytest

from authguard import Credential, InvalidTokenError, JWTVerifier
from support import AUDIENCE, ISSUER, NOW, ec_key, judge, jwk, make_token, rsa_key

OTHERS = (
    "key-1",
    "KEY-1",
    " Key-1",
    "Key-1 ",
    "Key-1\n",
    "Key-1\0",
    "Key\u20111",
    "Key-\uff11",
    "Key-",
    "ey-1",
    "Key-1,Key-2",
    "",
)
KEYS = {
    "keys": [
        jwk(ec_key(), kid="Key-1", alg="ES256"),
        jwk(rsa_key(), kid="key-2", alg="RS256"),
        jwk(ec_key("P-384"), kid="KEY-2", alg="ES384"),
    ]
}


def _verify(kid, algorithm="ES256", key=None):
    verifier = JWTVerifier(KEYS, algorithms=["ES256", "ES384", "RS256"], issuer=ISSUER, audience=AUDIENCE)
    token = make_token(algorithm=algorithm, key=key or ec_key(), kid=kid)
    return judge(verifier, Credential(token, "bearer"), NOW).principal.key_id


def test_the_kid_as_it_is_finds_its_key():
    """Two kids that differ in case have a key each."""
    results = [
        _verify("Key-1"),
        _verify("key-2", "RS256", rsa_key()),
        _verify("KEY-2", "ES384", ec_key("P-384")),
    ]
    assert results == ["Key-1", "key-2", "KEY-2"]


@pytest.mark.parametrize("kid", OTHERS, ids=ascii)
def test_a_kid_of_another_spelling_finds_no_key(kid):
    """A kid that differs in case, white space or similar characters finds no key."""
    with pytest.raises(InvalidTokenError):
        _verify(kid)


@pytest.mark.parametrize(("kid", "algorithm"), [("KEY-2", "RS256"), ("key-2", "ES384")])
def test_a_kid_of_another_case_is_another_key(kid, algorithm):
    """The key of a name in another case verifies no token."""
    key = rsa_key() if algorithm == "RS256" else ec_key("P-384")
    with pytest.raises(InvalidTokenError):
        _verify(kid, algorithm, key)
