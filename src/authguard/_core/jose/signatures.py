"""Build the function that verifies signatures by an algorithm and a key: RFC 7518 section 3."""

import hashlib
from collections.abc import Callable
from functools import partial
from hmac import compare_digest
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import get_default_algorithms

#: A function that returns whether the second bytes are a signature over the first bytes.
Check: TypeAlias = Callable[[bytes, bytes], bool]

_DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_CURVES: dict[str, tuple[int, hashes.HashAlgorithm]] = {
    "ES256": (32, hashes.SHA256()),
    "ES384": (48, hashes.SHA384()),
    "ES512": (66, hashes.SHA512()),
}


def checker(algorithm: str, key: Any) -> Check:
    """Return the function that checks signatures of this algorithm by this key.

    RSA and EdDSA use PyJWT; its other schemes repeat look-ups for each signature.

    Args:
        algorithm: a known algorithm.
        key: bytes for HMAC, otherwise a public key of `cryptography`, which has been checked for the
            algorithm.
    """
    if algorithm in _DIGESTS:
        return _hmac_checker(key, _DIGESTS[algorithm])
    if algorithm in _CURVES:
        size, digest = _CURVES[algorithm]
        return partial(_verifies_ecdsa, key, size, ec.ECDSA(digest))
    verify = get_default_algorithms()[algorithm].verify
    return lambda signed, signature: verify(signed, key, signature)


def _hmac_checker(key: bytes, new: Callable[..., Any]) -> Check:
    """Return the function that checks codes of HMAC (RFC 2104) by this key.

    The two states with the padded key are created once, and copied for each token. Both alternatives are
    slower: `hmac` also copies a Python object, and `hmac.digest` hashes the key each time.

    Args:
        key: the secret.
        new: creates a state of the digest.
    """
    size = new().block_size
    padded = (new(key).digest() if len(key) > size else key).ljust(size, b"\0")
    copy_inner = new(bytes(byte ^ 0x36 for byte in padded)).copy
    copy_outer = new(bytes(byte ^ 0x5C for byte in padded)).copy

    def verifies(signed: bytes, signature: bytes) -> bool:
        inner, outer = copy_inner(), copy_outer()
        inner.update(signed)
        outer.update(inner.digest())
        return compare_digest(outer.digest(), signature)

    return verifies


def _verifies_ecdsa(
    key: ec.EllipticCurvePublicKey, size: int, scheme: ec.ECDSA, signed: bytes, signature: bytes
) -> bool:
    """Verify a signature in the form of section 3.4, in fewer steps than PyJWT."""
    if len(signature) != 2 * size:
        return False
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    try:
        key.verify(encode_dss_signature(r, s), signed, scheme)
    except InvalidSignature:
        return False
    return True
