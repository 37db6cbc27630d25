"""Keys that are refused when they are loaded, with the reason."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from math import prod

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.x509.oid import NameOID

from authguard import ConfigurationError
from authguard._core.jose.jwk import _is_roca
from authguard._core.jose.keyset import ASYMMETRIC, SYMMETRIC, KeySet, check_algorithms, parse_keys
from support import SECRET, b64, ec_key, ed25519_key, jwk, number, pem, rsa_key

RS = frozenset({"RS256"})
HS = frozenset({"HS256"})
ES = frozenset({"ES256"})
LONG = b64(b"0123456789abcdef0123456789abcdef-random")


def private_pem():
    """Return an EC key with its private part."""
    return ec_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def dsa_pem():
    """Return a key of a kind that no JWT is signed with."""
    numbers = dsa.generate_parameters(2048).generate_private_key()
    return pem(numbers)


def certificate():
    """Return a certificate of the EC key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    builder = x509.CertificateBuilder(name, name, ec_key().public_key(), 1)
    made = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    return made.sign(ec_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


GOOD = {
    "a secret": (SECRET, HS, "HS256"),
    "a secret in bytes": (SECRET.encode(), HS, "HS256"),
    "an oct key": ({"kty": "oct", "k": LONG}, HS, "HS256"),
    "an oct key that names its algorithm": (
        {"kty": "oct", "k": b64(b"x7" * 32), "alg": "HS512"}, SYMMETRIC, "HS512"),
    "RSA in PEM": (pem(rsa_key()), RS, "RS256"),
    "a certificate": (certificate(), ASYMMETRIC, "ES256"),
    "JSON text": (json.dumps(jwk(ec_key("P-384"))), ASYMMETRIC, "ES384"),
    "P-521": (jwk(ec_key("P-521")), ASYMMETRIC, "ES512"),
    "Ed25519": (jwk(ed25519_key(), alg="Ed25519"), ASYMMETRIC, "EdDSA"),
    "RSA that names its algorithm": (
        jwk(rsa_key(), alg="PS384", use="sig", key_ops=["verify"]), ASYMMETRIC, "PS384"),
}  # fmt: skip


@pytest.mark.parametrize("exponent", [2**32 - 1, 2**256 + 1])
def test_an_exponent_may_be_longer_than_usual(exponent):
    """An RSA key with a long exponent is accepted, as FIPS 186 allows it."""
    (key,) = parse_keys({**RSA_JWK, "e": number(exponent)}, RS)
    assert key.algorithm == "RS256"


@pytest.mark.parametrize("case", GOOD)
def test_a_good_key_has_one_algorithm(case):
    """A valid key is bound to one algorithm when it is loaded."""
    source, algorithms, algorithm = GOOD[case]
    (key,) = parse_keys(source, algorithms)
    assert key.algorithm == algorithm


RSA_JWK = jwk(rsa_key())
EC_JWK = jwk(ec_key())
BAD = {
    "short": ("0123456789abcdef0123456789abcde", HS, "31 bytes"),
    "short for its hash": (SECRET, frozenset({"HS512"}), "at least 64"),
    "the UUID of manuals": ("123e4567-e89b-12d3-a456-426614174000", HS, "published"),
    "a filler text": ("lorem ipsum dolor sit amet consectetur adipiscing", HS, "words of a manual"),
    "published": ("a-string-secret-at-least-256-bits-long", HS, "published"),
    "one letter": ("a" * 64, HS, "can be guessed"),
    "a word": ("changeme" + SECRET, HS, "can be guessed"),
    "an SSH key": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH0 me", HS, "public key"),
    "a secret for two hashes": ("x" + SECRET * 2, SYMMETRIC, "got HS256, HS384, HS512"),
    "text and no HMAC": ("hello", RS, "must be PEM or JSON"),
    "a private key in PEM": (private_pem(), ES, "private key"),
    "broken PEM": (
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        RS,
        "must hold a public key",
    ),
    "PEM of another kind": (dsa_pem(), ASYMMETRIC, "must be RSA, EC or Ed25519"),
    "PEM as a secret": (
        pem(rsa_key()),
        HS,
        "algorithms must name one for an RSA key, got HS256: write 'RS256'",
    ),
    "another curve": (pem(ec.generate_private_key(ec.SECP256K1())), ASYMMETRIC, "secp256k1"),
    "RSA for two algorithms": (pem(rsa_key()), frozenset({"RS256", "PS256"}), "PS256, RS256"),
    "half JSON": ('{"kty": "oct"', HS, "must be JSON"),
    "a number": (5, HS, "must be a secret"),
    "no key type": ({"k": LONG}, HS, "kty and crv must"),
    "oct without k": ({"kty": "oct"}, HS, "k must be text in base64url"),
    "oct with padding": ({"kty": "oct", "k": LONG + "="}, HS, "k must be text in base64url"),
    "oct in another spelling": ({"kty": "oct", "k": b64(b"x" * 32)[:-1] + "B"}, HS, "canonical"),
    "kid is a number": ({**RSA_JWK, "kid": 1}, RS, "kid must be text"),
    "for encryption": ({**RSA_JWK, "use": "enc"}, RS, "use"),
    "not for verifying": ({**RSA_JWK, "key_ops": ["sign"]}, RS, "key_ops"),
    "operations twice": ({**RSA_JWK, "key_ops": ["verify", "verify"]}, RS, "key_ops"),
    "operations as text": ({**RSA_JWK, "key_ops": "verify"}, RS, "key_ops"),
    "another algorithm": ({**RSA_JWK, "alg": "RS512"}, RS, "must be among"),
    "an encryption algorithm": ({**RSA_JWK, "alg": "RSA-OAEP"}, RS, "must be among"),
    "a private JWK": ({**RSA_JWK, "d": "AQAB"}, RS, "private key"),
    "a private JWK of several primes": ({**RSA_JWK, "oth": []}, RS, "private key"),
    "a small modulus": (jwk(rsa_key(1024)), RS, "got 1024"),
    "a small exponent": ({**RSA_JWK, "e": number(3)}, RS, "exponent"),
    "an even exponent": ({**RSA_JWK, "e": number(65538)}, RS, "exponent|e must be odd"),
    "a long exponent": ({**jwk(rsa_key(3072)), "e": number(2**3000 + 1)}, RS, "got one of 3001 bits"),
    "an exponent of zero bytes": ({**RSA_JWK, "e": b64(b"\0\0")}, RS, "zero byte"),
    "off the curve": ({**EC_JWK, "y": number(5, 32)}, ES, "key without kid"),
    "a short coordinate": ({**EC_JWK, "x": b64(b"x" * 31)}, ES, "32 bytes, got 31"),
    "a curve for another algorithm": (jwk(ec_key("P-384")), ES, "secp384r1, got ES256: write 'ES384'"),
    "X25519": ({"kty": "OKP", "crv": "X25519", "x": b64(b"x" * 32)}, ASYMMETRIC, "kty and crv must"),
    "a set that is no list": ({"keys": {}}, RS, "list of objects"),
    "a set of text": ({"keys": ["x"]}, RS, "list of objects"),
    "an empty set": ({"keys": []}, RS, "it is empty"),
    "a set of unusable keys": ({"keys": [{**RSA_JWK, "use": "enc"}]}, RS, "must hold a key for"),
    "a mixed set": ({"keys": [RSA_JWK, {"kty": "oct", "k": LONG}]}, HS, "secrets or public keys"),
    "a kid twice in a set": (
        {"keys": [{**RSA_JWK, "kid": "a"}, {**jwk(rsa_key(3072)), "kid": "a"}]},
        RS,
        "a kid of its own",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_key_says_why(case):
    """An invalid key is refused with its reason."""
    source, algorithms, says = BAD[case]
    with pytest.raises(ConfigurationError, match=says):
        parse_keys(source, algorithms)


def _der(text):
    """Return the bytes of a key or certificate in PEM."""
    lines = (text if isinstance(text, str) else text.decode()).splitlines()
    return base64.b64decode("".join(lines[1:-1]))


_SSH = rsa_key().public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
PUBLIC = {
    "the text of Keycloak": base64.b64encode(_der(pem(rsa_key()))).decode(),
    "on several lines": base64.encodebytes(_der(pem(ec_key()))),
    "base64url without padding": b64(_der(pem(ed25519_key()))),
    "DER": _der(pem(rsa_key())),
    "a certificate": base64.b64encode(_der(certificate())),
    "a certificate in DER": _der(certificate()),
    "PEM in base64": base64.b64encode(pem(rsa_key()).encode()),
    "a JWK set in base64": base64.b64encode(json.dumps({"keys": [RSA_JWK]}).encode()),
    "a list of JWKs": json.dumps([RSA_JWK]),
    "PEM in UTF-16": pem(rsa_key()).encode("utf-16"),
    "PEM in UTF-16, the high byte first": pem(rsa_key()).encode("utf-16-be"),
    "PEM below a comment in Latin-1": b"# Schl\xfcssel\n" + pem(ec_key()).encode(),
    "PEM without its beginning": pem(ec_key())[16:],
    "a JWK in UTF-16": json.dumps(RSA_JWK).encode("utf-16"),
    "of SSH": _SSH,
    "of SSH, without its type": _SSH.split()[1],
}


@pytest.mark.parametrize("case", PUBLIC)
def test_a_public_key_is_no_secret(case):
    """A public key is refused as an HMAC secret, because all readers of it could sign."""
    with pytest.raises(ConfigurationError, match="must be an HMAC secret, got a public key"):
        parse_keys(PUBLIC[case], HS)


@pytest.mark.parametrize("beginning", [b"\x30\x82", b"[", b"[[[", b"\0\0\0\x07"], ids=repr)
def test_a_random_secret_may_begin_like_a_key(beginning):
    """A random secret that begins like a key or like JSON is accepted."""
    secret = beginning + hashlib.sha512(beginning).hexdigest().encode()
    for text in (secret, base64.b64encode(secret).decode(), b64(secret)):
        assert [key.algorithm for key in parse_keys(text, HS)] == ["HS256"]


def test_unusable_keys_of_a_set_are_skipped():
    """Unusable keys of a key set are skipped, and the others are used."""
    odd = [{"kty": "AKP"}, {**RSA_JWK, "use": "enc"}, {"kty": "EC", "crv": "P-999"}]
    keys = parse_keys({"keys": [*odd, {**RSA_JWK, "kid": "good"}]}, RS)
    assert [key.key_id for key in keys] == ["good"]


def roca_modulus():
    """Return a modulus of 2048 bits with the fingerprint of ROCA."""
    product = prod(n for n in range(3, 168) if all(n % d for d in range(2, n)))
    start = pow(65537, 12345, product) + (product << (2048 - product.bit_length()))
    return start if start % 2 else start + product


def test_a_key_with_the_fingerprint_of_roca():
    """A key with the fingerprint of ROCA is refused, because it can be factored."""
    assert not _is_roca(rsa_key().public_key().public_numbers().n)
    assert _is_roca(roca_modulus())
    with pytest.raises(ConfigurationError, match="ROCA"):
        parse_keys({"kty": "RSA", "n": number(roca_modulus()), "e": number(65537)}, RS)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "between 1 and 100"),
        (
            parse_keys([f"{number}{SECRET}" for number in range(5)], HS),
            "at most 4 keys for HS256 without kid",
        ),
        (
            parse_keys([{"kty": "oct", "k": start + LONG, "kid": "a"} for start in ("AAAA", "BBBB")], HS),
            "of its own",
        ),
        (parse_keys(SECRET, HS) + parse_keys(pem(rsa_key()), RS), "one JWTVerifier for each"),
        (parse_keys(SECRET, HS) * 101, "got 101"),
    ],
    ids=["none", "five without kid", "kid twice", "mixed", "too many"],
)
def test_a_set_that_cannot_be_told_apart(keys, says):
    """A key set that is empty or has too many keys without kid is refused."""
    with pytest.raises(ConfigurationError, match=says):
        KeySet(keys)


@pytest.mark.parametrize(
    ("algorithms", "says"),
    [
        ("HS256", "must be a list"),
        ([], "got an empty list"),
        (["none"], "got unknown or unsafe 'none'$"),
        (["hs256"], "got unknown or unsafe 'hs256': write 'HS256'$"),
        (["s3cr3t-in-the-wrong-place"], "got unknown or unsafe longer text$"),
        (["ES256K"], "unknown or unsafe"),
        (["HS256", "RS256"], "pass for a secret"),
    ],
    ids=str,
)
def test_algorithms_that_cannot_be_meant(algorithms, says):
    """Algorithms that are unknown, unsafe, empty or no list are refused."""
    with pytest.raises(ConfigurationError, match=says):
        check_algorithms(algorithms)


def test_a_set_says_what_is_in_it():
    """The repr of a key set shows algorithms and kids, and its length is the number of keys."""
    keys = KeySet(parse_keys({**RSA_JWK, "kid": "a"}, RS))
    assert (repr(keys), len(keys)) == ("KeySet(RS256 a)", 1)
