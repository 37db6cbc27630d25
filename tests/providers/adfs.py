"""AD FS: access tokens, whose issuer is another than that of the metadata.

Source of the shape: AD FS documentation, "AD FS OpenID Connect/OAuth concepts".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import DATES, Provider, Signer, Token, caller

ISSUER, CLIENT = "http://adfs.acme.example/adfs/services/trust", "2954b462-a5de-5af6-83bc-497cc20bddde"
KEYS = "https://adfs.acme.example/adfs/discovery/keys"
KEY = Signer("RS256", "IWhwHsEFLrgZaGkZ2Nc7BTGzr5M")


def guard() -> Guard:
    """AD FS."""
    verifier = JWTVerifier(
        RemoteKeySet("https://adfs.acme.example/adfs/discovery/keys"),
        algorithms=["RS256"],
        # http in the token, because this is only a name
        issuer="http://adfs.acme.example/adfs/services/trust",
        audience="microsoft:identityserver:api.acme.example",
        client_ids=["2954b462-a5de-5af6-83bc-497cc20bddde"],
        subject_claims=["upn", "appid"],
        scope_claims=["scp"],
        role_claims=["group"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": "microsoft:identityserver:api.acme.example",
        "iss": ISSUER,
        **DATES,
        "auth_time": "2027-01-15T07:59:50.123Z",
        "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        "upn": "ann@acme.example",
        "unique_name": "ACME\\ann",
        "group": "Editors",
        "appid": CLIENT,
        "apptype": "Public",
        "ver": "1.0",
        "scp": "openid user_impersonation",
    },
    KEY,
    {"typ": "JWT", "x5t": KEY.kid},
)
PROGRAM = TOKEN.having(
    upn=..., unique_name=..., group=..., auth_time=..., authmethod=..., scp=..., apptype="Confidential"
)
ID_TOKEN = TOKEN.having(
    iss="https://adfs.acme.example/adfs",
    aud=CLIENT,
    appid=...,
    apptype=...,
    scp=...,
    sub="S+x=",
    nonce="n",
    sid="S-1",
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {KEYS: {"keys": [KEY.jwk(alg="RS256", use="sig", x5t=KEY.kid, x5c=KEY.x5c())]}},
    taken={
        "a user": (
            TOKEN,
            caller(
                "ann@acme.example", scopes="openid user_impersonation", roles=["Editors"], client_id=CLIENT
            ),
        ),
        "a program": (PROGRAM, caller(f"client:{CLIENT}", client_id=CLIENT)),
    },
    refused={
        "audience": {"another API": TOKEN.having(aud="microsoft:identityserver:other.acme.example")},
        "tenant": {
            "another farm": TOKEN.having(iss="http://adfs.evil.example/adfs/services/trust"),
            "the issuer of ID tokens": TOKEN.having(iss="https://adfs.acme.example/adfs"),
        },
        "client": {"another application": TOKEN.having(appid="other")},
        "kind": {
            "an ID token": ID_TOKEN,
            "an ID token with our names": ID_TOKEN.having(iss=ISSUER, aud=TOKEN.claims["aud"]),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
