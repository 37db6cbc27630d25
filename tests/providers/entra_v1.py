"""Microsoft Entra ID, version 1.0: the tokens for APIs that have not requested version 2.0.

Source of the shape: Microsoft identity platform documentation, "Access token claims reference".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import Provider, caller
from providers.entra import API, CLIENT, KEY, LOGIN, OTHER, SUBJECT, TENANT, key
from providers.entra import TOKEN as VERSION_2

ISSUER = f"https://sts.windows.net/{TENANT}/"


def guard() -> Guard:
    """Microsoft Entra ID: version 1.0."""
    tenant = "8f2c0d5e-6c0f-4b57-9f3f-2d0b1a7a1c11"
    verifier = JWTVerifier(
        RemoteKeySet(f"https://login.microsoftonline.com/{tenant}/discovery/keys"),
        algorithms=["RS256"],
        issuer=f"https://sts.windows.net/{tenant}/",
        audience="api://6a1e7c3e-0000-4000-8000-000000000001",
        client_ids=["b14a7505-96e9-4927-91e8-0601d0fc9caa"],
        scope_claims=["scp"],
    )
    return Guard(verifier)


TOKEN = VERSION_2.having(
    aud=f"api://{API}", iss=ISSUER, ver="1.0", acr="1", amr=["pwd"], ipaddr="192.0.2.7",
    unique_name="ann@acme.example", upn="ann@acme.example", appid=CLIENT, appidacr="0",
    azp=..., azpacr=..., preferred_username=...,
).headed(x5t=KEY.kid)  # fmt: skip
PROGRAM = TOKEN.having(upn=..., unique_name=..., ipaddr=..., amr=..., scp=..., idtyp="app", appidacr="1")
ID_TOKEN = TOKEN.having(appid=..., appidacr=..., scp=..., nonce="678910")

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {f"{LOGIN}/{TENANT}/discovery/keys": {"keys": [key(TENANT)]}},
    taken={
        "a user": (
            TOKEN,
            caller(SUBJECT, scopes="access_as_user items.read", roles=["Items.Edit"], client_id=CLIENT),
        ),
        "a program": (PROGRAM, caller(SUBJECT, roles=["Items.Edit"], client_id=CLIENT)),
    },
    refused={
        "audience": {
            "the bare id": TOKEN.having(aud=API),
            "another API": TOKEN.having(aud="https://graph.microsoft.com"),
        },
        "tenant": {
            "another tenant": TOKEN.having(iss=f"https://sts.windows.net/{OTHER}/"),
            "version 2.0": TOKEN.having(iss=f"{LOGIN}/{TENANT}/v2.0"),
        },
        "client": {"another application": TOKEN.having(appid=OTHER)},
        "kind": {"an ID token": ID_TOKEN},
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
