"""The keys of providers: found by discovery, kept through outages, and fetched once."""

import base64
import hashlib

import pytest

from authguard import VerificationUnavailableError
from authguard.identity.errors import ProviderUnavailableError, SocialSignInError
from authguard.identity.social import OpenIDProvider
from authguard.identity.social_reasons import SocialReason
from identity.fake_servers import hanging
from identity.social_attempts import APP, answering, both_kinds, id_token
from support import jwk, make_token, rsa_key

NONCE = "n0nce"


@pytest.fixture
def server():
    with answering() as server:
        yield server


@pytest.fixture
def provider(server, clock):
    with both_kinds(server, clock) as (_, provider):
        id_token(server, clock, nonce=NONCE)
        yield provider


def sign_in(provider):
    """Exchange a code."""
    return provider.exchange("c0de", APP, nonce=NONCE)


def count_requests(server, path):
    """Return the number of requests to the server for a path."""
    return [path_ for path_, _, _ in server.seen].count(path)


def hash_of(token, name="sha256"):
    """Return the `at_hash` of an access token (OpenID Connect Core section 3.1.3.6)."""
    digest = hashlib.new(name, token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def test_metadata_and_keys_are_fetched_once(provider, server):
    """For ten sign-ins the metadata and the keys are fetched once."""
    for _ in range(10):
        assert sign_in(provider).subject == "u1"
    assert provider.authorize_url(state="s", redirect_uri=APP)
    assert (count_requests(server, "/.well-known/openid-configuration"), count_requests(server, "/jwks")) == (
        1,
        1,
    )


def test_keys_go_on_through_an_outage(provider, server, clock):
    """While metadata and keys cannot be fetched, the known ones are used for a day."""
    sign_in(provider)
    good = {path: server.answers[path] for path in ("/.well-known/openid-configuration", "/jwks")}
    server.answers |= dict.fromkeys(good, (500, {}))
    clock.go_on(20 * 3_600)
    id_token(server, clock, nonce=NONCE)
    assert sign_in(provider).subject == "u1"
    clock.go_on(12 * 3_600)
    id_token(server, clock, nonce=NONCE)
    with pytest.raises(VerificationUnavailableError):
        sign_in(provider)
    server.answers |= good
    clock.go_on(60)
    id_token(server, clock, nonce=NONCE)
    assert sign_in(provider).subject == "u1"


def test_keys_that_are_down_are_left_alone(provider, server):
    """After a failure the keys are not fetched again at once, and the refusal names them."""
    server.answers["/jwks"] = 500, {}
    for _ in range(5):
        with pytest.raises(ProviderUnavailableError) as caught:
            sign_in(provider)
        assert caught.value.why is SocialReason.KEYS_DOWN
    assert count_requests(server, "/jwks") == 1


@pytest.mark.slow
def test_keys_that_hang_are_named(server, clock):
    """The refusal because of keys that never arrive names the keys, and not the provider."""
    with both_kinds(server, clock), hanging() as (store, _):
        url = store.replace("redis", "http").removesuffix("/0")
        server.answers["/.well-known/openid-configuration"][1]["jwks_uri"] = f"{url}/jwks"
        id_token(server, clock, nonce=NONCE)
        slow = OpenIDProvider(
            "op", server.url, "id", "cl1ent-s3cret", redirect_uris=[APP], timeout=1, clock=clock
        )
        with pytest.raises(ProviderUnavailableError) as caught:
            sign_in(slow)
        slow.close()
    assert caught.value.why is SocialReason.KEYS_DOWN


@pytest.mark.parametrize("names", [None, ["RS256"], ["HS256", "RS256", "PS256"], "RS256"])
def test_keys_that_do_not_say_their_algorithm(provider, server, names):
    """An RSA key without `alg` verifies RS256, which is the default of the clients."""
    server.answers["/jwks"] = 200, {"keys": [jwk(rsa_key(), kid="k1")]}
    server.answers["/.well-known/openid-configuration"][1]["id_token_signing_alg_values_supported"] = names
    assert sign_in(provider).subject == "u1"


def test_key_of_another(provider, server):
    """A token that another key has signed is refused, though its `kid` is known."""
    server.answers["/jwks"] = 200, {"keys": [jwk(rsa_key(3072), kid="k1", alg="RS256")]}
    with pytest.raises(SocialSignInError):
        sign_in(provider)


def test_access_token_of_the_id_token(provider, server, clock):
    """An ID token with the hash of another access token is refused."""
    id_token(server, clock, nonce=NONCE, at_hash=hash_of("at"))
    assert sign_in(provider).subject == "u1"
    for wrong in (hash_of("another"), hash_of("at", "sha512"), hash_of("at")[:-1], "", 7):
        id_token(server, clock, nonce=NONCE, at_hash=wrong)
        with pytest.raises(SocialSignInError, match="another access token"):
            sign_in(provider)


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", "secevent+jwt"])
def test_tokens_of_other_kinds(provider, server, clock, kind):
    """An access token or a logout token of the same provider is refused as an ID token."""
    body = {"iss": server.url, "aud": "id", "sub": "u1", "exp": clock() + 60, "iat": clock(), "nonce": NONCE}
    text = make_token(body, algorithm="RS256", key=rsa_key(), kid="k1", typ=kind)
    server.answers["/token"] = 200, {"access_token": "at", "id_token": text}
    with pytest.raises(SocialSignInError):
        sign_in(provider)


@pytest.mark.parametrize(
    ("claims", "is_good"),
    [
        ({"aud": ["id"]}, True),
        ({"aud": ["id", "other"], "azp": "id"}, True),
        ({"azp": "id"}, True),
        ({"aud": ["id", "other"]}, False),
        ({"aud": []}, False),
        ({"iat": ...}, False),
        ({"nbf": 1_800_000_000 + 3_600}, False),
        ({"auth_time": 1_800_000_000 + 3_600}, False),
        ({"auth_time": "now"}, False),
        ({"token_use": "id"}, True),
        ({"token_use": "access"}, True),
        ({"typ": "Refresh"}, False),
    ],
    ids=str,
)
def test_claims(provider, server, clock, claims, is_good):
    """An ID token with a wrong audience, party, date or kind is refused (OpenID Connect Core 3.1.3.7)."""
    id_token(server, clock, nonce=NONCE, **claims)
    if is_good:
        assert sign_in(provider).subject == "u1"
    else:
        with pytest.raises(SocialSignInError):
            sign_in(provider)
