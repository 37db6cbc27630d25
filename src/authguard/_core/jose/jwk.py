"""Parse one key: from a JWK or a secret to an object that verifies with exactly one algorithm.

All requirements of RFC 7517, RFC 7518 and RFC 8725 for a key are checked here once, when it is loaded.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import load_der_x509_certificate

from authguard._core.jose.compact import base64url
from authguard._core.jose.secret import check_not_place, decoded, weakness_of
from authguard._core.jose.signatures import Check, checker
from authguard._core.options import got, type_of
from authguard.errors import ConfigurationError, MalformedTokenError

# the minimum number of bytes of the secret, RFC 7518 section 3.2
_HMAC = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
# the minimum is that of RFC 7518 section 3.3; the maximum refuses slow keys
_RSA_BITS = range(2048, 16384 + 1)
_MIN_EXPONENT = 65537
# A token may be tried with four keys, so a verification with the largest keys and exponents must not take
# long.
_MAX_RSA_WORK = 16384**2 * 32

SYMMETRIC = frozenset(_HMAC)
ASYMMETRIC = frozenset((*_RSA, "ES256", "ES384", "ES512", "EdDSA"))

#: RFC 9864 gives EdDSA on Ed25519 a name of its own; both are the same algorithm of the same key.
ALIASES = {"Ed25519": "EdDSA"}

#: The members of public keys that contain numbers or bytes.
_NUMBERS = frozenset({"n", "e", "x", "y"})
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+\Z")
# Secrets that are published in manuals, tutorials and token debuggers, and are long enough for the other
# checks.
_SAMPLE_SECRETS = frozenset(
    {
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "your-256-bit-secret-your-256-bit-secret",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "123e4567-e89b-12d3-a456-426614174000",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    }
)
_SAMPLE_WORDS = (
    "changeme",
    "change-me",
    "change_me",
    "your-256-bit-secret",
    "your_secret",
    "your-secret",
    "lorem ipsum",
    "lorem-ipsum",
    "random bytes",  # of examples/authguard.toml
)
_BYTE_ORDER_MARK = re.compile(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)")
_SSH_KEY_IN_BINARY = re.compile(rb"\0\0\0[\x07-\x30](?:ssh-|ecdsa-sha2-|sk-)")
_SSH_KEYS = (b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")


class UnusableKeyError(ConfigurationError):
    """Report a key that cannot verify signatures; in a set it is skipped."""


class OtherPurposeError(UnusableKeyError):
    """Report a sound key that is for encryption, or for algorithms that are not allowed."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """Hold a key that is bound to one algorithm (RFC 8725 section 3.1).

    Attributes:
        algorithm: that algorithm.
        key_id: the `kid`, if it has one.
        verifies: a function of signed bytes and signature that returns whether the signature was made with
            this key.
        material: equal for a key that is given twice: the public key, or the digest of a secret.
        issuer: the only issuer that uses the key, from the member `issuer` of Microsoft Entra ID; None for
            any.
    """

    algorithm: str
    key_id: str | None
    verifies: Check = field(repr=False, compare=False)
    material: Any = field(repr=False)
    issuer: str | None = None


def from_secret(
    secret: str | bytes, algorithms: frozenset[str], option: str = "the secret"
) -> VerificationKey:
    """Return the key of an HMAC secret, as it was typed or generated.

    Args:
        secret: the secret itself.
        algorithms: the allowed algorithms of the key.
        option: the name of its option, for the error.

    Raises:
        ConfigurationError: if it is short, published, guessable, or not a secret.
    """
    data = secret_bytes(secret, option)
    check_not_place(secret, option)
    key = _hmac_key(data, algorithms, None, option)
    _check_strength(data, option)
    return key


def secret_bytes(secret: str | bytes, option: str) -> bytes:
    """Return the bytes of an HMAC secret; a public key is an UnusableKeyError."""
    try:
        data = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise UnusableKeyError(f"{option} must be Unicode, or bytes, got text UTF-8 cannot encode") from None
    if any(map(_holds_key, (data, *decoded(data)))):
        raise UnusableKeyError(
            f"{option} must be an HMAC secret, got a public key, a certificate or a JSON document: "
            "give a key as PEM text or as a JWK, with its algorithm, such as RS256"
        )
    return data


def _holds_key(data: bytes) -> bool:
    """Return whether data that is given as a secret is a public key or a JSON document."""
    # The document may be in a form that editors save: with a byte order mark, in UTF-16, or with a comment in
    # another encoding.
    text = _BYTE_ORDER_MARK.sub(b"", data.replace(b"\0", b"")).lstrip()
    if text.startswith(_SSH_KEYS) or b"-----BEGIN " in text or b"-----END " in text:
        return True
    if text[:1] in (b"{", b"[") and text.isascii():
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return False
        return True
    for load in (load_der_public_key, load_der_x509_certificate) if data[:1] == b"\x30" else ():
        try:
            load(data)
        except (ValueError, UnsupportedAlgorithm):
            continue
        return True
    return bool(_SSH_KEY_IN_BINARY.match(data))


def _check_strength(data: bytes, option: str) -> None:
    text = data.decode("latin-1").lower()
    reason = weakness_of(data)
    if reason is None and any(word in text for word in _SAMPLE_WORDS):
        reason = "it has words of a manual"
    if reason is not None:
        raise UnusableKeyError(
            f"{option} must be random, got a secret that can be guessed: {reason}; make one, for example "
            "with "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )


def _hmac_key(
    data: bytes, algorithms: frozenset[str], key_id: str | None, option: str = "the secret"
) -> VerificationKey:
    algorithm = _single_algorithm(algorithms, SYMMETRIC, "an HMAC secret", "HS256")
    least = _HMAC[algorithm]
    if len(data) < least:
        raise UnusableKeyError(
            f"{option} must be at least {least} random bytes for {algorithm}, got {len(data)} bytes: "
            f'python -c "import secrets; print(secrets.token_urlsafe({least}))" makes some'
        )
    if data.decode("latin-1") in _SAMPLE_SECRETS:
        raise UnusableKeyError(f"{option} must be random, got a secret that is published in a manual")
    return VerificationKey(algorithm, key_id, checker(algorithm, data), sha256(data).digest())


def from_jwk(jwk: Mapping[str, Any], algorithms: frozenset[str], *, lenient: bool = False) -> VerificationKey:
    """Return the key of one JWK (RFC 7517 section 4).

    Args:
        jwk: the members of the key.
        algorithms: the allowed algorithms of the key.
        lenient: whether numbers may have the leading zero byte and the padding that some issuers write. A
            caller's own key is read strictly, because its thumbprint depends on the encoding.

    Raises:
        UnusableKeyError: if it is not a sound key for one of the algorithms.
    """
    key_id = jwk.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        raise UnusableKeyError(f"kid must be text, got {got(key_id)}")
    named = f"key {key_id!r}" if key_id else "a key without kid"
    _check_use(jwk, named)
    if "alg" in jwk:
        algorithm = ALIASES.get(str(jwk["alg"]), str(jwk["alg"]))
        algorithms = algorithms & {algorithm}
        if not algorithms:
            raise OtherPurposeError(f"alg of {named} must be among the algorithms, got {jwk['alg']!r}")
    try:
        if jwk.get("kty") == "oct":
            # Programs generate JWKs, so the secret in one is not checked for being guessable, unlike a typed
            # secret.
            return _hmac_key(_bytes(jwk, "k"), algorithms, key_id)
        if not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise UnusableKeyError(
                f"{named} must be public, got a private key: a verifier needs only its public part"
            )
        public = _public_key(_unpadded(jwk) if lenient else jwk, lenient=lenient)
        return replace(bind(public, algorithms, key_id), issuer=_issuer_of(jwk))
    except UnusableKeyError as error:
        raise type(error)(f"{named}: {error}") from error


def _issuer_of(jwk: Mapping[str, Any]) -> str | None:
    issuer = jwk.get("issuer")
    return issuer if isinstance(issuer, str) and issuer.startswith("https://") else None


def _unpadded(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return a public key without the `=` that some issuers write after its numbers."""
    return {
        name: value.rstrip("=")
        if name in _NUMBERS and isinstance(value, str) and not len(value) % 4
        else value
        for name, value in jwk.items()
    }


def _check_use(jwk: Mapping[str, Any], named: str) -> None:
    """Check the use of the key (RFC 7517 sections 4.2 and 4.3)."""
    if jwk.get("use", "sig") != "sig":
        raise OtherPurposeError(
            f"use of {named} must be sig, for signatures, or be left out, got {got(jwk['use'])}"
        )
    operations = jwk.get("key_ops", ["verify"])
    if (
        not isinstance(operations, list)
        or "verify" not in operations
        or len({str(operation) for operation in operations}) != len(operations)
    ):
        raise UnusableKeyError(
            f"key_ops of {named} must have verify and nothing twice, or be left out, got {got(operations)}"
        )


def _public_key(jwk: Mapping[str, Any], *, lenient: bool) -> Any:
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "RSA", _:
                e, n = (_number(jwk, name, lenient=lenient) for name in "en")
                return rsa.RSAPublicNumbers(int.from_bytes(e), int.from_bytes(n)).public_key()
            case "EC", str(name) if name in _CURVES:
                x, y = (_number(jwk, member, _CURVES[name][1], lenient=lenient) for member in "xy")
                point = b"\x04" + x + y
                return ec.EllipticCurvePublicKey.from_encoded_point(_curve(name), point)
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(_bytes_of_size(_bytes(jwk, "x"), "x", 32))
            case _:
                raise UnusableKeyError(
                    "kty and crv must be RSA, EC on P-256, P-384 or P-521, or OKP on Ed25519, got "
                    f"{got(jwk.get('kty'))} and {got(jwk.get('crv'))}"
                )
    except UnusableKeyError:
        raise
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError(
            f"its members must be those of a public key, got others: {str(error) or 'out of range'}"
        ) from error


def _curve(name: str) -> ec.EllipticCurve:
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    return curves[name]


def bind(key: Any, algorithms: frozenset[str], key_id: str | None) -> VerificationKey:
    """Find the algorithm of a public key, and check its strength."""
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key.public_numbers())
        algorithm = _single_algorithm(algorithms, _RSA, "an RSA key", "RS256")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        names = {_curve(name).name: algorithm for name, (algorithm, _) in _CURVES.items()}
        fitting = names.get(key.curve.name)
        if fitting is None:
            raise UnusableKeyError(f"a key must be on P-256, P-384 or P-521, got one on {key.curve.name}")
        algorithm = _single_algorithm(algorithms, {fitting}, f"a key on {key.curve.name}", fitting)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithm = _single_algorithm(algorithms, {"EdDSA"}, "an Ed25519 key", "EdDSA")
    else:
        raise UnusableKeyError(f"a key must be RSA, EC or Ed25519, got {type_of(key)}")
    return VerificationKey(algorithm, key_id, checker(algorithm, key), key)


def _single_algorithm(algorithms: frozenset[str], fitting: Iterable[str], what: str, usual: str) -> str:
    candidates = algorithms.intersection(fitting)
    if not candidates:
        raise OtherPurposeError(
            f"algorithms must name one for {what}, got {', '.join(sorted(algorithms))}: write {usual!r}"
        )
    if len(candidates) > 1:
        raise ConfigurationError(
            f"algorithms must name one for {what}, got {', '.join(sorted(candidates))}: list one of them, or "
            "give the key as a JWK with an alg"
        )
    return next(iter(candidates))


def _check_rsa(numbers: rsa.RSAPublicNumbers) -> None:
    if numbers.n.bit_length() not in _RSA_BITS:
        raise UnusableKeyError(
            f"an RSA key must have between 2048 and 16384 bits, got {numbers.n.bit_length()}"
        )
    if numbers.e < _MIN_EXPONENT or numbers.e % 2 == 0:
        raise UnusableKeyError(
            f"an RSA exponent must be odd and at least {_MIN_EXPONENT}, got {got(numbers.e, numeric=True)}"
        )
    if numbers.n.bit_length() ** 2 * numbers.e.bit_length() > _MAX_RSA_WORK:
        raise UnusableKeyError(
            "an RSA key must have a short exponent, such as 65537, for verifying takes too long with others, "
            f"got one of {numbers.e.bit_length()} bits"
        )
    if _is_roca(numbers.n):
        raise UnusableKeyError(
            "an RSA key must be sound, got one that can be factored (ROCA, CVE-2017-15361)"
        )


def _is_roca(modulus: int) -> bool:
    """Return whether the modulus has the fingerprint of CVE-2017-15361 (Nemec et al., CCS 2017).

    The faulty generator's primes are powers of 65537 modulo many small primes, and so is their
    product. A sound key looks like that with a probability of about 2^-27.
    """
    return all(modulus % prime in _powers(prime) for prime in _SMALL_PRIMES)


_SMALL_PRIMES = tuple(n for n in range(3, 168) if all(n % d for d in range(2, n)))


@cache
def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_MIN_EXPONENT, exponent, prime) for exponent in range(prime - 1))


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not _ALPHABET.match(text):
        shown = "other text" if isinstance(text, str) else type_of(text)
        raise UnusableKeyError(f"{name} must be text in base64url, got {shown}")
    try:
        return base64url(text.encode())
    except MalformedTokenError as error:
        raise UnusableKeyError(f"{name} must be canonical base64url, got another spelling") from error


def _bytes_of_size(data: bytes, name: str, size: int) -> bytes:
    if len(data) != size:
        raise UnusableKeyError(f"{name} must have {size} bytes, got {len(data)}")
    return data


def _number(jwk: Mapping[str, Any], name: str, size: int | None = None, *, lenient: bool) -> bytes:
    """Return the bytes of a number, the highest first.

    Args:
        jwk: the members of the key.
        name: the member.
        size: the number of its bytes, including leading zeros (RFC 7518 section 6.2.1.2); None for the fewest
            possible (section 2).
        lenient: whether more leading zeros are accepted.
    """
    data = _bytes(jwk, name)
    if lenient and len(data) > (size or 1):
        data = data.lstrip(b"\0").rjust(size or 1, b"\0")
    if size is not None:
        return _bytes_of_size(data, name, size)
    if data[0] == 0:
        raise UnusableKeyError(
            f"{name} must begin with its highest byte (RFC 7518 section 2), got a zero byte before it"
        )
    return data
