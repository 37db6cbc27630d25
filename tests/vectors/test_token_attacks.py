"""Hostile tokens of this project, through the guard on ASGI and WSGI."""

import json

import pytest

from adapters.faces import ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import Guard, JWTVerifier
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    VECTORS,
    ec_key,
    ed25519_key,
    make_token,
    needs_vectors,
    pem,
    rsa_key,
)
from vectors import signature_attacks, token_attacks

pytestmark = pytest.mark.usefixtures("each_reader")

# The least number of tokens of each family, so that a change of its rule cannot make it empty.
LEAST = {
    "none": 50, "algorithms": 30, "headers": 90, "embedded": 70, "duplicates": 22, "encodings": 45,
    "json": 60, "spellings": 120, "parts": 25, "claims": 130, "RSA bytes": 250, "RSA structures": 35,
    "PSS": 34, "ECDSA": 50, "Ed25519": 30, "HMAC": 40,
}  # fmt: skip
FACES = {"ASGI": (raw_asgi, ask_asgi), "WSGI": (raw_wsgi, ask_wsgi)}
EACH_FACE = pytest.mark.parametrize("face", FACES)
KEYS = {
    "HS256": lambda: SECRET, "RS256": lambda: pem(rsa_key()), "PS256": lambda: pem(rsa_key()),
    "ES256": lambda: pem(ec_key()), "EdDSA": lambda: pem(ed25519_key()),
}  # fmt: skip
PRIVATE = {"HS256": lambda: SECRET, "RS256": rsa_key, "PS256": rsa_key, "ES256": ec_key, "EdDSA": ed25519_key}


def _taken(face, algorithm, tokens):
    """Return the tokens that are not refused with 400 or 401, with their statuses."""
    make, ask = FACES[face]
    keys = JWTVerifier(KEYS[algorithm](), algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE)
    app = make(Guard(keys), lambda: NOW)
    fields = [(token, [("Authorization", b"Bearer " + token.encode())]) for token in tokens]
    answers = [(token, ask(app, "GET", "/", field)) for token, field in fields]
    return [(token, answer.status) for token, answer in answers if answer.status not in (400, 401)]


@EACH_FACE
@pytest.mark.parametrize("family", token_attacks.HMAC_FAMILIES)
def test_no_hostile_token_is_taken(family, face):
    """Each token is a 400 or a 401, and none causes an error of the guard."""
    assert _taken(face, "HS256", token_attacks.tokens(family)) == []


@pytest.mark.slow
@EACH_FACE
@pytest.mark.parametrize("family", signature_attacks.FAMILIES)
def test_no_wrong_signature_is_taken(family, face):
    """A signature that breaks one rule of its algorithm is refused."""
    algorithm = signature_attacks.FAMILIES[family][0]
    assert _taken(face, algorithm, signature_attacks.tokens(family)) == []


@EACH_FACE
def test_no_public_key_passes_for_a_secret(face):
    """A token that is signed with the public RSA key as a secret is refused."""
    assert _taken(face, "RS256", token_attacks.confusions()) == []


@EACH_FACE
@pytest.mark.parametrize("algorithm", KEYS)
def test_a_good_token_is_taken(algorithm, face):
    """A valid token of each algorithm is accepted, so that the others are refused as attacks."""
    good = make_token(algorithm=algorithm, key=PRIVATE[algorithm]())
    assert _taken(face, algorithm, [good]) == [(good, 200)]


def test_the_raw_rsa_signature_is_right():
    """The RSA key and the right message make a valid signature, so that wrong messages are the reason."""
    data = signature_attacks.signed_part("RS256", rsa_key())
    assert make_token(algorithm="RS256", key=rsa_key()).startswith(data)
    digest = signature_attacks.hashlib.sha256(data.encode()).digest()
    message = signature_attacks._padded(signature_attacks.SHA256_INFO, digest)
    good = f"{data}.{signature_attacks.b64(signature_attacks.raw_rsa(message))}"
    assert good == make_token(algorithm="RS256", key=rsa_key())


@pytest.mark.parametrize("family", LEAST)
def test_each_family_has_its_tokens(family):
    """Each family has its least number of tokens."""
    made = signature_attacks if family in signature_attacks.FAMILIES else token_attacks
    assert len(set(made.tokens(family))) >= LEAST[family]


@needs_vectors
def test_there_are_as_many_as_are_shared():
    """The list has more than twice as many tokens as the shared one."""
    shared = json.loads((VECTORS / "jws_vectors.json").read_text(encoding="utf-8"))["vectors"]
    own = [token for family in token_attacks.HMAC_FAMILIES for token in token_attacks.tokens(family)]
    own += [token for family in signature_attacks.FAMILIES for token in signature_attacks.tokens(family)]
    assert len(own) > 2 * len(shared)
