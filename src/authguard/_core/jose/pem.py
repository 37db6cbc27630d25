"""Read public keys and certificates in PEM: RFC 7468."""

import re
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

from authguard._core.jose.jwk import VerificationKey, bind
from authguard.errors import ConfigurationError

BEGIN = "-----BEGIN"
_BLOCK = re.compile(rb"-----BEGIN ([^-\r\n]+)-----.*?-----END \1-----", re.DOTALL)
_MAX_BLOCKS = 16


def from_pem(
    text: str | bytes, algorithms: frozenset[str], key_id: str | None = None
) -> list[VerificationKey]:
    """Return the keys of all public keys and certificates in PEM text.

    The validity dates of certificates are ignored. A certificate that signed another one in the text belongs
    to an authority, as in a file with the whole chain: its key does not sign tokens, and is left out.

    Args:
        text: one block or several.
        algorithms: the allowed algorithms of the keys.
        key_id: the `kid` of the keys, if it is known.

    Raises:
        ConfigurationError: if the text has a private key, or a block that is neither a public key nor a
            certificate.
    """
    data = text.encode() if isinstance(text, str) else bytes(text)
    if b"PRIVATE KEY" in data:
        raise ConfigurationError(
            "keys must be public, got a private key: a verifier needs only the public part of it"
        )
    if b"\\n" in data:
        raise ConfigurationError(
            r'PEM text must have line breaks, got "\n" as two characters in their place: '
            r'text.replace("\\n", "\n") puts them back'
        )
    number = data.count(BEGIN.encode())
    # The blocks are counted first, because the search for the end of an incomplete block reads all text after
    # it.
    blocks = list(_BLOCK.finditer(data)) if number <= _MAX_BLOCKS else []
    if not blocks or len(blocks) != number:
        raise ConfigurationError(
            f"PEM text must hold a public key or a certificate, or up to {_MAX_BLOCKS}, each with its first "
            "and last line, got more, or one that is cut off"
        )
    loaded = [_load(block[0]) for block in blocks]
    certificates = [certificate for _, certificate in loaded if certificate is not None]
    signers = [key for key, certificate in loaded if not _is_authority(certificate, certificates)]
    if not signers:
        raise ConfigurationError(
            "PEM text must hold the certificate of a key that signs tokens, got authorities that signed each "
            "other: give the one whose key it is"
        )
    return [bind(key, algorithms, key_id) for key in signers]


def _load(block: bytes) -> tuple[Any, Certificate | None]:
    """Return a public key, with its certificate if it has one."""
    try:
        if b"BEGIN CERTIFICATE-" in block:
            certificate = load_pem_x509_certificate(block)
            return certificate.public_key(), certificate
        return load_pem_public_key(block), None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            "PEM text must hold a public key or a certificate in each part, got one that cannot be read as "
            "either"
        ) from error


def _is_authority(certificate: Certificate | None, others: list[Certificate]) -> bool:
    """Return whether a certificate has signed another one, with another key."""
    return certificate is not None and any(_has_signed(certificate, other) for other in others)


def _has_signed(issuer: Certificate, certificate: Certificate) -> bool:
    try:
        if issuer.public_key() == certificate.public_key() or issuer.subject != certificate.issuer:
            return False
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 (a signature that is not by this issuer, however it fails)
        return False
    return True
