"""Flask-JWT-Extended: tokens of one's own application, with issuer and audience set there.

Source of the shape: `flask_jwt_extended.tokens` of version 4.
"""

import os

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller

SECRET = "flask-jwt-extended-Secret-of-32-bytes-or-more"


def guard() -> Guard:
    """Flask-JWT-Extended."""
    verifier = JWTVerifier(
        os.environ["JWT_SECRET_KEY"],
        algorithms=["HS256"],
        issuer="https://shop.example.com",  # JWT_ENCODE_ISSUER; None where it is not set
        audience="https://shop.example.com",  # JWT_ENCODE_AUDIENCE; None where it is not set
        claims={"type": "access"},
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "fresh": False,
        **DATES,
        "jti": "1c2d3e4f-0000-4000-8000-000000000004",
        "type": "access",
        "sub": "ann",
        "nbf": DATES["iat"],
        "csrf": "5f3c1b2a-0000-4000-8000-000000000005",
        "iss": "https://shop.example.com",
        "aud": "https://shop.example.com",
        "roles": ["editor"],  # additional_claims
    },
    Signer("HS256", secret=SECRET),
    {"typ": "JWT"},
)

PROVIDER = Provider(
    guard=guard,
    environ={"JWT_SECRET_KEY": SECRET},
    taken={"a user": (TOKEN, caller("ann", roles=["editor"]))},
    refused={
        "audience": {
            "another API": TOKEN.having(aud="https://other.example.com"),
            "none": TOKEN.having(aud=...),
        },
        "tenant": {"another application with the secret": TOKEN.having(iss="https://evil.example.com")},
        "kind": {"a refresh token": TOKEN.having(type="refresh"), "no type": TOKEN.having(type=...)},
        "signer": {"a stranger": TOKEN.strange(), "nobody": TOKEN.signed(Signer("none", secret="-"))},
        "expired": {"ten minutes ago": TOKEN.expired(), "never": TOKEN.having(exp=...)},
    },
    cannot={"client": "no client is named"},
)
