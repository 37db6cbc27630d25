"""Google Cloud's Identity-Aware Proxy: a token in a field of its own, beside the request.

Source of the shape: Identity-Aware Proxy documentation, "Securing your app with signed headers".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import DATES, Provider, Signer, Token, caller, in_field

AUDIENCE = "/projects/123456/global/backendServices/7890"
KEYS = "https://www.gstatic.com/iap/verify/public_key-jwk"
KEY = Signer("ES256", "mpf0DA")
USER = "accounts.google.com:10769150350006150715113082367"


def guard() -> Guard:
    """Google: Identity-Aware Proxy."""
    verifier = JWTVerifier(
        RemoteKeySet("https://www.gstatic.com/iap/verify/public_key-jwk"),
        algorithms=["ES256"],
        issuer="https://cloud.google.com/iap",
        audience="/projects/123456/global/backendServices/7890",
        header="X-Goog-IAP-JWT-Assertion",
        claims={"hd": "acme.example"},
        role_claims=["google.access_levels"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": AUDIENCE,
        "azp": AUDIENCE,
        "email": "ann@acme.example",
        **DATES,
        "google": {"access_levels": ["accessPolicies/1/accessLevels/office"]},
        "hd": "acme.example",
        "identity_source": "GOOGLE",
        "iss": "https://cloud.google.com/iap",
        "sub": USER,
    },
    KEY,
    {"typ": "JWT"},
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {KEYS: {"keys": [KEY.jwk(alg="ES256", use="sig")]}},
    send=in_field("X-Goog-IAP-JWT-Assertion"),
    taken={
        "a user": (TOKEN, caller(USER, roles=["accessPolicies/1/accessLevels/office"], client_id=AUDIENCE))
    },
    refused={
        "audience": {
            "another backend": TOKEN.having(aud="/projects/123456/global/backendServices/1"),
            "another project": TOKEN.having(aud="/projects/666/global/backendServices/7890"),
        },
        "tenant": {
            "another organisation": TOKEN.having(hd="evil.example"),
            "an ID token of Google": TOKEN.having(iss="https://accounts.google.com"),
        },
        "kind": {
            "a logout token": TOKEN.headed(typ="logout+jwt"),
            "an ID token": TOKEN.having(at_hash="aGFzaA"),
        },
        "signer": {"a stranger": TOKEN.strange(), "RSA": TOKEN.signed(Signer("RS256", KEY.kid))},
        "expired": {"an hour ago": TOKEN.expired()},
    },
    cannot={"client": "the proxy signs for a backend; no client is named but that"},
)
