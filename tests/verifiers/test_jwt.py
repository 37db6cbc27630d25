"""JWTs that are accepted, and hostile ones that are refused."""

import pytest

from authguard import Credential, InvalidTokenError, JWTVerifier
from authguard.errors import MalformedTokenError
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    b64,
    claims,
    ec_key,
    ed25519_key,
    judge,
    jwk,
    make_token,
    make_token_of_parts,
    pem,
    rsa_key,
)

pytestmark = pytest.mark.usefixtures("each_reader")


def verifier(keys=SECRET, algorithms=("HS256",), **options):
    return JWTVerifier(keys, algorithms=algorithms, **{"issuer": ISSUER, "audience": AUDIENCE, **options})


def verify(token, by=None):
    return judge(by or verifier(), Credential(token, "bearer"), NOW).principal


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa_key),
        ("PS256", rsa_key),
        ("ES256", ec_key),
        ("EdDSA", ed25519_key),
        ("Ed25519", ed25519_key),
    ],
    ids=["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
)
def test_good_signatures_are_taken(algorithm, key):
    """A token of each algorithm family names its subject."""
    token = make_token(algorithm=algorithm, key=key())
    assert verify(token, verifier(pem(key()), [algorithm])).subject == "ann"


def test_a_good_hmac_token_is_taken():
    """A plain token is accepted, so that the hostile tokens are refused for their own reasons."""
    assert verify(make_token()).subject == "ann"


GOOD_HEADER, GOOD = b64(b'{"alg":"HS256"}'), b64(b"{}")
DATES = {
    f"{name}-{label}": make_token(
        f'{{"sub":"ann","iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{NOW + 600},"{name}":{value}}}'
    )
    for name in ("nbf", "iat")
    for label, value in {
        "text": '"1"',
        "bool": "true",
        "nan": "NaN",
        "huge": "1e999",
        "negative": "-1",
        "list": "[1]",
        "digits": "9" * 5000,
    }.items()
}
EXP = {
    f"exp-{label}": make_token(f'{{"sub":"ann","iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{value}}}')
    for label, value in {
        "text": '"9999999999"',
        "bool": "true",
        "nan": "NaN",
        "huge": "1e999",
        "null": "null",
        "digits": "9" * 5000,
        "past": str(NOW - 600),
        "twice": f'{NOW + 9}, "exp": {NOW + 9}',
    }.items()
}
CHANGES = {
    "sub-empty": {"sub": ""},
    "sub-int": {"sub": 7},
    "sub-null": {"sub": None},
    "sub-gone": {"sub": ...},
    "exp-gone": {"exp": ...},
    "at-hash": {"at_hash": "x"},
    "events": {"events": {}},
    "refresh": {"token_use": "refresh"},
    "id": {"token_type": "id"},
    "iss-other": {"iss": "https://evil.example"},
    "iss-gone": {"iss": ...},
    "iss-list": {"iss": [ISSUER]},
    "aud-other": {"aud": "x"},
    "aud-gone": {"aud": ...},
    "aud-null": {"aud": None},
    "aud-int": {"aud": 7},
    "aud-object": {"aud": {AUDIENCE: 1}},
    "aud-empty": {"aud": []},
    "aud-mixed": {"aud": [AUDIENCE, 7]},
    "aud-nested": {"aud": [[AUDIENCE]]},
    "aud-part": {"aud": AUDIENCE + "/x"},
    "jti-int": {"jti": 7},
    "future": {"nbf": NOW + 600},
    "issued-later": {"iat": NOW + 600},
}
HEADERS = {
    "typ-id": {"typ": "id+jwt"},
    "typ-logout": {"typ": "logout+jwt"},
    "typ-dpop": {"typ": "dpop+jwt"},
    "typ-null": {"typ": None},
    "typ-int": {"typ": 7},
    "crit": {"crit": ["exp"]},
    "crit-empty": {"crit": []},
    "b64-true": {"b64": True},
    "b64-text": {"b64": "false"},
    "kid-int": {"kid": 7},
    "kid-null": {"kid": None},
    "cty": {"cty": "JWT"},
    "cty-int": {"cty": 7},
}
TEXT = make_token()
HOSTILE = {
    **DATES,
    **EXP,
    **{name: make_token(claims(**change)) for name, change in CHANGES.items()},
    **{name: make_token(**members) for name, members in HEADERS.items()},
    "utf-16": make_token(str(claims()).replace("'", '"').encode("utf-16")),
    "bom": make_token(b"\xef\xbb\xbf" + str(claims()).replace("'", '"').encode()),
    "header-bom": make_token(header=b'\xef\xbb\xbf{"alg":"HS256"}'),
    "header-utf-16": make_token(header='{"alg":"HS256"}'.encode("utf-16")),
    "header-twice": make_token(header='{"alg":"none","alg":"HS256"}'),
    "surrogate": make_token('{"sub":"\\ud800"}'),
    "header-surrogate": make_token(header='{"alg":"HS256","kid":"\\ud800"}'),
    "deep": make_token("[" * 100_000),
    "deep-object": make_token('{"a":' * 100_000),
    "header-deep": make_token(header='{"a":' * 100_000),
    "list": make_token("[]"),
    "no-json": make_token("x"),
    "none": make_token(algorithm="none"),
    "none-signed": make_token(algorithm="none", signed_with="HS256"),
    "alg-gone": make_token(header={"typ": "JWT"}),
    "padded": TEXT + "=",
    "padded-header": make_token_of_parts(GOOD_HEADER + "=", GOOD),
    "no-signature": TEXT.rpartition(".")[0] + ".",
    "last-bits": TEXT[:-1] + chr(ord(TEXT[-1]) + 1),
    "other-secret": make_token(key="x" * 40),
    "four-parts": TEXT + ".x",
    "newline": TEXT + "\n",
    "empty": "",
}


@pytest.mark.parametrize("token", HOSTILE.values(), ids=HOSTILE)
def test_hostile_tokens_are_invalid(token):
    """Each hostile token is refused as an invalid token, and causes no other error."""
    with pytest.raises(InvalidTokenError):
        verify(token)


def test_a_public_key_is_no_secret():
    """A token that is signed with the text of the public key as a secret is refused."""
    token = make_token(algorithm="HS256", key=pem(rsa_key()))
    with pytest.raises(InvalidTokenError):
        verify(token, verifier(pem(rsa_key()), ["RS256"]))


@pytest.mark.parametrize("members", [{"kid": "c"}, {}], ids=["unknown", "none"])
def test_the_kid_chooses_between_two_keys(members):
    """An unknown kid, and no kid if two keys could match, are refused."""
    keys = {
        "keys": [
            jwk(ec_key(), kid="a"),
            jwk(rsa_key(), kid="b", alg="RS256"),
            jwk(rsa_key(), kid="d", alg="RS256"),
        ]
    }
    token = make_token(algorithm="RS256", key=rsa_key(), **members)
    with pytest.raises(InvalidTokenError):
        verify(token, verifier(keys, ["ES256", "RS256"]))


def test_an_embedded_key_is_not_used():
    """A token that contains its own key is refused."""
    token = make_token(algorithm="ES256", key=ec_key(), jwk=jwk(ec_key()))
    with pytest.raises(InvalidTokenError):
        verify(token, verifier(pem(rsa_key()), ["RS256"]))


EMBEDDED = {
    "its own public key": {"jwk": "own"},
    "the key that we have": {"jwk": "ours"},
    "a jwk that is null": {"jwk": None},
    "a jwk that is text": {"jwk": "x"},
    "the URL of a key set": {"jku": "https://issuer.example/jwks"},
    "the URL of a key set elsewhere, and a kid": {"jku": "https://evil.example/jwks", "kid": "a"},
    "an empty URL of a key set": {"jku": ""},
    "a jku that is no text": {"jku": ["https://issuer.example/jwks"]},
    "the URL of a certificate": {"x5u": "https://issuer.example/cert.pem"},
    "an x5u that is null": {"x5u": None},
}


@pytest.mark.parametrize("kind", EMBEDDED)
@pytest.mark.parametrize("several", [False, True], ids=["one-verifier", "two-verifiers"])
def test_a_key_or_the_url_of_one_in_the_header_is_refused(kind, several):
    """A token with a key or a URL of one in its header is refused, also if its signature is valid."""
    header = {
        name: {"own": jwk(rsa_key()), "ours": jwk(ec_key())}.get(str(value), value)
        for name, value in EMBEDDED[kind].items()
    }
    ours = verifier(pem(ec_key()), ["ES256"])
    other = JWTVerifier(pem(rsa_key()), algorithms=["RS256"], issuer="https://other.example", audience=None)
    by = JWTVerifier.together([ours, other])[0] if several else ours
    verify(make_token(algorithm="ES256", key=ec_key()), by)
    with pytest.raises(MalformedTokenError):
        verify(make_token(algorithm="ES256", key=ec_key(), **header), by)


@pytest.mark.parametrize(
    "header",
    [
        {"x5t": "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg"},
        {"x5t#S256": "a" * 43},
        {"x5c": ["MIIB"]},
        {"x5c": "not a list", "x5t": 7},
    ],
    ids=["x5t", "x5t#S256", "x5c", "malformed"],
)
def test_certificates_and_thumbprints_in_the_header_are_never_read(header):
    """Certificates and thumbprints, which some issuers send beside a kid, select no key."""
    token = make_token(algorithm="ES256", key=ec_key(), **header)
    assert verify(token, verifier(pem(ec_key()), ["ES256"])).subject == "ann"
    with pytest.raises(InvalidTokenError):
        verify(token, verifier(pem(rsa_key()), ["RS256"]))
