"""Encode digests: base64url without padding (RFC 7515 section 2), and SHA-256 in hexadecimal."""

from base64 import urlsafe_b64encode
from hashlib import sha256


def encode_base64url(data: bytes) -> str:
    """Encode bytes in base64url, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def sha256_base64url(text: str) -> str:
    """Return the SHA-256 of a text in base64url, without padding."""
    return encode_base64url(sha256(text.encode()).digest())


def sha256_hex(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal; the text may have lone surrogates, as JSON may."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
