"""Read one signing key: a secret, or a private key as PEM, JWK or object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from authguard._core.jose.compact import base64url
from authguard._core.jose.jwk import ALIASES, SYMMETRIC, from_jwk, from_secret
from authguard._core.jose.keyset import check_algorithms
from authguard._core.jose.secret import shown_path
from authguard._core.options import check_text, type_of, unwrapped
from authguard._core.proofs.dpop import thumbprint_of
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import ConfigurationError, MalformedTokenError
from authguard.verifiers.secret_text import check_secret_text

_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_FAMILIES = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Hold a signing key with its algorithm.

    Attributes:
        key: the secret, or the private key as an object.
        algorithm: its signature algorithm.
        key_id: its `kid`; None if it has none.
    """

    key: Any = field(repr=False)
    algorithm: str
    key_id: str | None = None

    @property
    def is_secret(self) -> bool:
        """Return whether it is a secret, which verifiers also need, and not a private key."""
        return self.algorithm in SYMMETRIC

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK, with `kid`, `alg` and `use`.

        The `kid` of a key that has none is its thumbprint.

        Raises:
            ConfigurationError: if the key is a secret.
        """
        if self.is_secret:
            raise ConfigurationError(
                "key must be private to have a public part, got a secret: give verifiers the secret itself, "
                "or sign with a key, such as one of `authguard keys generate`"
            )
        jwk = _public_jwk(self.key.public_key())
        return {**jwk, "kid": self.key_id or thumbprint_of(jwk), "alg": self.algorithm, "use": "sig"}

    def sign(self, body: dict[str, Any], token_type: str, key_id: str | None) -> str:
        """Return a signed token.

        Args:
            body: the claims.
            token_type: the `typ` of its header.
            key_id: the `kid` of its header; None for no `kid`.
        """
        headers = {"typ": token_type, **({"kid": key_id} if key_id else {})}
        return jwt.encode(body, self.key, self.algorithm, headers=headers)


def read_signing_key(key: object, algorithm: str | None = None) -> SigningKey:
    """Return a signing key.

    Args:
        key: a secret, PEM text of a private key, a private JWK (mapping or JSON text), a `Path` of a file
            with one of these, or a private key as an object of `cryptography`.
        algorithm: the signature algorithm; None for that of the key: the `alg` of a JWK, else HS256, RS256,
            EdDSA, or the one of the curve.

    Raises:
        ConfigurationError: if the key has none of these forms, is refused by verifiers, or does not fit the
            algorithm. The key is never shown.
    """
    if algorithm is not None:
        (algorithm,) = check_algorithms([check_text(algorithm, "algorithm")], "algorithm")
    if isinstance(key, PathLike):
        key = _read(Path(fspath(key)))
    if isinstance(key, Mapping):
        return _of_jwk(key, algorithm)
    if isinstance(key, (str, bytes)):
        return _of_text(key, algorithm)
    return _of_object(key, algorithm, None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigurationError(
            f"key must be in a readable file, got {shown_path(path)}: {type(error).__name__}"
        ) from None  # its text has the path


def _of_text(text: str | bytes, algorithm: str | None) -> SigningKey:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if b"-----BEGIN" in data:
        return _of_object(_of_pem(data), algorithm, None)
    if data.lstrip()[:1] == b"{" and data.isascii():
        try:
            return _of_jwk(parse_object(data.decode("ascii")), algorithm)
        except JSONError as error:
            raise ConfigurationError(
                f"key must be JSON if it starts with a brace, got invalid JSON: {error}"
            ) from None
    if algorithm is not None and algorithm not in SYMMETRIC:
        # Checked before the checks of secrets, because the text is not a secret.
        raise ConfigurationError(
            f"key must be a private key for {algorithm}, got other text: give PEM text, a private JWK, or a "
            'path, such as Path("key.pem")'
        )
    return read_secret_key(text, algorithm, "key")


def read_secret_key(
    text: str | bytes, algorithm: str | None = None, option: str = "the secret"
) -> SigningKey:
    """Return a secret as a signing key.

    Args:
        text: the secret.
        algorithm: the signature algorithm; None for HS256.
        option: the name of its option, for the error.

    Raises:
        ConfigurationError: if it is weak, or not a secret.
    """
    algorithm = algorithm or "HS256"
    check_secret_text(text, option, chosen_here=True)
    from_secret(text, frozenset({algorithm}), option)
    return SigningKey(text.encode() if isinstance(text, str) else text, algorithm)


def _of_pem(data: bytes) -> Any:
    if b"PRIVATE KEY" not in data:
        raise ConfigurationError(
            "key must be private, got a public key: write the private key, which signs tokens"
        )
    if b"\\n" in data:
        raise ConfigurationError(
            r'key must have line breaks in its PEM text, got "\n" as two characters in their place: '
            r'text.replace("\\n", "\n") puts them back'
        )
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise ConfigurationError(
            "key must not be encrypted, got an encrypted key: decrypt it first"
        ) from None
    except ValueError:
        raise ConfigurationError(
            "key must be a private key in PEM, got text without a readable private key"
        ) from None


def _of_jwk(jwk: Mapping[str, Any], algorithm: str | None) -> SigningKey:
    if "keys" in jwk:
        raise ConfigurationError("key must be one key, got a set of keys: give the one to sign with")
    _check_use(jwk)
    stated, key_id = jwk.get("alg"), jwk.get("kid")
    if algorithm is None and isinstance(stated, str):
        (algorithm,) = check_algorithms([stated], "alg of the key")
    key_id = key_id if isinstance(key_id, str) and key_id else None
    if jwk.get("kty") == "oct":
        algorithm = algorithm or "HS256"
        from_jwk({**jwk, "key_ops": ["verify"]}, frozenset({algorithm}))
        return SigningKey(base64url(str(jwk["k"]).encode()), algorithm, key_id)
    if "d" not in jwk:
        raise ConfigurationError(
            "key must be private, got a public key: write the private key, which signs tokens"
        )
    family = _FAMILIES.get(str(jwk.get("kty")))
    if family is None:
        raise ConfigurationError("kty of the key must be RSA, EC, OKP or oct, got another key type")
    try:
        key = get_default_algorithms()[family].from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, MalformedTokenError):
        raise ConfigurationError(
            "key must be a private JWK, got one without a readable private key"
        ) from None
    return _of_object(key, algorithm, key_id)


def _check_use(jwk: Mapping[str, Any]) -> None:
    """Check that a JWK is not marked for another use (RFC 7517 sections 4.2 and 4.3)."""
    operations = jwk.get("key_ops")
    if jwk.get("use") not in (None, "sig"):
        raise ConfigurationError('key must be for signatures, got one whose use is not "sig"')
    if operations is not None and not (isinstance(operations, list) and "sign" in operations):
        raise ConfigurationError('key must be for signing, got one whose key_ops are without "sign"')


def _of_object(key: Any, algorithm: str | None, key_id: str | None) -> SigningKey:
    """Return a private key, if verifiers accept its signatures."""
    if not hasattr(key, "private_bytes"):
        if hasattr(key, "public_bytes"):
            raise ConfigurationError(
                "key must be private, got a public key: write the private key, which signs tokens"
            )
        hint = ": is the variable set that it is read from?" if key is None else unwrapped(key)
        raise ConfigurationError(
            "key must be a secret, PEM text of a private key, a private JWK, a Path of a file with one of "
            f"these, or a private key of cryptography, got {type_of(key)}{hint}"
        )
    algorithm = ALIASES.get(algorithm or "", algorithm) or _algorithm_of(key)
    bound = from_jwk(_public_jwk(key.public_key()), frozenset({algorithm}))
    return SigningKey(key, bound.algorithm, key_id)


def _public_jwk(key: Any) -> dict[str, Any]:
    """Return a public key as a JWK, for any algorithm."""
    family = "EdDSA"
    if isinstance(key, rsa.RSAPublicKey):
        family = "RS256"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        family = "ES256"
    scheme: Any = get_default_algorithms()[family]
    try:
        jwk: dict[str, Any] = scheme.to_jwk(key, as_dict=True)
    except (PyJWTError, ValueError, TypeError):
        raise ConfigurationError(
            f"key must be RSA, EC or Ed25519, got {type_of(key)}, which cannot sign tokens"
        ) from None
    return {name: value for name, value in jwk.items() if name != "key_ops"}


def _algorithm_of(key: Any) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _BY_CURVE:
        return _BY_CURVE[key.curve.name]
    raise ConfigurationError(f"key must be RSA, EC or Ed25519, got {type_of(key)}, which cannot sign tokens")
