"""Read private keys from files, to sign tokens by hand."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from authguard._core.jose.compact import base64url
from authguard._core.jose.jwk import bind, from_jwk, from_secret
from authguard._core.jose.keyset import is_like_json
from authguard._core.strict_json import JSONError, parse_object
from authguard.cli.output import MISUSED, Failure
from authguard.errors import MalformedTokenError
from authguard.verifiers.secret_text import check_secret_text

_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Hold a key that signs tokens.

    Attributes:
        key: the secret, or the key as an object.
        algorithm: how it signs.
        key_id: its `kid`, if it has one.
    """

    key: Any = field(repr=False)
    algorithm: str
    key_id: str | None = None


def read_key_file(path: str) -> str:
    """Return the text of a file with a key, without the end of its last line."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {path}: {type(error).__name__}", MISUSED) from None


def read_secret(name: str) -> str:
    """Return the secret in a variable of the environment."""
    secret = os.environ.get(name)
    if not secret:
        raise Failure(f"the variable {name} is not set: put the secret there", MISUSED)
    return secret


def form_of_key(text: str) -> Literal["pem", "jwk", "secret"]:
    """Tell how a key is written; a JWK set counts as a JWK."""
    if "-----BEGIN" in text:
        return "pem"
    return "jwk" if is_like_json(text) else "secret"


def parse_private_key(text: str, algorithm: str | None) -> PrivateKey:
    """Parse a private key in PEM, a private JWK, or a secret.

    Args:
        text: the key.
        algorithm: how to sign; None for what the key is for: the `alg` of a JWK, else HS256, RS256,
            EdDSA, or what belongs to the curve.

    Raises:
        Failure: if it is none of these.
        ConfigurationError: if a verifier would not take it, or it is not for the algorithm.
    """
    form = form_of_key(text)
    if form == "pem":
        return _checked(_from_pem(text), algorithm, None)
    return _from_jwk(text, algorithm) if form == "jwk" else secret_key(text, algorithm)


def secret_key(text: str, algorithm: str | None) -> PrivateKey:
    """Return a secret as a key.

    Raises:
        ConfigurationError: if it is too weak.
    """
    algorithm = algorithm or "HS256"
    check_secret_text(text, "the secret", chosen_here=True)
    from_secret(text, frozenset({algorithm}))
    return PrivateKey(text, algorithm)


def _from_pem(text: str) -> Any:
    if "PRIVATE KEY" not in text:
        raise Failure("this is a public key: tokens are signed with the private one", MISUSED)
    try:
        return load_pem_private_key(text.encode(), None)
    except TypeError:
        raise Failure("the private key is encrypted: give one that is not", MISUSED) from None
    except ValueError:
        raise Failure("the PEM text holds no private key that can be read", MISUSED) from None


def _from_jwk(text: str, algorithm: str | None) -> PrivateKey:
    try:
        jwk = parse_object(text)
    except JSONError as error:
        raise Failure(f"the key starts like JSON, and is not: {error}", MISUSED) from None
    if "keys" in jwk:
        raise Failure("this is a set of keys: give the one to sign with", MISUSED)
    stated = jwk.get("alg")
    if algorithm is None and isinstance(stated, str):
        algorithm = stated
    key_id = jwk.get("kid")
    key_id = key_id if isinstance(key_id, str) else None
    if jwk.get("kty") == "oct":
        algorithm = algorithm or "HS256"
        from_jwk({**jwk, "key_ops": ["verify"]}, frozenset({algorithm}))
        return PrivateKey(base64url(str(jwk["k"]).encode()), algorithm, key_id)
    if "d" not in jwk:
        raise Failure("this is a public key: tokens are signed with the private one", MISUSED)
    return _checked(_load_jwk(jwk), algorithm, key_id)


def _load_jwk(jwk: Mapping[str, Any]) -> Any:
    family = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(jwk.get("kty")))
    if family is None:
        raise Failure("a JWK of a kty that does not sign", MISUSED)
    try:
        return get_default_algorithms()[family].from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, MalformedTokenError):
        raise Failure("the JWK holds no private key that can be read", MISUSED) from None


def _checked(key: Any, algorithm: str | None, key_id: str | None) -> PrivateKey:
    """Return the key, if a verifier takes what it signs."""
    algorithm = algorithm or _algorithm_of(key)
    # An algorithm that has two names is signed with under the one that PyJWT knows.
    bound = bind(key.public_key(), frozenset({"EdDSA" if algorithm == "Ed25519" else algorithm}), None)
    return PrivateKey(key, bound.algorithm, key_id)


def _algorithm_of(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _BY_CURVE:
        return _BY_CURVE[key.curve.name]
    raise Failure("a key of a kind that tokens are not signed with", MISUSED)
