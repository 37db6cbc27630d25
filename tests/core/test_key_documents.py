"""The documents with the keys of issuers, in the forms that real issuers use."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from authguard import ConfigurationError
from authguard._core.flow import Response
from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.jwk import VerificationKey, from_jwk
from authguard._core.jose.keyset import KeySet, parse_keys, signer_of
from authguard._core.remote.http import read_json, read_key_document
from authguard._core.remote.keys import Parse
from authguard._core.strict_json import JSONError
from authguard.errors import InvalidSignatureError
from support import SECRET, b64, ec_key, ed25519_key, jwk, make_token, pem, rsa_key

SIGNATURES = frozenset({"RS256", "ES256", "ES384", "EdDSA"})
HS = frozenset({"HS256"})
RSA = jwk(rsa_key(), kid="a", alg="RS256", use="sig")
EC = jwk(ec_key(), kid="a", alg="ES256", use="sig")
OTHER = jwk(rsa_key(3072), kid="b", alg="RS256", use="sig")


def from_remote(document: Any) -> list[tuple[str | None, str]]:
    """Return the kids and algorithms of the keys of a fetched document."""
    return [(key.key_id, key.algorithm) for key in Parse(SIGNATURES)(document)[0]]


def from_here(document: Any) -> list[tuple[str | None, str]]:
    """Return the kids and algorithms of the keys of the same document in the program."""
    return [(key.key_id, key.algorithm) for key in KeySet(parse_keys(document, SIGNATURES))._keys]


def with_zero(member: str, key: dict[str, Any]) -> dict[str, Any]:
    """Return the key with a zero byte before a number, as Java writes it."""
    data = base64.urlsafe_b64decode(key[member] + "=" * (-len(key[member]) % 4))
    return {**key, member: b64(b"\0" + data)}


def padded(key: dict[str, Any]) -> dict[str, Any]:
    """Return the key with padding after its numbers."""
    return {
        name: value + "=" * (-len(value) % 4) if name in ("n", "e", "x", "y") else value
        for name, value in key.items()
    }


A = ("a", "RS256")
B = ("b", "RS256")
SETS: dict[str, tuple[list[Any], list[tuple[str | None, str]]]] = {
    "a zero byte before n": ([with_zero("n", RSA)], [A]),
    "a zero byte before e": ([with_zero("e", RSA)], [A]),
    "a zero byte before x and y": ([with_zero("x", with_zero("y", EC))], [("a", "ES256")]),
    "padding in an RSA key": ([padded(RSA)], [A]),
    "padding in an EC key": ([padded(EC)], [("a", "ES256")]),
    "padding in an Ed25519 key": ([padded(jwk(ed25519_key(), kid="a"))], [("a", "EdDSA")]),
    "one kid for two algorithms": ([RSA, EC], [A, ("a", "ES256")]),
    "one kid for two curves": (
        [EC, jwk(ec_key("P-384"), kid="a", alg="ES384")],
        [("a", "ES256"), ("a", "ES384")],
    ),
    "the identical key twice": ([RSA, RSA, OTHER], [A, B]),
    "the same key in another spelling": ([RSA, with_zero("n", padded(RSA))], [A]),
    "the same key twice without kid": ([jwk(ec_key()), jwk(ec_key())], [(None, "ES256")]),
    "null in the place of a key": ([None, RSA, None], [A]),
    "null in the place of members": ([{**RSA, "use": None, "key_ops": None, "x5c": None, "d": None}], [A]),
    "a kid that is null": ([{**RSA, "kid": None}], [(None, "RS256")]),
    "a key for encryption under the same kid": ([{**OTHER, "kid": "a", "use": "enc"}, RSA], [A]),
    "an encryption algorithm under the same kid": (
        [{"kty": "RSA", "kid": "a", "alg": "RSA-OAEP", "n": OTHER["n"], "e": "AQAB"}, RSA],
        [A],
    ),
    "garbage": (["x", 7, [], {}, {"kty": 5}, {"kty": "RSA"}, RSA], [A]),
    "types of the future": ([{"kty": "AKP", "alg": "ML-DSA-44", "kid": "p", "pub": "AA"}, RSA], [A]),
    "a curve that is not offered": ([{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, RSA], [A]),
    "a kid that is a number": ([{**OTHER, "kid": 7}, RSA], [A]),
    "members of any type": ([{**OTHER, "kid": [], "alg": {}, "use": []}, {**OTHER, "kid": {}}, RSA], [A]),
    "members of the future": ([{**RSA, "exp": 1, "nbf": 0, "x5t#S256": "AA", "issuer": "x"}], [A]),
}


@pytest.mark.parametrize("read", [from_remote, from_here], ids=["remote", "local"])
@pytest.mark.parametrize("case", SETS)
def test_the_good_keys_of_an_odd_set_are_used(case: str, read: Any) -> None:
    """The valid keys of an odd key set are used, both from a remote and in the program."""
    members, names = SETS[case]
    assert read({"keys": members}) == names


def certificate(
    key: Any, *, signed_by: Any = None, subject: str = "issuer", issuer: str | None = None
) -> str:
    """Return a certificate of a key in PEM, signed by itself or by another key."""
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer or subject)
    ]
    built = x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    built = built.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    made = built.sign(signed_by or key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


DOCUMENTS: dict[str, tuple[Any, list[tuple[str | None, str]]]] = {
    "a map of certificates by kid": (
        {"a": certificate(rsa_key()), "b": certificate(rsa_key(3072))},
        [A, B],
    ),
    "a map of public keys by kid": ({"a": pem(rsa_key()), "e": pem(ec_key())}, [A, ("e", "ES256")]),
    "a map with garbage beside": ({"x": None, 7: "-----BEGIN", "y": "no key", "a": pem(rsa_key())}, [A]),
    "one JWK": (RSA, [A]),
    "PEM": (pem(rsa_key()), [(None, "RS256")]),
    "two keys in PEM": (pem(rsa_key()) + pem(rsa_key(3072)), [(None, "RS256")] * 2),
    "text around PEM": (
        f"# new\r\n{pem(rsa_key())}# old\n{pem(ec_key())}",
        [(None, "RS256"), (None, "ES256")],
    ),
    "a chain of certificates": (
        certificate(ec_key(), signed_by=rsa_key(), issuer="ca") + certificate(rsa_key(), subject="ca"),
        [(None, "ES256")],
    ),
    "two certificates of one name": (
        certificate(rsa_key()) + certificate(rsa_key(3072)),
        [(None, "RS256")] * 2,
    ),
    "a certificate that was renewed": (certificate(rsa_key()) + certificate(rsa_key()), [(None, "RS256")]),
}


@pytest.mark.parametrize("read", [from_remote, from_here], ids=["remote", "local"])
@pytest.mark.parametrize("case", DOCUMENTS)
def test_keys_come_in_several_forms(case: str, read: Any) -> None:
    """Keys are read from a JWK set, a JWK, PEM by kid, and PEM."""
    document, names = DOCUMENTS[case]
    assert read(document) == names


def test_a_map_of_pem_may_be_json_text() -> None:
    """A map of PEM by kid may be JSON text."""
    assert from_here(json.dumps({"a": pem(rsa_key())})) == [A]


def test_an_ambiguous_kid_spoils_its_algorithm_alone() -> None:
    """Two keys of one algorithm with the same kid are dropped, and a key of another algorithm is kept."""
    assert from_remote({"keys": [RSA, {**OTHER, "kid": "a"}, EC]}) == [("a", "ES256")]


def of_unknown_curve(text: str) -> str:
    """Return a key or certificate whose curve is unknown."""
    lines = text.splitlines()
    curve = bytes.fromhex("06082a8648ce3d030107")
    data = base64.b64decode("".join(lines[1:-1])).replace(curve, curve[:-1] + b"\x7f")
    return "\n".join((lines[0], base64.b64encode(data).decode(), lines[-1]))


UNUSABLE: dict[str, tuple[Any, str]] = {
    "one kid, one algorithm, two keys": ({"keys": [RSA, {**OTHER, "kid": "a"}]}, "kid"),
    "one kid, and one of two keys is broken": ({"keys": [RSA, {**RSA, "n": "AA"}]}, "kid"),
    "authorities that signed each other": (
        certificate(ec_key(), signed_by=rsa_key(), subject="x", issuer="y")
        + certificate(rsa_key(), signed_by=ec_key(), subject="y", issuer="x"),
        "authorities",
    ),
    "a key of an unknown curve": (of_unknown_curve(pem(ec_key())), "cannot be read"),
    "a certificate of an unknown curve": (of_unknown_curve(certificate(ec_key())), "cannot be read"),
    "a map with a certificate of an unknown curve": (
        {"a": of_unknown_curve(certificate(ec_key()))},
        "cannot be read",
    ),
    "half a second key": (pem(rsa_key()) + pem(ec_key())[:60], "cut off"),
    "too many parts": (pem(ec_key()) * 17, "up to 16"),
    "a private key beside": (
        {
            "a": rsa_key()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode()
        },
        "private key",
    ),
    "no usable key": ({"keys": [None]}, "a list of objects, got null among them"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_says_why(case: str) -> None:
    """An unusable document is an error in the program, and has the same reason in the health of a remote."""
    document, says = UNUSABLE[case]
    with pytest.raises(ConfigurationError, match=says):
        parse_keys(document, SIGNATURES)
    keys, reasons = Parse(SIGNATURES)(document)
    assert keys == []
    assert says in "; ".join(map(str, reasons))


def test_secrets_and_private_keys_of_a_fetched_set_are_never_used() -> None:
    """Secrets and private keys of a fetched key set are not used, because they have been published."""
    secrets = [
        {"kty": "oct", "k": b64(SECRET.encode()), "kid": "s"},
        {**RSA, "d": "AQAB"},
        {**RSA, "kid": "k", "k": "AQAB"},
    ]
    assert from_remote({"keys": [*secrets, OTHER]}) == [B]


def test_a_callers_own_key_is_read_strictly() -> None:
    """A key of a caller is read strictly, because its thumbprint depends on the spelling."""
    for key in (with_zero("n", RSA), padded(RSA), with_zero("x", EC)):
        with pytest.raises(ConfigurationError):
            from_jwk(key, SIGNATURES)


# Keys without kid


class Counted:
    """Count the calls of keys."""

    def __init__(self, keys: list[VerificationKey]) -> None:
        self.calls = 0
        self.keys = [
            VerificationKey(key.algorithm, key.key_id, self._counting(key.verifies), key.material)
            for key in keys
        ]

    def _counting(self, verifies: Any) -> Any:
        def check(signed: bytes, signature: bytes) -> bool:
            self.calls += 1
            return bool(verifies(signed, signature))

        return check


SECRETS = [f"{number}-{SECRET}" for number in range(4)]


def token(key: Any, algorithm: str = "HS256", **members: Any) -> Token:
    """Return a parsed token."""
    return read_compact(make_token(algorithm=algorithm, key=key, **members))


@pytest.mark.parametrize("secret", SECRETS)
def test_all_secrets_are_tried_whichever_fits(secret: str) -> None:
    """All secrets are tried, so that the time does not show which one was used."""
    counted = Counted(parse_keys(SECRETS, HS))
    KeySet(counted.keys).verify(token(secret))
    assert counted.calls == 4


def test_the_first_public_key_that_fits_ends_the_search() -> None:
    """The search ends with the first public key that verifies the signature."""
    counted = Counted(parse_keys([pem(rsa_key()), pem(rsa_key(3072))], frozenset({"RS256"})))
    KeySet(counted.keys).verify(token(rsa_key(), "RS256"))
    assert counted.calls == 1


@pytest.mark.parametrize("members", [{}, {"kid": "unknown"}], ids=["no kid", "an unknown kid"])
def test_a_forged_token_costs_four_keys_at_most(members: dict[str, str]) -> None:
    """At most four keys without kid are tried for a forged token, and the health has the reason."""
    keys, reasons = Parse(SIGNATURES)({"keys": [jwk(ec_key.__wrapped__()) for _ in range(6)]})
    counted = Counted(keys)
    with pytest.raises(InvalidSignatureError):
        KeySet(counted.keys).verify(token(ec_key(), "ES256", **members))
    assert counted.calls == 4
    assert "at most 4 keys for ES256 without kid, got 6" in "".join(map(str, reasons))


def test_a_token_without_kid_is_tried_with_four_named_keys_at_most() -> None:
    """At most four named keys of a fetched set are tried for a token without kid."""
    named = [jwk(ec_key.__wrapped__(), kid=str(number)) for number in range(9)]
    counted = Counted(Parse(SIGNATURES)({"keys": named})[0])
    with pytest.raises(InvalidSignatureError):
        KeySet(counted.keys, tries_named=True).verify(token(ec_key(), "ES256"))
    assert counted.calls == 4


def test_a_token_without_kid_is_tried_with_no_named_keys_that_are_at_hand() -> None:
    """A token without kid is not tried with several named keys at hand, and is tried with a single one."""
    keys = [jwk(key, kid=name) for name, key in (("a", ec_key()), ("b", ec_key.__wrapped__()))]
    counted = Counted(parse_keys(keys, SIGNATURES))
    with pytest.raises(InvalidSignatureError, match="no key"):
        KeySet(counted.keys).verify(token(ec_key(), "ES256"))
    assert counted.calls == 0
    assert KeySet(parse_keys(keys[0], SIGNATURES)).verify(token(ec_key(), "ES256")).key_id == "a"


@pytest.mark.parametrize("tries_named", [True, False])
def test_a_token_without_kid_is_tried_with_the_keys_without_kid_first(tries_named: bool) -> None:
    """A token without kid is tried with the keys without kid first."""
    named = [jwk(ec_key.__wrapped__(), kid=str(number)) for number in range(5)]
    keys = Parse(SIGNATURES)({"keys": [*named, jwk(ec_key())]})[0]
    assert KeySet(keys, tries_named=tries_named).verify(token(ec_key(), "ES256")).key_id is None


def test_a_named_key_is_the_only_one_that_is_tried() -> None:
    """A token with a known kid is tried with that key alone."""
    keys = parse_keys([EC, pem(ec_key.__wrapped__())], SIGNATURES)
    counted = Counted(keys)
    with pytest.raises(InvalidSignatureError):
        KeySet(counted.keys).verify(token(ec_key.__wrapped__(), "ES256", kid="a"))
    assert counted.calls == 1


def test_a_kid_of_another_algorithm_excludes_the_keys_without_kid() -> None:
    """A kid of a key for another algorithm excludes the keys without kid."""
    keys = KeySet(parse_keys([RSA, pem(ec_key())], SIGNATURES))
    assert keys.verify(token(ec_key(), "ES256", kid="b")).key_id is None
    with pytest.raises(InvalidSignatureError):
        keys.verify(token(ec_key(), "ES256", kid="a"))


def test_no_candidate_signs_nothing() -> None:
    """A token without a candidate key has no signer."""
    assert signer_of(token(SECRET), ()) is None


def test_a_secret_that_is_given_twice_is_one() -> None:
    """A secret that is given twice is one key."""
    assert len(KeySet(parse_keys([SECRET, SECRET, SECRET.encode()], HS))) == 1


# Secrets that begin like JSON


@pytest.mark.parametrize(
    "secret",
    [
        "{k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUe",
        "{'3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIo",
        b"{\xff" + SECRET.encode(),
    ],
    ids=["a brace", "a brace and a quote", "bytes"],
)
def test_a_random_secret_may_begin_like_json(secret: str | bytes) -> None:
    """A random secret that begins with a brace is accepted, because JSON has a name after it."""
    assert [key.algorithm for key in parse_keys(secret, HS)] == ["HS256"]


@pytest.mark.parametrize(
    "text",
    [
        '{"kty": "oct"',
        '{ "keys": [',
        "{}x" + SECRET,
        str({"keys": [jwk(rsa_key(), kid="a")]}),
        str({"a": pem(rsa_key())}).replace(" ", ""),
        "{kty:RSA,n:" + SECRET,
        "{keys:[" + SECRET * 8,
        "{/*keys*/\n" + json.dumps(jwk(rsa_key())),
        "{// keys" + SECRET,
        "{" + SECRET + "}",
        "{" + "'" + SECRET + "'}",
    ],
)
def test_broken_json_is_no_secret(text: str) -> None:
    """Broken JSON is refused as a secret, because it may be a public key set."""
    with pytest.raises(ConfigurationError, match="must be JSON"):
        parse_keys(text, HS)


# Media types


TYPES = [
    "application/json",
    "application/jwk-set+json; charset=utf-8",
    "text/plain",
    "text/plain; charset=utf-8",
    "text/json",
    "text/x-json",
    "text/x-json; charset=utf-8",
    "application/x-json",
    "Application/X-JSON",
    "application/octet-stream",
    "binary/octet-stream",
    "Application/Octet-Stream",
    None,
    "",
]


def answer(body: bytes, kind: str | None) -> Response:
    """Return an answer of a media type."""
    return Response(200, {} if kind is None else {"content-type": kind}, body)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_file_may_be_served_without_its_type(kind: str | None) -> None:
    """A key set without its media type is read, as file servers send it."""
    for body in (b'{"keys": []}', b'\xef\xbb\xbf{"keys": []}\n'):
        assert read_key_document(answer(body, kind)) == {"keys": []}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-pem-file", "application/octet-stream", None])
def test_pem_may_be_served_as_a_file(kind: str | None) -> None:
    """PEM is read from the media types of files, as AWS sends it."""
    assert read_key_document(answer(pem(ec_key()).encode(), kind)) == pem(ec_key())


@pytest.mark.parametrize(
    "kind", ["text/html", "image/png", "application/jsonx", "text/plainer", "multipart/mixed"]
)
@pytest.mark.parametrize("body", [b'{"keys": []}', pem(ec_key()).encode()], ids=["json", "pem"])
def test_what_says_that_it_is_something_else_is_not_read(kind: str, body: bytes) -> None:
    """A key document with another media type, such as a page of HTML, is refused."""
    with pytest.raises(JSONError):
        read_key_document(answer(body, kind))


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
def test_other_answers_must_say_that_they_are_json(kind: str | None) -> None:
    """An introspection answer without the media type of JSON is refused."""
    with pytest.raises(JSONError):
        read_json(answer(b"{}", kind))


@pytest.mark.parametrize("text", ["-----BEGIN X-----", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_many_blocks_without_an_end_are_refused_at_once(text: str) -> None:
    """A text with many beginnings of PEM blocks is refused within a second."""
    began = time.process_time()
    with pytest.raises(ConfigurationError, match="up to 16"):
        parse_keys(text * 20_000, SIGNATURES)
    assert time.process_time() - began < 1
