"""Django REST framework's Simple JWT: tokens of one's own application, with the user's number.

Source of the shape: `rest_framework_simplejwt.tokens` of version 5.
"""

import os

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller

SECRET = "django-insecure-no-longer-Secret-of-50-bytes-7Hq2"


def guard() -> Guard:
    """Simple JWT."""
    verifier = JWTVerifier(
        os.environ["DJANGO_SECRET_KEY"],  # SIMPLE_JWT["SIGNING_KEY"]
        algorithms=["HS256"],
        issuer="https://shop.example.com",  # SIMPLE_JWT["ISSUER"]; None where it is not set
        audience="https://api.example.com",  # SIMPLE_JWT["AUDIENCE"]; None where it is not set
        claims={"token_type": "access"},
        subject_claims=["user_id"],  # SIMPLE_JWT["USER_ID_CLAIM"]
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "token_type": "access",
        **DATES,
        "jti": "2f1f2f3f4f5f6f7f8f9f0f1f2f3f4f5f",
        "user_id": "17",
        "iss": "https://shop.example.com",
        "aud": "https://api.example.com",
    },
    Signer("HS256", secret=SECRET),
    {"typ": "JWT"},
)

PROVIDER = Provider(
    guard=guard,
    environ={"DJANGO_SECRET_KEY": SECRET},
    taken={
        "a user": (TOKEN, caller("17")),
        "a user of a version before 5.5, a number": (TOKEN.having(user_id=17), caller("17")),
    },
    refused={
        "audience": {
            "another API": TOKEN.having(aud="https://other.example.com"),
            "none": TOKEN.having(aud=...),
        },
        "tenant": {"another application with the secret": TOKEN.having(iss="https://evil.example.com")},
        "kind": {
            "a refresh token": TOKEN.having(token_type="refresh"),
            "a sliding token": TOKEN.having(token_type="sliding", refresh_exp=DATES["exp"]),
            "nobody's": TOKEN.having(user_id=...),
        },
        "signer": {"a stranger": TOKEN.strange(), "nobody": TOKEN.signed(Signer("none", secret="-"))},
        "expired": {"ten minutes ago": TOKEN.expired(), "never": TOKEN.having(exp=...)},
    },
    cannot={"client": "no client is named"},
)
