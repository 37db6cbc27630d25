"""Clerk: session tokens, which browsers send in the cookie `__session`.

Source of the shape: Clerk documentation, "Session tokens" (version 2).
"""

from authguard import AccessCookie, Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery, in_cookie

ISSUER, APP = "https://clerk.acme.example", "https://app.acme.example"
KEY = Signer("RS256", "ins_2GIoQhbUpy0hX7B2cVkuTMinXoD")
USER = "user_2GIpXOEpVyJw51rkZn9Kmnc6Sxr"


def guard() -> Guard:
    """Clerk."""
    verifier = JWTVerifier.from_issuer(
        "https://clerk.acme.example",
        audience=None,
        client_ids=["https://app.acme.example"],
        claims={"sts": "active"},
        role_claims=["o.rol"],
    )
    return Guard(verifier, cookie=AccessCookie("__session", host_prefix=False))


TOKEN = Token(
    {
        "azp": APP,
        **DATES,
        "nbf": DATES["iat"],
        "fva": [5, -1],
        "iss": ISSUER,
        "jti": "a1b2c3d4e5f6",
        "o": {"id": "org_1", "rol": "editor", "slg": "acme"},
        "sid": "sess_2GbDB4enHdCa5vS1zpC3Xzg9tK9",
        "sts": "active",
        "sub": USER,
        "v": 2,
    },
    KEY,
    {"cat": "cl_B7d4PD111AAA", "typ": "JWT"},
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(ISSUER, f"{ISSUER}/.well-known/jwks.json", KEY.jwk(alg="RS256", use="sig")),
    send=in_cookie("__session"),
    taken={
        "a member": (TOKEN, caller(USER, roles=["editor"], client_id=APP)),
        "without an organisation": (TOKEN.having(o=...), caller(USER, client_id=APP)),
    },
    refused={
        "audience": {"a template for another service": TOKEN.having(aud="convex")},
        "tenant": {"another instance": TOKEN.having(iss="https://clerk.evil.example")},
        "client": {
            "another origin": TOKEN.having(azp="https://evil.acme.example"),
            "a template without origin": TOKEN.having(azp=...),
        },
        "kind": {
            "a session that is pending": TOKEN.having(sts="pending"),
            "an ID token": TOKEN.having(at_hash="aA"),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)
