"""Keycloak of version 25 and later, for clients without the scope `basic`: no `sub` in access tokens.

Source of the shape: Keycloak, Upgrading Guide, "Migrating to 25.0.0".
"""

from authguard import Guard, JWTVerifier
from providers.building import Provider, caller
from providers.keycloak import CLIENT, ID_TOKEN, PROGRAM, REFRESH, ROLES, pages
from providers.keycloak import TOKEN as WITH_SUB


def guard() -> Guard:
    """Keycloak: tokens without `sub`."""
    verifier = JWTVerifier.from_issuer(
        "https://sso.example.com/realms/acme",
        audience="my.api",
        client_ids=["web", "billing"],
        claims={"typ": "Bearer"},
        subject_claims=["preferred_username"],
        role_claims=["realm_access.roles", ("resource_access", "my.api", "roles")],
    )
    return Guard(verifier)


TOKEN = WITH_SUB.having(sub=..., auth_time=...)

PROVIDER = Provider(
    guard=guard,
    pages=pages,
    taken={
        "a user": (TOKEN, caller("ann", scopes="profile email", roles=ROLES, client_id=CLIENT)),
        "a user with sub": (WITH_SUB, caller("ann", scopes="profile email", roles=ROLES, client_id=CLIENT)),
        "a service account": (
            PROGRAM.having(sub=...),
            caller("service-account-billing", scopes="profile email", roles=["reader"], client_id="billing"),
        ),
    },
    refused={
        "audience": {"the account console alone": TOKEN.having(aud="account")},
        "tenant": {"another realm": TOKEN.having(iss="https://sso.example.com/realms/evil")},
        "client": {"another client": TOKEN.having(azp="other")},
        "kind": {
            "a refresh token": REFRESH,
            "an ID token": ID_TOKEN.having(sub=..., aud="my.api"),
            "an action token with the key of access tokens": TOKEN.having(typ="idp-verify-account-via-email"),
            "nobody's": TOKEN.having(preferred_username=...),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
