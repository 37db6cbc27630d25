"""The forms of keys in a program: as in an answer of an issuer; errors name the spelling that works."""

import codecs
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from authguard import ConfigurationError, Credential, InvalidTokenError, JWTVerifier
from authguard._core.flow import Response
from authguard._core.jose.keyset import KeySet, parse_keys
from authguard._core.remote.http import read_key_document
from authguard._core.remote.keys import Parse
from authguard._core.strict_json import JSONError
from core.test_key_documents import certificate
from support import AUDIENCE, NOW, SECRET, b64, claims, ec_key, judge, jwk, make_token, pem, rsa_key

RS = frozenset({"RS256"})
HS = frozenset({"HS256"})
RSA = jwk(rsa_key(), kid="a", alg="RS256", use="sig")
NEW, OLD = SECRET, SECRET[::-1]
OCTS: dict[str, dict[str, Any]] = {
    "without a value": {"kty": "oct", "kid": "s"},
    "usable": {"kty": "oct", "kid": "s", "k": b64(SECRET.encode())},
    "with alg": {"kty": "oct", "kid": "s", "k": b64(SECRET.encode()), "alg": "HS256"},
    "without kid": {"kty": "oct", "k": b64(SECRET.encode())},
    "with the alg of the others": {"kty": "oct", "kid": "s", "k": b64(SECRET.encode()), "alg": "RS256"},
}


def names(source: Any, algorithms: frozenset[str] = RS) -> list[tuple[str | None, str]]:
    """Return the kids and algorithms of keys."""
    return [(key.key_id, key.algorithm) for key in KeySet(parse_keys(source, algorithms))._keys]


def verify(keys: Any, token: str, *algorithms: str) -> Any:
    """Return the result of a token."""
    verifier = JWTVerifier(keys, algorithms=algorithms, issuer=None, audience=AUDIENCE)
    return judge(verifier, Credential(token, "bearer"), NOW).principal


# Secrets among public keys


@pytest.mark.parametrize("case", OCTS)
@pytest.mark.parametrize("form", ["mapping", "text", "bytes", "path"])
def test_a_secret_among_public_keys_is_skipped(case: str, form: str, tmp_path: Path) -> None:
    """A secret in a set is skipped where no algorithm is for it, as in a fetched set."""
    document = {"keys": [OCTS[case], RSA]}
    text = json.dumps(document)
    path = tmp_path / "jwks.json"
    path.write_text(text)
    source = {"mapping": document, "text": text, "bytes": text.encode(), "path": path}[form]
    if form != "path":
        assert names(source) == [("a", "RS256")]
    assert [key.key_id for key in Parse(RS)(document)[0]] == ["a"]
    token = make_token(claims(), algorithm="RS256", key=rsa_key(), kid="a")
    assert verify(source, token, "RS256").subject == claims()["sub"]
    for kid in ({"kid": "s"}, {"kid": "a"}, {}):
        with pytest.raises(InvalidTokenError):
            verify(source, make_token(claims(), algorithm="HS256", key=SECRET, **kid), "RS256")


@pytest.mark.parametrize("case", OCTS)
def test_a_mixed_set_is_refused_for_hmac(case: str) -> None:
    """With an HMAC algorithm, secrets and public keys in one set are an error, in any order."""
    for members in ([OCTS[case], RSA], [RSA, OCTS[case]]):
        with pytest.raises(ConfigurationError, match="secrets or public keys, got both"):
            parse_keys({"keys": members}, HS)


@pytest.mark.parametrize("case", OCTS)
def test_a_set_of_secrets_alone_is_refused_for_signatures(case: str) -> None:
    """A set without a usable key is an error."""
    with pytest.raises(ConfigurationError, match="must hold a key for the algorithms"):
        parse_keys({"keys": [OCTS[case]]}, RS)


# Byte order marks, and lists


@pytest.mark.parametrize("kid", ["a", "ä", "鍵"])
@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, b""], ids=["mark", "no mark"])
@pytest.mark.parametrize("is_bytes", [True, False])
def test_a_byte_order_mark_is_left_out(kid: str, mark: bytes, is_bytes: bool) -> None:
    """A key set in bytes or text is read with a byte order mark, and as UTF-8, like a file."""
    data = mark + json.dumps({"keys": [{**RSA, "kid": kid}]}, ensure_ascii=False).encode()
    assert names(data if is_bytes else data.decode()) == [(kid, "RS256")]


@pytest.mark.parametrize("source", [codecs.BOM_UTF8, codecs.BOM_UTF8 + b" \n", "\ufeff"])
def test_a_byte_order_mark_alone_is_empty(source: Any) -> None:
    """An empty file that an editor has saved is empty."""
    with pytest.raises(ConfigurationError, match="empty text or an empty file"):
        parse_keys(source, RS)


def test_pem_with_a_byte_order_mark_is_read() -> None:
    """The same applies to PEM."""
    assert names(codecs.BOM_UTF8 + pem(rsa_key()).encode()) == [(None, "RS256")]


@pytest.mark.parametrize("secret", ["\ufeff" + SECRET, codecs.BOM_UTF8 + SECRET.encode()], ids=ascii)
def test_a_secret_with_a_byte_order_mark_is_refused(secret: Any) -> None:
    """A secret with a mark would be another secret than that of the issuer."""
    with pytest.raises(ConfigurationError, match="text that begins with a byte order mark"):
        parse_keys(secret, HS)


@pytest.mark.parametrize("text", ["[]", " [{}]", json.dumps([RSA])])
def test_a_list_in_json_is_told_by_its_spelling(text: str) -> None:
    """A list of keys is no key set: the errors, also of an issuer, name the member `keys`."""
    with pytest.raises(ConfigurationError, match=r'got a list in JSON: write \{"keys": '):
        parse_keys(text, RS)
    for mark in (b"", codecs.BOM_UTF8):
        with pytest.raises(JSONError, match=r'is a list: a key set is an object .*\{"keys": '):
            read_key_document(Response(200, {"content-type": "application/json"}, mark + text.encode()))


# Mappings


@pytest.mark.parametrize("change", [str, str.encode], ids=["text", "bytes"])
def test_secrets_may_be_given_by_kid(change: Any) -> None:
    """A mapping of `kid` to secret names the secret of each token."""
    keys = {"new": change(NEW), "old": change(OLD)}
    assert names(keys, HS) == [("new", "HS256"), ("old", "HS256")]
    for kid, secret in (("new", NEW), ("old", OLD)):
        token = make_token(claims(), algorithm="HS256", key=secret, kid=kid)
        assert verify(keys, token, "HS256").key_id == kid
    for kid, secret in (("new", OLD), ("old", NEW), ("other", NEW)):
        with pytest.raises(InvalidTokenError):
            verify(keys, make_token(claims(), algorithm="HS256", key=secret, kid=kid), "HS256")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"new": "short"}, "at least 32 random bytes"),
        ({"new": "a" * 40}, "can be guessed"),
        ({"new": "/run/secrets/jwt"}, "a path"),
        ({"new": "https://issuer.example/jwks"}, "a URL"),
        ({"new": json.dumps(RSA)}, "a JSON document"),
        ({"": NEW}, "each kid of keys must be text that is not empty"),
        ({7: NEW}, "each kid of keys must be text that is not empty, got 7"),
        ({None: NEW}, "each kid of keys must be text"),
        ({"new": NEW, "old": 5}, "kty and crv must be"),
        ({"a": pem(rsa_key())}, "algorithms must name one for an RSA key"),
        ({"a": pem(rsa_key()), "s": NEW}, "must be PEM text|algorithms must name one"),
        ({"alg": "HS256", "k": b64(SECRET.encode())}, "kty and crv must be"),
    ],
)
def test_secrets_by_kid_are_checked(keys: Any, says: str) -> None:
    """Each secret of a mapping has the same checks as one secret."""
    with pytest.raises(ConfigurationError, match=says):
        KeySet(parse_keys(keys, HS))


@pytest.mark.parametrize("keys", [{"new": NEW}, {"new": NEW, "old": OLD.encode()}], ids=["one", "two"])
def test_secrets_by_kid_are_for_hmac(keys: Any) -> None:
    """With other algorithms, the error names the forms that work."""
    with pytest.raises(
        ConfigurationError, match=r"mapping of kid to PEM, got .* other text: .*HS256"
    ) as caught:
        parse_keys(keys, RS)
    assert NEW not in str(caught.value)


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize(
    ("jwks", "algorithms"),
    [({"a": RSA}, RS), ({"a": RSA, "b": jwk(ec_key())}, RS), ({"s": OCTS["usable"]}, HS)],
)
def test_jwks_by_kid_are_told_by_their_spelling(jwks: Any, algorithms: Any, is_text: bool) -> None:
    """A mapping of `kid` to JWK is an error that names the spelling that works."""
    with pytest.raises(ConfigurationError, match="got a mapping of kid to JWK: write") as caught:
        parse_keys(json.dumps(jwks) if is_text else jwks, algorithms)
    spelling = str(caught.value).partition("write ")[2]
    assert len(parse_keys(eval(spelling, {"keys": {"a": RSA}}), RS)) == 1  # noqa: S307


# DER

DER = {
    "key": rsa_key()
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    "certificate": ssl.PEM_cert_to_DER_cert(certificate(ec_key())),
}


@pytest.mark.parametrize("case", DER)
@pytest.mark.parametrize("is_file", [True, False])
def test_der_is_told_by_its_name(case: str, is_file: bool, tmp_path: Path) -> None:
    """Keys and certificates in DER are an error that names the way to PEM."""
    path = tmp_path / "key.der"
    path.write_bytes(DER[case])
    with pytest.raises(ConfigurationError, match="must be PEM, got DER, its binary form: openssl"):
        JWTVerifier(path if is_file else DER[case], algorithms=["RS256"], issuer=None, audience=None)
