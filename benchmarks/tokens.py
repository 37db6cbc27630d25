"""Make keys and tokens: one issuer for each algorithm, with valid tokens and tokens that must be refused."""

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authguard.testing import issue_token

ISSUER, AUDIENCE, SUBJECT = "https://issuer.example", "https://api.example", "42"
ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

# The claims of an access token, and those that rivals require: client_id and typ (Authlib), type and fresh
# (authx, Flask-JWT-Extended), a number as subject (fastapi-users, as configured here).
CLAIMS = {
    "iss": ISSUER, "aud": AUDIENCE, "client_id": "web", "scope": "read write",
    "email": "ada@example.com", "sid": "s" * 22, "type": "access", "fresh": False,
}  # fmt: skip


@dataclass(frozen=True)
class Issuer:
    """Sign tokens with one key.

    Attributes:
        algorithm: the `alg`.
        signing: the secret, or the private key.
        verification: the secret, or the public key in PEM.
    """

    algorithm: str
    signing: Any
    verification: str

    def token(self, **claims: Any) -> str:
        """Return a token that differs from all others; claims with the value None are left out."""
        merged = {**CLAIMS, "jti": secrets.token_hex(8), **claims}
        return issue_token(
            self.signing,
            algorithm=self.algorithm,
            subject=SUBJECT,
            expires_in=3600,
            headers={"typ": "at+jwt"},
            **{name: value for name, value in merged.items() if value is not None},
        )

    def expired(self) -> str:
        return self.token(exp=1_700_000_000)

    def wrong_audience(self) -> str:
        return self.token(aud="https://another.example")

    def wrong_issuer(self) -> str:
        return self.token(iss="https://another.example")

    def tampered(self) -> str:
        """Return a valid token with another subject, but with the signature of the original."""
        header, payload, signature = self.token().split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        changed = json.dumps({**claims, "sub": "43"}, separators=(",", ":")).encode()
        return f"{header}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"

    def forged(self) -> str:
        """Return a token that is signed with another key."""
        return Issuer(self.algorithm, *_key(self.algorithm)).token()


def issuer(algorithm: str) -> Issuer:
    """Return an issuer with a new key."""
    return Issuer(algorithm, *_key(algorithm))


def _key(algorithm: str) -> tuple[Any, str]:
    if algorithm == "HS256":
        secret = secrets.token_urlsafe(40)
        return secret, secret
    private: Any = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }[algorithm]()
    return private, private.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ).decode()
