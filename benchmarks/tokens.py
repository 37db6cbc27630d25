"""Keys and tokens: one issuer for an algorithm, with good tokens and those that must be refused."""

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

# What an access token has, and what rivals ask for: client_id and typ (Authlib), type and fresh
# (authx, Flask-JWT-Extended), a number as subject (fastapi-users, as configured here).
CLAIMS = {
    "iss": ISSUER, "aud": AUDIENCE, "client_id": "web", "scope": "read write",
    "email": "ada@example.com", "sid": "s" * 22, "type": "access", "fresh": False,
}  # fmt: skip


@dataclass(frozen=True)
class Issuer:
    """Signs tokens with one key.

    Attributes:
        algorithm: the `alg`.
        signing: the secret, or the private key.
        verification: the secret, or the public key in PEM.
    """

    algorithm: str
    signing: Any
    verification: str

    def token(self, **claims: Any) -> str:
        """A token that differs from all others; claims that are None are left out."""
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
        """A good token with another subject, under the signature of the first one."""
        header, payload, signature = self.token().split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        changed = json.dumps({**claims, "sub": "43"}, separators=(",", ":")).encode()
        return f"{header}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"

    def forged(self) -> str:
        """What looks like a good token, signed with somebody else's key."""
        return Issuer(self.algorithm, *_key(self.algorithm)).token()


def issuer(algorithm: str) -> Issuer:
    """An issuer with a fresh key."""
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
