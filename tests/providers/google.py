"""Google: ID tokens of people and of service accounts.

Source of the shape: Google Identity documentation, "OpenID Connect", and Cloud Run, "Service-to-service".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Opaque, Provider, Signer, Token, caller, discovery

ISSUER = "https://accounts.google.com"
CLIENT = "1234987819200-abc.apps.googleusercontent.com"
KEY = Signer("RS256", "ab8614ff62893badce5aa79a7703b596665d2478")
USER = "10769150350006150715113082367"


def guard() -> Guard:
    """Google: ID tokens."""
    verifier = JWTVerifier.from_issuer(
        "https://accounts.google.com",
        audience="1234987819200-abc.apps.googleusercontent.com",
        client_ids=["1234987819200-abc.apps.googleusercontent.com"],
        id_tokens=True,
        claims={"hd": "acme.example", "email_verified": True},
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "iss": ISSUER,
        "azp": CLIENT,
        "aud": CLIENT,
        "sub": USER,
        "hd": "acme.example",
        "email": "ann@acme.example",
        "email_verified": True,
        "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "nonce": "0394852-3190485-2490358",
        **DATES,
    },
    KEY,
    {"typ": "JWT"},
)
EVENT = {"https://schemas.openid.net/secevent/risc/event-type/account-disabled": {"reason": "hijacking"}}

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(
        ISSUER, "https://www.googleapis.com/oauth2/v3/certs", KEY.jwk(alg="RS256", use="sig")
    ),
    taken={"a user": (TOKEN, caller(USER, client_id=CLIENT))},
    refused={
        "audience": {"another backend": TOKEN.having(aud="https://other.run.app")},
        "tenant": {
            "another organisation": TOKEN.having(hd="evil.example"),
            "a private account": TOKEN.having(hd=...),
            "the issuer without scheme": TOKEN.having(iss="accounts.google.com"),
        },
        "client": {"another application": TOKEN.having(azp="other.apps.googleusercontent.com")},
        "kind": {
            "an access token": Opaque("ya29.a0AfH6SMBx"),
            "a security event token": TOKEN.having(events=EVENT),
            "an address that is not verified": TOKEN.having(email_verified=False),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
