"""Places of tokens that no verifier reads, and prefixes of API keys that take every JWT away."""

import logging
from itertools import combinations

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ClientAuth,
    ConfigurationError,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    MutualTLS,
    Principal,
    Rule,
)
from support import AUDIENCE, ISSUER, SECRET

KEYS = {"sk_live_0123456789abcdef": APIKey("robot")}
PLACES = {
    "cookie": {"cookie": AccessCookie()},
    "proofs with DPoP": {"proofs": [DPoP("https://api.example")]},
    "subprotocol": {"subprotocol": "authguard"},
}


class TokensOfSignIn(JWTVerifier):
    """Need a cookie, a login page and a store of logouts."""

    def sentences_on(self, login_path, cookie, has_revocations):
        """Yield the options of the guard."""
        yield f"login_path={login_path} cookie={cookie} revocations={has_revocations}"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "login_path=None cookie=None revocations=False"),
        (
            {"login_path": "/login", "cookie": AccessCookie("a"), "revocations": MemoryRevocations()},
            "login_path=/login cookie=a revocations=True",
        ),
        ({"protected_paths": [Rule("/a", login_path="/in")]}, "login_path=/in cookie=None revocations=False"),
    ],
    ids=["none", "all", "of a rule"],
)
def test_a_verifier_may_warn_of_options_of_its_guard(caplog, options, sentence):
    """A guard reports the sentences of its verifiers about its options, as WARNINGs."""
    Guard(TokensOfSignIn(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE), **options)
    assert [(each.levelname, each.message) for each in caplog.records] == [("WARNING", sentence)]


def jwt(**options):
    """Return a verifier of JWTs."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE, **options)


def introspection(**options):
    """Return a verifier that asks an issuer."""
    url = "https://issuer.example/introspect"
    return IntrospectionVerifier(url, auth=ClientAuth.post("api", "s3cret"), audience=AUDIENCE, **options)


def own_keys(*prefixes):
    """Return a verifier of API keys."""
    return APIKeyVerifier(KEYS, prefixes=prefixes)


def keys_of_issuer(*prefixes):
    """Return a verifier that asks an issuer about API keys."""
    return introspection(prefixes=prefixes)


class OwnKeys:
    """Verify API keys of the application."""

    header = None
    prefixes = ("eyJ",)

    def verify(self, credential):
        """Return the same caller for each key."""
        return Principal("robot", method="api_key")


class OwnTokens:
    """Verify tokens of the application."""

    def verify(self, credential):
        """Return the same caller for each token."""
        return Principal("ann")


class SomeTokens(OwnTokens):
    """Verify some tokens of the application."""

    def accepts(self, credential):
        """Accept each token."""
        return True


WITHOUT_TOKENS = {
    "API keys": lambda: [APIKeyVerifier(KEYS, prefixes=[])],
    "API keys of an issuer": lambda: [introspection(header="X-Key")],
    "tokens in their own field": lambda: [jwt(header="X-Token")],
    "both": lambda: [APIKeyVerifier(KEYS, prefixes=[]), jwt(header="X-Token")],
}
WITH_TOKENS = {
    "JWTs": lambda: [jwt()],
    "opaque tokens": lambda: [introspection()],
    "JWTs and API keys": lambda: [APIKeyVerifier(KEYS), jwt()],
    "an own verifier": lambda: [OwnTokens()],
    "an own verifier of some tokens": lambda: [SomeTokens()],
}


def _warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("verifiers", WITHOUT_TOKENS)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_tokens_without_a_verifier_of_tokens_is_warned_of(place, verifiers, caplog):
    """A token in a place that no verifier reads is always refused, so the guard warns once."""
    Guard(*WITHOUT_TOKENS[verifiers](), **PLACES[place])
    (text,) = (text for text in _warned(caplog) if "must be for a verifier of tokens" in text)
    assert text.startswith(f"{place} must be for a verifier of tokens, got none")


@pytest.mark.parametrize("verifiers", WITH_TOKENS)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_tokens_with_a_verifier_of_tokens_is_meant(place, verifiers, caplog):
    """No warning comes if a verifier reads the tokens of the place."""
    Guard(*WITH_TOKENS[verifiers](), **PLACES[place])
    assert not [text for text in _warned(caplog) if "verifier of tokens" in text]


@pytest.mark.parametrize("first, second", list(combinations(PLACES, 2)))
def test_each_place_has_its_own_warning(first, second, caplog):
    """Two places are two warnings."""
    Guard(APIKeyVerifier(KEYS, prefixes=[]), **PLACES[first], **PLACES[second])
    assert len([text for text in _warned(caplog) if "verifier of tokens" in text]) == 2


def test_what_can_be_valid_with_api_keys_is_not_warned_of(caplog):
    """A key with a prefix may be in the subprotocol, and a key of an issuer may be bound to a certificate."""
    Guard(APIKeyVerifier(KEYS), subprotocol="authguard")
    Guard(introspection(header="X-Key"), proofs=[MutualTLS()])
    Guard(APIKeyVerifier(KEYS))
    assert not [text for text in _warned(caplog) if "verifier of tokens" in text]


@pytest.mark.parametrize("prefix", ["eyJ", "eyJh", "eyJhbGciOiJIUzI1NiJ9", "eyJ0eXAi"])
@pytest.mark.parametrize("keys", [own_keys, keys_of_issuer])
@pytest.mark.parametrize("tokens", [jwt, lambda: introspection(jwt=jwt())])
def test_a_prefix_that_each_jwt_has_is_refused(prefix, keys, tokens):
    """A JWT would be read as an API key, so the verifier of JWTs would never be asked."""
    for verifiers in ([keys("sk_", prefix), tokens()], [tokens(), keys(prefix)]):
        with pytest.raises(
            ConfigurationError, match=f"got the prefix '{prefix}', with which each JWT begins"
        ):
            Guard(*verifiers)


@pytest.mark.parametrize("prefix", ["e", "ey", "eyJ"])
def test_a_short_prefix_of_an_own_verifier_is_refused(prefix):
    """A verifier of the application may have a prefix of one letter."""
    own = OwnKeys()
    own.prefixes = (prefix,)
    with pytest.raises(ConfigurationError, match="with which each JWT begins"):
        Guard(own, jwt())


@pytest.mark.parametrize("prefix", ["sk_", "eyK", "EYJ", "Eyj", "xeyJ", "e_J"])
def test_another_prefix_is_accepted(prefix):
    """No JWT begins with these."""
    Guard(APIKeyVerifier(KEYS, prefixes=[prefix]), jwt())


def test_a_prefix_of_jwts_is_accepted_where_no_verifier_reads_jwts_there():
    """API keys may be JWTs if no verifier reads JWTs in the Authorization field."""
    Guard(APIKeyVerifier(KEYS, prefixes=["eyJ"]))
    Guard(introspection(prefixes=["eyJ"]), jwt(header="X-Token"))
    Guard(introspection(prefixes=["eyJ"]), OwnTokens())
