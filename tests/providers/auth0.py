"""Auth0: access tokens of both profiles, of people and of programs.

Source of the shape: Auth0 documentation, "Access Token Profiles" and "JSON Web Key Sets".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Opaque, Provider, Signer, Token, caller, discovery

ISSUER = "https://acme.eu.auth0.com/"
API, CLIENT = "https://api.example.com", "9Xn0p7y2kW3qRsTuVwXyZ12345678901"
KEY = Signer("RS256", "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg")
USER = "auth0|5f7c8ec7c33c6c004bbafe82"


def guard() -> Guard:
    """Auth0."""
    verifier = JWTVerifier.from_issuer(
        "https://acme.eu.auth0.com/",  # the issuer ends in a slash
        audience="https://api.example.com",
        client_ids=["9Xn0p7y2kW3qRsTuVwXyZ12345678901"],
        scope_claims=["scope", "permissions"],
        role_claims=["https://acme.example/roles"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "iss": ISSUER,
        "sub": USER,
        "aud": [API, f"{ISSUER}userinfo"],
        **DATES,
        "azp": CLIENT,
        "scope": "openid profile",
        "permissions": ["read:items", "write:items"],
        "https://acme.example/roles": ["editor"],
    },
    KEY,
    {"typ": "JWT"},
)
SCOPES = "openid profile read:items write:items"
RFC9068 = TOKEN.having(azp=..., client_id=CLIENT, jti="Kq3v1Xb").headed(typ="at+jwt")
PROGRAM = TOKEN.having(
    sub=f"{CLIENT}@clients", aud=API, gty="client-credentials", scope="read:items", permissions=["read:items"]
).having({"https://acme.example/roles": ...})
ID_TOKEN = TOKEN.having(aud=CLIENT, nonce="n-0S6_WzA2Mj", sid="s1", azp=..., scope=..., permissions=...)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(
        ISSUER,
        f"{ISSUER}.well-known/jwks.json",
        KEY.jwk(alg="RS256", use="sig", x5t=KEY.x5t(), x5c=KEY.x5c()),
        id_token_signing_alg_values_supported=["HS256", "RS256", "PS256"],
    ),
    taken={
        "a user": (TOKEN, caller(USER, scopes=SCOPES, roles=["editor"], client_id=CLIENT)),
        "a user, RFC 9068": (RFC9068, caller(USER, scopes=SCOPES, roles=["editor"], client_id=CLIENT)),
        "a program": (PROGRAM, caller(f"{CLIENT}@clients", scopes="read:items", client_id=CLIENT)),
    },
    refused={
        "audience": {
            "another API": TOKEN.having(aud=["https://other.example.com", f"{ISSUER}userinfo"]),
            "the user information alone": TOKEN.having(aud=f"{ISSUER}userinfo"),
        },
        "tenant": {
            "another tenant": TOKEN.having(iss="https://evil.eu.auth0.com/"),
            "no slash": TOKEN.having(iss=ISSUER.removesuffix("/")),
        },
        "client": {"another application": TOKEN.having(azp="Other"), "none": TOKEN.having(azp=...)},
        "kind": {
            "an ID token": ID_TOKEN,
            "a logout token": TOKEN.having(events={}).headed(typ="logout+jwt"),
            "an encrypted token for the user information": Opaque("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn"),
        },
        "signer": {
            "a stranger": TOKEN.strange(),
            "the client secret": TOKEN.signed(Signer("HS256", KEY.kid, secret="c" * 64)),
        },
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
