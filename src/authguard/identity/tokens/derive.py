"""Derive keys from the one configured secret, each for one purpose (RFC 5869)."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive_key(secret: str, purpose: str) -> bytes:
    """Derive 32 bytes for a purpose, from which neither the secret nor another key can be computed.

    Args:
        secret: the configured secret.
        purpose: the purpose of the key; another purpose gives another key.
    """
    return HKDF(hashes.SHA256(), 32, None, f"authguard {purpose}".encode()).derive(secret.encode())


def derive_fernet(secret: str, purpose: str) -> Fernet:
    """Derive an authenticated cipher for a purpose."""
    return Fernet(urlsafe_b64encode(derive_key(secret, purpose)))
