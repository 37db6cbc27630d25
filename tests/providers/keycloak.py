"""Keycloak: access tokens of people and service accounts, with roles below a client whose id has dots.

Source of the shape: Keycloak, Server Administration Guide, "OIDC token and SAML assertion mappings".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

ISSUER, CLIENT = "https://sso.example.com/realms/acme", "web"
KEY = Signer("RS256", "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE")
USER = "f:2b7e1f3a:ann"


def guard() -> Guard:
    """Keycloak."""
    verifier = JWTVerifier.from_issuer(
        "https://sso.example.com/realms/acme",
        audience="my.api",
        client_ids=["web", "billing"],
        claims={"typ": "Bearer"},
        role_claims=["realm_access.roles", "resource_access.my.api.roles"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        **DATES,
        "auth_time": DATES["iat"],
        "jti": "onrtac:9d2c1c7e-5a0e-4d44-9a57-0d0d33f0a1de",
        "iss": ISSUER,
        "aud": ["my.api", "account"],
        "sub": USER,
        "typ": "Bearer",
        "azp": CLIENT,
        "sid": "b1a6f9b3-7a1e-4e37-a0b0-5f5c7f6c6e0a",
        "acr": "1",
        "allowed-origins": ["https://app.example.com"],
        "realm_access": {"roles": ["offline_access", "staff"]},
        "resource_access": {"my.api": {"roles": ["editor"]}, "account": {"roles": ["view-profile"]}},
        "scope": "profile email",
        "email_verified": True,
        "preferred_username": "ann",
    },
    KEY,
    {"typ": "JWT"},
)
PROGRAM = TOKEN.having(
    {"allowed-origins": ...}, azp="billing", sub="0b0e", client_id="billing", clientHost="192.0.2.7",
    clientAddress="192.0.2.7", preferred_username="service-account-billing", sid=..., auth_time=...,
    realm_access=..., resource_access={"my.api": {"roles": ["reader"]}},
)  # fmt: skip
REFRESH = Token(
    {**DATES, "jti": "r", "iss": ISSUER, "aud": ISSUER, "sub": USER, "typ": "Refresh", "azp": CLIENT},
    Signer("HS512", "hmac", secret="k" * 64),
    {"typ": "JWT"},
)
ID_TOKEN = TOKEN.having(
    {"allowed-origins": ...}, aud=CLIENT, typ="ID", at_hash="aGFzaA", realm_access=..., scope=...
)
ROLES = ["offline_access", "staff", "editor"]


def pages() -> dict[str, object]:
    """Return the pages of the realm: a key for signatures and one for encryption."""
    encryption = Signer("RS256", "enc", owner="encryption").jwk(alg="RSA-OAEP", use="enc")
    signing = KEY.jwk(alg="RS256", use="sig", x5c=KEY.x5c(), x5t=KEY.x5t())
    return discovery(
        ISSUER,
        f"{ISSUER}/protocol/openid-connect/certs",
        encryption,
        signing,
        id_token_signing_alg_values_supported=["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "RS256"],
    )


PROVIDER = Provider(
    guard=guard,
    pages=pages,
    taken={
        "a user": (TOKEN, caller(USER, scopes="profile email", roles=ROLES, client_id=CLIENT)),
        "a service account": (
            PROGRAM,
            caller("0b0e", scopes="profile email", roles=["reader"], client_id="billing"),
        ),
    },
    refused={
        "audience": {
            "the account console alone": TOKEN.having(aud="account"),
            "no audience mapper": TOKEN.having(aud=...),
        },
        "tenant": {"another realm": TOKEN.having(iss="https://sso.example.com/realms/evil")},
        "client": {"another client": TOKEN.having(azp="other"), "none": TOKEN.having(azp=...)},
        "kind": {
            "a refresh token": REFRESH,
            "an offline token with the key of access tokens": TOKEN.having(typ="Offline"),
            "an ID token": ID_TOKEN,
            "an ID token for the API": ID_TOKEN.having(aud="my.api", at_hash=...),
            "an action token with the key of access tokens": TOKEN.having(typ="idp-verify-account-via-email"),
            "a logout token": TOKEN.having(typ="Logout", events={"backchannel-logout": {}}).headed(
                typ="logout+jwt"
            ),
        },
        "signer": {
            "a stranger": TOKEN.strange(),
            "the key to encrypt": TOKEN.signed(Signer("RS256", "enc", owner="encryption")),
        },
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
