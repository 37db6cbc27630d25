"""Answers of an introspection endpoint, a key set and metadata count only with status 200."""

import json

import pytest

from authguard import (
    Credential,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard._core.flow import Response
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, jwk, make_token

INTROSPECTION = f"{ISSUER}/introspect"
KEY_SET = f"{ISSUER}/jwks"
METADATA = f"{ISSUER}/.well-known/openid-configuration"
OTHERS = (201, 202, 203, 204, 206, 226, 299, 300, 301, 302, 303, 307, 400, 401, 403, 404, 410, 418, 500, 502)
ACTIVE = {"active": True, "sub": "ann", "aud": AUDIENCE, "exp": NOW + 600}
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}
EACH_STATUS = pytest.mark.parametrize("status", OTHERS)


def _ask_introspection(status):
    world = World()
    world.pages[INTROSPECTION] = page(ACTIVE, status)
    verifier = IntrospectionVerifier(
        INTROSPECTION, client_id="api", client_secret="s3cret", audience=AUDIENCE
    )
    return world.run(verifier.flow(Credential("opaque", "bearer"), NOW)).principal.subject


def _ask_keys(verifier, pages):
    world = World()
    world.pages = pages
    token = make_token(claims(), algorithm="ES256", key=ec_key(), kid="a")
    return world.run(verifier.flow(Credential(token, "bearer"), NOW)).principal.subject


def _ask_key_set(status):
    verifier = JWTVerifier(RemoteKeySet(KEY_SET), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    return _ask_keys(verifier, {KEY_SET: page(KEYS, status)})


def _ask_metadata(status):
    verifier = JWTVerifier.from_issuer(ISSUER, algorithms=["ES256"], audience=AUDIENCE)
    document = page({"issuer": ISSUER, "jwks_uri": KEY_SET}, status)
    return _ask_keys(verifier, {METADATA: document, KEY_SET: page(KEYS)})


@pytest.mark.parametrize("ask", [_ask_introspection, _ask_key_set, _ask_metadata])
def test_status_200_is_an_answer(ask):
    """The document with status 200 names the caller."""
    assert ask(200) == "ann"


@EACH_STATUS
def test_no_other_status_says_that_a_token_is_active(status):
    """A document with another status is not read, and is an outage (RFC 7662 section 2.2)."""
    with pytest.raises(VerificationUnavailableError):
        _ask_introspection(status)


@EACH_STATUS
def test_no_other_status_brings_keys(status):
    """The keys of an answer with another status verify no token."""
    with pytest.raises(VerificationUnavailableError):
        _ask_key_set(status)


@EACH_STATUS
def test_no_other_status_brings_metadata(status):
    """The metadata of an answer with another status name no key set."""
    with pytest.raises(VerificationUnavailableError):
        _ask_metadata(status)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"active"', b"[" + json.dumps(ACTIVE).encode() + b"]"]
)
def test_what_is_no_object_is_no_answer(body):
    """A body that is not a JSON object is an outage, also with status 200."""
    world = World()
    world.pages[INTROSPECTION] = Response(200, {"content-type": "application/json"}, body)
    verifier = IntrospectionVerifier(
        INTROSPECTION, client_id="api", client_secret="s3cret", audience=AUDIENCE
    )
    with pytest.raises(VerificationUnavailableError):
        world.run(verifier.flow(Credential("opaque", "bearer"), NOW))
