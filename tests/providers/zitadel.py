"""Zitadel: access tokens as JWTs, with roles as the names of an object.

Source of the shape: Zitadel documentation, "Claims" and "Retrieve user roles".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Opaque, Provider, Signer, Token, caller, discovery

ISSUER, CLIENT = "https://acme-x1y2z3.zitadel.cloud", "170086824411201793"
PROJECT, ORGANISATION = "170086824411201790", "170079991923474689"
KEY = Signer("RS256", "170086824411201801")
USER = "170848145649959169"
ROLES = f"urn:zitadel:iam:org:project:{PROJECT}:roles"
OWNER = "urn:zitadel:iam:user:resourceowner:id"


def guard() -> Guard:
    """Zitadel."""
    verifier = JWTVerifier.from_issuer(
        "https://acme-x1y2z3.zitadel.cloud",
        audience="170086824411201790",
        client_ids=["170086824411201793"],
        claims={"urn:zitadel:iam:user:resourceowner:id": "170079991923474689"},
        role_claims=["urn:zitadel:iam:org:project:170086824411201790:roles"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": [CLIENT, PROJECT],
        "client_id": CLIENT,
        **DATES,
        "iss": ISSUER,
        "jti": "170848145649959200",
        "nbf": DATES["iat"],
        "sub": USER,
        "urn:zitadel:iam:org:project:roles": {"editor": {ORGANISATION: "acme.zitadel.cloud"}},
        ROLES: {"editor": {ORGANISATION: "acme.zitadel.cloud"}, "former": {}},
        OWNER: ORGANISATION,
        "urn:zitadel:iam:user:resourceowner:name": "Acme",
    },
    KEY,
    {"typ": "JWT"},
)
ID_TOKEN = TOKEN.having(
    client_id=..., azp=CLIENT, at_hash="aGFzaA", nonce="n", amr=["pwd"], auth_time=DATES["iat"], sid="V1_1"
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(ISSUER, f"{ISSUER}/oauth/v2/keys", KEY.jwk(alg="RS256", use="sig")),
    taken={"a user": (TOKEN, caller(USER, roles=["editor"], client_id=CLIENT))},
    refused={
        "audience": {"another project": TOKEN.having(aud=[CLIENT, "1"])},
        "tenant": {
            "another instance": TOKEN.having(iss="https://evil-x1y2z3.zitadel.cloud"),
            "a user of another organisation": TOKEN.having({OWNER: "1"}),
        },
        "client": {"another application": TOKEN.having(client_id="1")},
        "kind": {"an ID token": ID_TOKEN, "an opaque token": Opaque("NjAxMjM0NTY3ODk")},
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
