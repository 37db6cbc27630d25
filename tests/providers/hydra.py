"""Ory Hydra: access tokens as JWTs, with an empty audience, and claims of the application below `ext`.

Source of the shape: Ory documentation, "JWT access tokens".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Opaque, Provider, Signer, Token, caller, discovery

ISSUER, CLIENT = "https://hydra.example.com", "b6a1f2e0-0000-4000-8000-000000000003"
KEY = Signer("RS256", "7b2d1f0a-7c1e-4c3f-9a8e-1f2e3d4c5b6a")


def guard() -> Guard:
    """Ory Hydra."""
    verifier = JWTVerifier.from_issuer(
        "https://hydra.example.com",
        audience=None,
        client_ids=["b6a1f2e0-0000-4000-8000-000000000003"],
        scope_claims=["scp"],
        role_claims=["ext.roles"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": [],
        "client_id": CLIENT,
        **DATES,
        "ext": {"roles": ["editor"]},
        "iss": ISSUER,
        "jti": "f5b3f0b9-6d2b-4a7e-8a34-0f1e2d3c4b5a",
        "nbf": DATES["iat"],
        "scp": ["openid", "items.read"],
        "sub": "ann",
    },
    KEY,
    {"typ": "JWT"},
)
PROGRAM = TOKEN.having(sub=CLIENT, scp=["items.read"], ext={})
ID_TOKEN = TOKEN.having(
    aud=[CLIENT],
    client_id=...,
    scp=...,
    ext=...,
    at_hash="aGFzaA",
    auth_time=DATES["iat"],
    rat=DATES["iat"],
    sid="s",
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(ISSUER, f"{ISSUER}/.well-known/jwks.json", KEY.jwk(alg="RS256", use="sig")),
    taken={
        "a user": (TOKEN, caller("ann", scopes="openid items.read", roles=["editor"], client_id=CLIENT)),
        "a program": (PROGRAM, caller(CLIENT, scopes="items.read", client_id=CLIENT)),
    },
    refused={
        "audience": {"another API": TOKEN.having(aud=["https://other.example.com"])},
        "tenant": {"another issuer": TOKEN.having(iss="https://hydra.evil.example")},
        "client": {
            "another application": TOKEN.having(client_id="other"),
            "none": TOKEN.having(client_id=...),
        },
        "kind": {
            "an ID token": ID_TOKEN,
            "an ID token without audience": ID_TOKEN.having(aud=[], client_id=CLIENT),
            "an opaque token": Opaque("ory_at_MTIzNDU2.c2lnbmF0dXJl"),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
