"""Amazon Cognito user pools: access tokens, which have no audience.

Source of the shape: Amazon Cognito Developer Guide, "Understanding the access token".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AcmePool1"
CLIENT = "1example23456789abcdefghij"
KEY = Signer("RS256", "abcdefghijklmnopqrsexample=")
USER = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def guard() -> Guard:
    """Amazon Cognito: access tokens."""
    verifier = JWTVerifier.from_issuer(
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AcmePool1",
        audience=None,
        client_ids=["1example23456789abcdefghij"],
        claims={"token_use": "access"},
        role_claims=["cognito:groups"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "sub": USER,
        "device_key": "eu-west-1_aaaa",
        "cognito:groups": ["editors"],
        "iss": ISSUER,
        "version": 2,
        "client_id": CLIENT,
        "origin_jti": "o1",
        "event_id": "e1",
        "token_use": "access",
        "scope": "openid items/read",
        "auth_time": DATES["iat"],
        **DATES,
        "jti": "j1",
        "username": "ann",
    },
    KEY,
)
PROGRAM = TOKEN.having(
    {"cognito:groups": ...},
    sub=CLIENT,
    username=...,
    device_key=...,
    origin_jti=...,
    event_id=...,
    scope="items/read",
)
ID_TOKEN = TOKEN.having(
    {"cognito:username": "ann"}, aud=CLIENT, token_use="id", email="ann@acme.example", email_verified=True,
    at_hash="aGFzaA", client_id=..., scope=..., username=..., version=..., device_key=...,
)  # fmt: skip
POOL = discovery(ISSUER, f"{ISSUER}/.well-known/jwks.json")


def pages() -> dict[str, object]:
    """Return the pages of the pool: two keys, the first of which signs ID tokens."""
    first = Signer("RS256", "1234example=", owner="stranger").jwk(alg="RS256", use="sig")
    return POOL | {f"{ISSUER}/.well-known/jwks.json": {"keys": [first, KEY.jwk(alg="RS256", use="sig")]}}


PROVIDER = Provider(
    guard=guard,
    pages=pages,
    taken={
        "a user": (TOKEN, caller(USER, scopes="openid items/read", roles=["editors"], client_id=CLIENT)),
        "a program": (PROGRAM, caller(CLIENT, scopes="items/read", client_id=CLIENT)),
    },
    refused={
        "audience": {"a resource that is bound": TOKEN.having(aud="https://other.example.com")},
        "tenant": {
            "another pool": TOKEN.having(
                iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EvilPool1"
            ),
            "another region": TOKEN.having(
                iss="https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AcmePool1"
            ),
        },
        "client": {
            "another application": TOKEN.having(client_id="other"),
            "none": TOKEN.having(client_id=...),
        },
        "kind": {
            "an ID token": ID_TOKEN,
            "an ID token without audience": ID_TOKEN.having(aud=..., at_hash=..., client_id=CLIENT),
            "no use": TOKEN.having(token_use=...),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
