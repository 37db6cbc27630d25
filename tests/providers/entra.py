"""Microsoft Entra ID, version 2.0, one tenant: access tokens of people and of programs.

Source of the shape: Microsoft identity platform documentation, "Access token claims reference".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

TENANT, OTHER = "8f2c0d5e-6c0f-4b57-9f3f-2d0b1a7a1c11", "72f988bf-86f1-41af-91ab-2d7cd011db47"
API, CLIENT = "6a1e7c3e-0000-4000-8000-000000000001", "b14a7505-96e9-4927-91e8-0601d0fc9caa"
LOGIN = "https://login.microsoftonline.com"
ISSUER = f"{LOGIN}/{TENANT}/v2.0"
KEY = Signer("RS256", "MnC_VZcATfM5pOYiJHMba9goEKY")
SUBJECT = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"


def guard() -> Guard:
    """Microsoft Entra ID: version 2.0."""
    verifier = JWTVerifier.from_issuer(
        "https://login.microsoftonline.com/8f2c0d5e-6c0f-4b57-9f3f-2d0b1a7a1c11/v2.0",
        audience="6a1e7c3e-0000-4000-8000-000000000001",
        client_ids=["b14a7505-96e9-4927-91e8-0601d0fc9caa"],
        scope_claims=["scp"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": API,
        "iss": ISSUER,
        **DATES,
        "nbf": DATES["iat"],
        "aio": "AWQAm/8bAAAA",
        "azp": CLIENT,
        "azpacr": "0",
        "name": "Ann",
        "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
        "preferred_username": "ann@acme.example",
        "rh": "0.AAAA.",
        "roles": ["Items.Edit"],
        "scp": "access_as_user items.read",
        "sub": SUBJECT,
        "tid": TENANT,
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    },
    KEY,
    {"typ": "JWT"},
)
PROGRAM = TOKEN.having(
    azpacr="1", idtyp="app", name=..., preferred_username=..., scp=..., roles=["Items.Read.All"],
    oid="f3b2e5c0-0000-4000-8000-000000000002", sub="f3b2e5c0-0000-4000-8000-000000000002",
)  # fmt: skip
ID_TOKEN = TOKEN.having(azp=..., azpacr=..., scp=..., roles=..., nonce="678910")


def key(tenant: str, **members: str) -> dict[str, object]:
    """Return the key as Entra ID publishes it, without `alg`."""
    return KEY.jwk(use="sig", x5t=KEY.kid, x5c=KEY.x5c(), issuer=f"{LOGIN}/{tenant}/v2.0", **members)


PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(
        ISSUER,
        f"{LOGIN}/{TENANT}/discovery/v2.0/keys",
        key("{tenantid}"),
        subject_types_supported=["pairwise"],
    ),
    taken={
        "a user": (
            TOKEN,
            caller(SUBJECT, scopes="access_as_user items.read", roles=["Items.Edit"], client_id=CLIENT),
        ),
        "a program": (
            PROGRAM,
            caller("f3b2e5c0-0000-4000-8000-000000000002", roles=["Items.Read.All"], client_id=CLIENT),
        ),
    },
    refused={
        "audience": {
            "Microsoft Graph": TOKEN.having(aud="00000003-0000-0000-c000-000000000000"),
            "the URI of version 1.0": TOKEN.having(aud=f"api://{API}"),
        },
        "tenant": {
            "another tenant": TOKEN.having(iss=f"{LOGIN}/{OTHER}/v2.0", tid=OTHER),
            "version 1.0": TOKEN.having(iss=f"https://sts.windows.net/{TENANT}/", ver="1.0"),
        },
        "client": {"another application": TOKEN.having(azp=OTHER)},
        "kind": {"an ID token of the same registration": ID_TOKEN},
        "signer": {
            "a stranger": TOKEN.strange(),
            "another algorithm": TOKEN.signed(Signer("PS256", KEY.kid)),
            "the public key as a secret": TOKEN.signed(KEY.confused()),
        },
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
