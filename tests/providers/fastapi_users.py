"""fastapi-users with `JWTStrategy` and `CookieTransport`: tokens of one's own application.

Source of the shape: `fastapi_users.authentication.strategy.jwt`, `fastapi_users.manager` of version 14.
"""

import os

from authguard import AccessCookie, Guard, JWTVerifier
from providers.building import EXPIRES, Provider, Signer, Token, caller, in_cookie

SECRET = "fastapi-users-Secret-of-32-bytes-or-more-5Jx"
KEY = Signer("HS256", secret=SECRET)
USER = "4fd3477b-eccf-4ee3-8f7d-68ad72261476"


def guard() -> Guard:
    """fastapi-users."""
    verifier = JWTVerifier(
        os.environ["SECRET"],
        algorithms=["HS256"],
        issuer=None,
        audience="fastapi-users:auth",
    )
    return Guard(verifier, cookie=AccessCookie("fastapiusersauth", host_prefix=False))


TOKEN = Token({"sub": USER, "aud": ["fastapi-users:auth"], "exp": EXPIRES}, KEY, {"typ": "JWT"})
RESET = TOKEN.having(aud="fastapi-users:reset", password_fgpt="$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA")
VERIFY = TOKEN.having(aud="fastapi-users:verify", email="ann@acme.example")

PROVIDER = Provider(
    guard=guard,
    environ={"SECRET": SECRET},
    send=in_cookie("fastapiusersauth"),
    taken={"a user": (TOKEN, caller(USER))},
    refused={
        "audience": {
            "another backend": TOKEN.having(aud=["fastapi-users:admin"]),
            "none": TOKEN.having(aud=...),
        },
        "kind": {
            "to reset a password": RESET,
            "to verify an address": VERIFY,
            "the state of a sign-in at a provider": TOKEN.having(aud="fastapi-users:oauth-state", sub=...),
        },
        "signer": {"a stranger": TOKEN.strange(), "nobody": TOKEN.signed(Signer("none", secret="-"))},
        "expired": {"ten minutes ago": TOKEN.expired(), "never": TOKEN.having(exp=...)},
    },
    cannot={"tenant": "no issuer is named", "client": "no client is named"},
)
