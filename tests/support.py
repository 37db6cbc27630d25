"""Make requests without a server, tokens and keys for tests, and find the vectors."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from authguard import Credential, RequestView
from authguard._core.verifier import Verified, as_flow
from authguard.drivers import run

NOW = 1_800_000_000.0
# 2100-01-01: the exp of tokens that are created once and checked by the real clock
LONG_AFTER = 4_102_444_800
SECRET = "k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz"
ISSUER = "https://issuer.example"
AUDIENCE = "https://api.example"

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the folder of shared vectors is not here")


class FakeRequest(RequestView):
    """Hold a request made of plain values; header fields are pairs of text or bytes, in order."""

    def __init__(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Any = (),
        scheme: str = "https",
        root_path: str = "",
        query: str = "",
        credential_fields: Any = (b"authorization", b"x-api-key", b"cookie"),
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.path = path
        self.root_path = root_path
        self._query = query
        pairs = headers.items() if isinstance(headers, dict) else headers
        self._headers = [(_bytes(name).lower(), _bytes(value)) for name, value in pairs]
        self.presented = [pair for pair in self._headers if pair[0] in credential_fields]

    @property
    def query(self) -> str:
        return self._query

    def fields(self, name: bytes) -> list[bytes]:
        return [value.strip() for field, value in self._headers if field == name]


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def no_more_threads(_: object) -> None:
    """Raise the error of `Thread.start` for a system without room for threads."""
    raise RuntimeError("can't start new thread")


def bearer(token: str, path: str = "/", **options: Any) -> FakeRequest:
    """Return a request with a Bearer token."""
    return FakeRequest(path, headers=[("authorization", f"Bearer {token}")], **options)


def judge(verifier: Any, credential: Credential, now: float) -> Verified:
    """Return the result of a verifier, by a flow or at once."""
    return run(as_flow(verifier.flow(credential, now)))


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    """Return a number in the form of JWKs."""
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key, created once for each size."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """Return an EC key, created once for each curve."""
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return ec.generate_private_key(curves[curve])


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    """Return an Ed25519 key, created once."""
    return ed25519.Ed25519PrivateKey.generate()


def pem(private: Any) -> str:
    """Return the public half as PEM text."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    encoded: bytes = private.public_key().public_bytes(serialization.Encoding.PEM, form)
    return encoded.decode()


def jwk(private: Any, **members: Any) -> dict[str, Any]:
    """Return the public half as a JWK."""
    public = private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        key: dict[str, Any] = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        name, size = {256: ("P-256", 32), 384: ("P-384", 48), 521: ("P-521", 66)}[public.key_size]
        key = {"kty": "EC", "crv": name, "x": number(point.x, size), "y": number(point.y, size)}
    else:
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        key = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    return {**key, **members}


_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


def sign(data: bytes, algorithm: str, key: Any) -> bytes:
    """Return the JWS signature of `data`."""
    if algorithm == "none":
        return b""
    signature: bytes
    if algorithm in ("EdDSA", "Ed25519"):
        signature = key.sign(data)
        return signature
    family, digest = algorithm[:2], _HASHES[algorithm[2:]]()
    if family == "HS":
        return hmac.digest(key.encode() if isinstance(key, str) else key, data, f"sha{algorithm[2:]}")
    if family in ("RS", "PS"):
        salted = padding.PSS(padding.MGF1(digest), digest.digest_size)
        signature = key.sign(data, padding.PKCS1v15() if family == "RS" else salted, digest)
        return signature
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token; a change to `...` leaves the claim out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600, "iat": NOW - 10}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def make_token(
    payload: dict[str, Any] | bytes | str | None = None,
    *,
    algorithm: str = "HS256",
    key: Any = SECRET,
    header: dict[str, Any] | bytes | str | None = None,
    signed_with: str | None = None,
    **more_header: Any,
) -> str:
    """Return a compact JWS, valid or not; raw bytes are used unchanged.

    Args:
        payload: claims, or the bytes to sign; None for valid claims.
        algorithm: the `alg` of the header, unless `header` is given.
        key: a secret or a private key.
        header: the whole header, or its bytes.
        signed_with: the algorithm to sign with, if it differs from that of the header.
        more_header: further members of the header.
    """
    head = {"alg": algorithm, **more_header} if header is None else header
    parts = [_json(head), _json(claims() if payload is None else payload)]
    data = ".".join(map(b64, parts))
    return f"{data}.{b64(sign(data.encode(), signed_with or algorithm, key))}"


def make_token_of_parts(head: str, payload: str, key: str = SECRET) -> str:
    """Return a token of two given parts, with a valid HS256 signature over them."""
    return f"{head}.{payload}.{b64(sign(f'{head}.{payload}'.encode(), 'HS256', key))}"


def _json(value: dict[str, Any] | bytes | str) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def sha256(text: str) -> str:
    """Return the digest of a text in hexadecimal, by the standard library."""
    return hashlib.sha256(text.encode()).hexdigest()


def lines(name: str) -> list[str]:
    """Return the lines of a vector file that are inputs; empty if the folder is missing."""
    path = VECTORS / name
    if not path.is_file():
        return []
    texts = path.read_text(encoding="utf-8").split("\n")
    return [line for line in texts if line and not line.startswith(("#", "@"))]


def thumbprint(key: dict[str, Any]) -> str:
    """Return the RFC 7638 thumbprint of a public JWK, independent of the tested code."""
    members = {name: key[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in key}
    return b64(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def make_proof(
    token: str,
    *,
    key: Any = None,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    signed_with: Any = None,
    **changes: Any,
) -> str:
    """Return a DPoP proof for `GET https://api.example/a`, valid or not.

    Args:
        token: the access token.
        key: the private key; None for the EC key.
        algorithm: the algorithm of the signature and the header.
        header: changes to the header; `...` leaves a member out.
        signed_with: another key to sign with.
        changes: changes to the claims; `...` leaves a claim out.
    """
    key = key or ec_key()
    head = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk(key), **(header or {})}
    good = {
        "jti": b64(os.urandom(12)),
        "htm": "GET",
        "htu": "https://api.example/a",
        "iat": NOW,
        "ath": b64(hashlib.sha256(token.encode()).digest()),
    }
    return make_token(
        {name: value for name, value in {**good, **changes}.items() if value is not ...},
        header={name: value for name, value in head.items() if value is not ...},
        key=signed_with or key,
        signed_with=algorithm,
    )


def program(name: str) -> str:
    """Return the path of a program; without it, skip the test, or in CI fail."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", sysconfig.get_path("scripts")]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        assert os.environ.get("CI") != "true", f"{name} is missing"
        pytest.skip(f"{name} is not installed")
    return path


class Monotonic:
    """Tell the monotonic time that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
