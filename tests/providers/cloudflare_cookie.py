"""Cloudflare Access where the field does not come through: the same token in a cookie.

Source of the shape: Cloudflare One documentation, "Authorization cookie".
"""

from authguard import AccessCookie, Guard, JWTVerifier, RemoteKeySet
from providers.building import Provider, caller, in_cookie
from providers.cloudflare import ORGANISATION, SERVICE, TOKEN, USER, pages


def guard() -> Guard:
    """Cloudflare Access: the cookie."""
    verifier = JWTVerifier(
        RemoteKeySet("https://acme.cloudflareaccess.com/cdn-cgi/access/certs"),
        algorithms=["RS256"],
        issuer="https://acme.cloudflareaccess.com",
        audience="32eafc7626e737917a7d83d3d4f6e5f0a1b2c3d4e5f60718293a4b5c6d7e8f90",
        claims={"type": "app"},
    )
    return Guard(verifier, cookie=AccessCookie("CF_Authorization", host_prefix=False))


PROVIDER = Provider(
    guard=guard,
    pages=pages,
    send=in_cookie("CF_Authorization"),
    taken={"a user": (TOKEN, caller(USER))},
    refused={
        "audience": {"another application": TOKEN.having(aud=["b" * 64])},
        "tenant": {"another team": TOKEN.having(iss="https://evil.cloudflareaccess.com")},
        "kind": {
            "the session of the team": ORGANISATION,
            "the session of the team for us": TOKEN.having(type="org"),
            "a service token": SERVICE,
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
    cannot={"client": "an application is its own audience, and names no client"},
)
