"""Log lines about keys that are skipped, and about errors that an endpoint answers with status 200."""

import logging

import pytest

from authguard import Credential, IntrospectionVerifier, InvalidTokenError, JWTVerifier, RemoteKeySet
from authguard.errors import InvalidSignatureError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, ed25519_key, jwk, make_token, rsa_key

URL = "https://issuer.example/jwks"
ENDPOINT = "https://issuer.example/introspect"
GOOD = jwk(ec_key(), kid="good", alg="ES256")


def verifier(*algorithms, url=URL):
    """Return a verifier with remote keys."""
    return JWTVerifier(
        RemoteKeySet(url, ttl=60),
        algorithms=algorithms or ["ES256", "RS256", "EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        required_claims=(),
    )


def token(kid, key=None, algorithm="ES256"):
    """Return a token of a key."""
    return make_token(claims(exp=NOW + 86400), algorithm=algorithm, key=key or ec_key(), kid=kid)


def verify(world, by, text, now=NOW):
    """Verify a token."""
    return world.run(by.flow(Credential(text, "bearer"), now))


def lines(caplog):
    """Return the warnings."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def _without(member, **changes):
    key = {**jwk(ec_key(), kid="bad", alg="ES256"), **changes}
    del key[member]
    return key


FAULTY = {
    "a missing number": (_without("y"), "key 'bad'"),
    "a number that is no text": ({**jwk(ec_key(), kid="bad", alg="ES256"), "x": 7}, "x must be text"),
    "a point that is not on the curve": (
        {**jwk(ec_key(), kid="bad", alg="ES256"), "x": "A" * 43},
        "members must be those of a public key",
    ),
    "a short key": ({**jwk(rsa_key(), kid="bad", alg="RS256"), "n": "u" * 170 + "s"}, "2048"),
    "a kid that is no text": ({**jwk(ec_key(), alg="ES256"), "kid": 7}, "kid must be text"),
    "a private key": ({**jwk(ec_key(), kid="bad", alg="ES256"), "d": "A" * 43}, "must be public"),
    "a secret": ({"kty": "oct", "kid": "bad", "alg": "HS256", "k": "A" * 43}, "must be public"),
    "an unknown type": ({"kty": "PQC", "kid": "bad", "alg": "ES256"}, "kty and crv must be"),
    "operations that are no list": (
        {**_without("alg"), "key_ops": "verify"},
        "key_ops",
    ),
    "no object": ("bad", "list of objects"),
}
OTHER_PURPOSE = {
    "encryption": {**jwk(rsa_key(), kid="enc", alg="RSA-OAEP"), "use": "enc"},
    "encryption without alg": {**jwk(rsa_key(), kid="enc"), "use": "enc"},
    "another alg": jwk(rsa_key(), kid="other", alg="PS512"),
    "an alg that is unknown": {**jwk(rsa_key(), kid="other"), "alg": "ML-DSA-65"},
    "another kind of key": jwk(ed25519_key(), kid="other"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_skipped_key_is_logged_when_the_set_is_loaded(fault, caplog):
    """The line has the URL, the kid and the reason; a token with the key is refused."""
    key, reason = FAULTY[fault]
    world, by = World(), verifier()
    world.pages[URL] = page({"keys": [GOOD, key]})
    verify(world, by, token("good"))
    (line,) = lines(caplog)
    assert line.startswith(f"a key of {URL} is skipped: ") and reason in line
    with pytest.raises(InvalidSignatureError):
        verify(world, by, token("bad"))
    assert lines(caplog) == [line]


@pytest.mark.parametrize("kind", OTHER_PURPOSE)
def test_a_key_for_another_purpose_is_not_logged(kind, caplog):
    """Keycloak, for example, has a key for encryption in each set."""
    world, by = World(), verifier("ES256")
    world.pages[URL] = page({"keys": [GOOD, OTHER_PURPOSE[kind]]})
    verify(world, by, token("good"))
    assert lines(caplog) == []
    assert by.health(NOW)[0].reason


def test_each_reason_is_logged_once(caplog):
    """A refresh logs only new reasons."""
    world, by = World(), verifier()
    first, second = FAULTY["a missing number"][0], FAULTY["an unknown type"][0]
    for round_, keys in enumerate([[first], [first], [first, second], [second], [first]]):
        world.pages[URL] = page({"keys": [GOOD, *keys]})
        verify(world, by, token("good"), NOW + 100 * round_)
    assert len(world.calls) == 5
    assert len(lines(caplog)) == 2


def test_two_keys_with_one_kid_are_logged(caplog):
    """Keys that cannot be distinguished are both skipped."""
    world, by = World(), verifier()
    other = jwk(ed25519_key(), kid="e", alg="EdDSA")
    twins = [jwk(rsa_key(), kid="twin", alg="RS256"), {**FAULTY["a short key"][0], "kid": "twin"}]
    world.pages[URL] = page({"keys": [GOOD, other, *twins]})
    verify(world, by, token("good"))
    assert any("several with the same kid 'twin'" in line for line in lines(caplog))


def test_a_reason_is_one_short_line(caplog):
    """A kid of the issuer cannot begin a line of its own, and is shortened."""
    world, by = World(), verifier()
    bad = {**FAULTY["a missing number"][0], "kid": "x\nERROR " + "y" * 5000}
    world.pages[URL] = page({"keys": [GOOD, bad]})
    verify(world, by, token("good"))
    (line,) = lines(caplog)
    assert "\n" not in line and len(line) < 700


def test_an_issuer_with_ever_new_reasons_takes_no_memory():
    """The reasons that are remembered are limited."""
    world, by = World(), verifier()
    for round_ in range(12):
        bad = [{**FAULTY["a missing number"][0], "kid": f"{round_}-{number}"} for number in range(60)]
        world.pages[URL] = page({"keys": [GOOD, *bad]})
        verify(world, by, token("good"), NOW + 100 * round_)
    assert len(by._keys._logged) <= 256


def introspection():
    """Return a verifier that asks an endpoint."""
    return IntrospectionVerifier(ENDPOINT, client_id="api", client_secret="s3cret", audience=AUDIENCE)


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"error": "invalid_client"}, "the error invalid_client,"),
        ({"error": "unauthorized_client", "error_description": "no"}, "the error unauthorized_client,"),
        ({"error": "x\ny"}, "the error another error,"),
        ({"error": "x" * 101}, "the error another error,"),
        ({"error": {"code": 7}}, "the error another error,"),
        ({"error": None}, "the error another error,"),
    ],
)
def test_an_error_with_status_200_is_logged_once_a_minute(document, shown, caplog):
    """The token is refused as inactive, and the reason is in the log."""
    world, by = World(), introspection()
    world.pages[ENDPOINT] = page(document)
    for number, (seconds, count) in enumerate([(0, 1), (1, 1), (59, 1), (60, 2), (61, 2), (130, 3)]):
        with pytest.raises(InvalidTokenError):
            verify(world, by, f"opaque-{number}", NOW + seconds)
        assert len(lines(caplog)) == count
    assert shown in lines(caplog)[0] and ENDPOINT in lines(caplog)[0]
    assert "s3cret" not in caplog.text and "opaque" not in caplog.text


@pytest.mark.parametrize("document", [{"active": False}, {"active": False, "error": "x"}, {}])
def test_an_inactive_token_is_not_logged(document, caplog):
    """An answer about the token is no fault."""
    world = World()
    world.pages[ENDPOINT] = page(document)
    with pytest.raises(InvalidTokenError):
        verify(world, introspection(), "opaque")
    assert lines(caplog) == []
