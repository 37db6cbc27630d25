"""Microsoft Entra ID for several customers: a multi-tenant registration, version 2.0.

Source of the shape: Microsoft identity platform documentation, "Convert single-tenant app to multitenant".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import Provider, caller
from providers.entra import ID_TOKEN, KEY, LOGIN, OTHER, SUBJECT, TENANT, TOKEN, key

THIRD = "11111111-2222-4333-8444-555555555555"


def guard() -> Guard:
    """Microsoft Entra ID: several tenants."""
    verifier = JWTVerifier(
        RemoteKeySet("https://login.microsoftonline.com/organizations/discovery/v2.0/keys"),
        algorithms=["RS256"],
        issuer="https://login.microsoftonline.com/{tenantid}/v2.0",
        tenants=["8f2c0d5e-6c0f-4b57-9f3f-2d0b1a7a1c11", "72f988bf-86f1-41af-91ab-2d7cd011db47"],
        audience="6a1e7c3e-0000-4000-8000-000000000001",
        client_ids=["b14a7505-96e9-4927-91e8-0601d0fc9caa"],
        scope_claims=["scp"],
    )
    return Guard(verifier)


GUEST = TOKEN.having(iss=f"{LOGIN}/{OTHER}/v2.0", tid=OTHER)
CALLER = caller(
    SUBJECT, scopes="access_as_user items.read", roles=["Items.Edit"], client_id=str(TOKEN.claims["azp"])
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {f"{LOGIN}/organizations/discovery/v2.0/keys": {"keys": [key("{tenantid}")]}},
    taken={"the first tenant": (TOKEN, CALLER), "the second tenant": (GUEST, CALLER)},
    refused={
        "audience": {"another API": GUEST.having(aud="00000003-0000-0000-c000-000000000000")},
        "tenant": {
            "a third tenant": TOKEN.having(iss=f"{LOGIN}/{THIRD}/v2.0", tid=THIRD),
            "a third tenant in another claim": TOKEN.having(iss=f"{LOGIN}/{THIRD}/v2.0"),
            "the pattern itself": TOKEN.having(iss=f"{LOGIN}/{{tenantid}}/v2.0"),
            "a tenant with more before it": TOKEN.having(iss=f"{LOGIN}/{THIRD}/{TENANT}/v2.0"),
        },
        "client": {"another application": GUEST.having(azp=OTHER)},
        "kind": {"an ID token": ID_TOKEN},
        "signer": {
            "a stranger": GUEST.strange(),
            "an unknown key": GUEST.signed(KEY.__class__("RS256", "new")),
        },
        "expired": {"an hour ago": GUEST.expired()},
    },
)
