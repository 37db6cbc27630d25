"""Okta with a custom authorization server: access tokens for an API.

Source of the shape: Okta developer documentation, "Access tokens" and "OpenID Connect & OAuth 2.0 API".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

ISSUER, CLIENT = "https://acme.okta.com/oauth2/default", "0oa1a2b3c4D5E6F7g8h9"
KEY = Signer("RS256", "xTtCx9xoCpqSWVTn7zMRU4PxBeGTK3FNSXBK_oYMrTY")


def guard() -> Guard:
    """Okta: a custom authorization server."""
    verifier = JWTVerifier.from_issuer(
        "https://acme.okta.com/oauth2/default",
        audience="api://default",
        client_ids=["0oa1a2b3c4D5E6F7g8h9"],
        scope_claims=["scp"],
        role_claims=["groups"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": ISSUER,
        "aud": "api://default",
        **DATES,
        "cid": CLIENT,
        "uid": "00u1a2b3c4D5E6F7g8h9",
        "scp": ["openid", "items.read"],
        "auth_time": DATES["iat"],
        "sub": "ann@acme.example",
        "groups": ["Everyone", "editors"],
    },
    KEY,
)
PROGRAM = TOKEN.having(sub=CLIENT, uid=..., groups=..., auth_time=..., scp=["items.read"])
ID_TOKEN = TOKEN.having(
    aud=CLIENT, cid=..., scp=..., uid=..., jti="ID.x", at_hash="aGFzaA", amr=["pwd"], idp="00o1"
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(
        ISSUER,
        f"{ISSUER}/v1/keys",
        KEY.jwk(alg="RS256", use="sig"),
        registration_endpoint="https://acme.okta.com/c",
    ),
    taken={
        "a user": (
            TOKEN,
            caller(
                "ann@acme.example",
                scopes="openid items.read",
                roles=["Everyone", "editors"],
                client_id=CLIENT,
            ),
        ),
        "a program": (PROGRAM, caller(CLIENT, scopes="items.read", client_id=CLIENT)),
    },
    refused={
        "audience": {"another API": TOKEN.having(aud="api://billing")},
        "tenant": {
            "another organisation": TOKEN.having(iss="https://evil.okta.com/oauth2/default"),
            "the org server": TOKEN.having(iss="https://acme.okta.com"),
        },
        "client": {"another application": TOKEN.having(cid="0oaOther"), "none": TOKEN.having(cid=...)},
        "kind": {"an ID token": ID_TOKEN, "an ID token for the API": ID_TOKEN.having(aud="api://default")},
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
