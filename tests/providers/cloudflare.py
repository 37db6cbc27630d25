"""Cloudflare Access: a token in a field of its own, of people and of service tokens.

Source of the shape: Cloudflare One documentation, "Validate JWTs" and "Application token".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import DATES, Provider, Signer, Token, caller, in_field

ISSUER = "https://acme.cloudflareaccess.com"
AUDIENCE = "32eafc7626e737917a7d83d3d4f6e5f0a1b2c3d4e5f60718293a4b5c6d7e8f90"
KEY = Signer("RS256", "1a1c3986a44ce6390be42ec772b031df8f433fdc71716db821dc0c39af3bce49")
USER = "0d9a1f6e-5b3c-4f2d-9e8a-7c6b5a4d3e2f"
PROGRAM = "e367826f93b8d71185e03fe518aff3b4.access"


def guard() -> Guard:
    """Cloudflare Access."""
    verifier = JWTVerifier(
        RemoteKeySet("https://acme.cloudflareaccess.com/cdn-cgi/access/certs"),
        algorithms=["RS256"],
        issuer="https://acme.cloudflareaccess.com",
        audience="32eafc7626e737917a7d83d3d4f6e5f0a1b2c3d4e5f60718293a4b5c6d7e8f90",
        header="Cf-Access-Jwt-Assertion",
        claims={"type": "app"},
        subject_claims=["sub", "common_name"],
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "aud": [AUDIENCE],
        "email": "ann@acme.example",
        **DATES,
        "nbf": DATES["iat"],
        "iss": ISSUER,
        "type": "app",
        "identity_nonce": "Wd3uKp9sXb7Lq2Ra",
        "sub": USER,
        "country": "PT",
    },
    KEY,
    {"typ": "JWT"},
)
SERVICE = Token(
    {"type": "app", "aud": AUDIENCE, **DATES, "iss": ISSUER, "common_name": PROGRAM, "sub": ""},
    KEY,
    {"typ": "JWT"},
)
ORGANISATION = TOKEN.having(type="org", aud="a" * 64)


def pages() -> dict[str, object]:
    """Return the pages of the team: its keys, and their certificates."""
    certificate = {"kid": KEY.kid, "cert": KEY.certificate()}
    keys = [KEY.jwk(alg="RS256", use="sig")]
    document = {"keys": keys, "public_cert": certificate, "public_certs": [certificate]}
    return {f"{ISSUER}/cdn-cgi/access/certs": document}


PROVIDER = Provider(
    guard=guard,
    pages=pages,
    send=in_field("Cf-Access-Jwt-Assertion"),
    taken={"a user": (TOKEN, caller(USER)), "a service token": (SERVICE, caller(PROGRAM))},
    refused={
        "audience": {
            "another application": TOKEN.having(aud=["b" * 64]),
            "a service token of another": SERVICE.having(aud="b" * 64),
        },
        "tenant": {"another team": TOKEN.having(iss="https://evil.cloudflareaccess.com")},
        "kind": {
            "the session of the team": ORGANISATION,
            "the session of the team for us": TOKEN.having(type="org"),
            "nobody's": SERVICE.having(common_name=...),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
    cannot={"client": "an application is its own audience, and names no client"},
)
