"""Verify the signatures of reports: ECDSA over P-256 with SHA-256, of the body as it was sent."""

import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from authguard.identity.errors import InvalidReportError

IDENTIFIER_FIELD = "Github-Public-Key-Identifier"
SIGNATURE_FIELD = "Github-Public-Key-Signature"
_MAX_SIGNATURE = 200  # characters in base64; a signature has at most 72 bytes
_MAX_PEM = 4_096
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}\Z")
_ALGORITHM = ec.ECDSA(Prehashed(hashes.SHA256()))


class Signature(NamedTuple):
    """Hold the signature of a report.

    Attributes:
        identifier: the identifier of the signing key.
        value: the signature in DER.
    """

    identifier: str
    value: bytes


def read_signature(identifiers: Sequence[str], signatures: Sequence[str]) -> Signature:
    """Return the signature of a request.

    Args:
        identifiers: the values of the field `Github-Public-Key-Identifier`.
        signatures: the values of the field `Github-Public-Key-Signature`.

    Raises:
        InvalidReportError: if a field is missing, repeated or malformed.
    """
    if len(identifiers) != 1 or len(signatures) != 1 or not _IDENTIFIER.match(identifiers[0]):
        raise InvalidReportError("not one key identifier and one signature")
    try:
        if not 0 < len(signatures[0]) <= _MAX_SIGNATURE:
            raise ValueError
        value = binascii.a2b_base64(signatures[0].encode("ascii"), strict_mode=True)
    except ValueError:
        raise InvalidReportError("a signature that is not base64") from None
    return Signature(identifiers[0], value)


def read_public_key(text: str) -> ec.EllipticCurvePublicKey | None:
    """Return the public key of a PEM text; None if it is not a key on P-256."""
    if len(text) > _MAX_PEM:
        return None
    try:
        key: Any = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    is_right = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_right else None


def is_signed(body: bytes | bytearray, signature: Signature, key: ec.EllipticCurvePublicKey) -> bool:
    """Return whether a signature is that of a body by a key; DER with trailing bytes is invalid."""
    try:
        # Other threads run while the digest of a large body is computed.
        key.verify(signature.value, hashlib.sha256(body).digest(), _ALGORITHM)
    except InvalidSignature:
        return False
    return True
