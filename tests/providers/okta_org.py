"""Okta with the org server: its access tokens can be read by Okta alone, so the endpoint is asked.

Source of the shape: Okta developer documentation, "OpenID Connect & OAuth 2.0 API", introspection.
"""

import os

from authguard import Guard, IntrospectionVerifier
from providers.answers import introspection
from providers.building import DATES, EXPIRED, Opaque, Provider, Signer, Token, caller

ISSUER, CLIENT = "https://acme.okta.com", "0oa1a2b3c4D5E6F7g8h9"
SECRET = "s-wJ3-of-the-client"
KEY = Signer("RS256", "key-that-is-in-no-key-set")


def guard() -> Guard:
    """Okta: the org server."""
    verifier = IntrospectionVerifier(
        "https://acme.okta.com/oauth2/v1/introspect",
        client_id="0oa1a2b3c4D5E6F7g8h9",
        client_secret=os.environ["OKTA_CLIENT_SECRET"],
        issuer="https://acme.okta.com",
        audience="https://acme.okta.com",
        client_ids=["0oa1a2b3c4D5E6F7g8h9"],
        claims={"token_type": "Bearer"},
    )
    return Guard(verifier)


TOKEN = Token(
    {"ver": 1, "jti": "AT.1", "iss": ISSUER, "aud": ISSUER, "sub": "ann@acme.example", **DATES}, KEY
)
ANSWER = {
    "active": True,
    "scope": "openid profile",
    "username": "ann@acme.example",
    **DATES,
    "sub": "ann@acme.example",
    "aud": ISSUER,
    "iss": ISSUER,
    "jti": "AT.1",
    "token_type": "Bearer",
    "client_id": CLIENT,
    "uid": "00u1a2b3c4D5E6F7g8h9",
}
ANSWERS = {
    TOKEN.text: ANSWER,
    "other-audience": ANSWER | {"aud": "api://default"},
    "other-org": ANSWER | {"iss": "https://evil.okta.com"},
    "other-client": ANSWER | {"client_id": "0oaOther"},
    "refresh": {
        "active": True,
        "client_id": CLIENT,
        "exp": DATES["exp"],
        "sub": "ann@acme.example",
        "iss": ISSUER,
    },
    "device": ANSWER | {"token_type": "urn:x-oath:params:oauth:token-type:device-secret"},
    "opaque-and-over": ANSWER | {"exp": EXPIRED},
}

PROVIDER = Provider(
    guard=guard,
    environ={"OKTA_CLIENT_SECRET": SECRET},
    pages=lambda: introspection(f"{ISSUER}/oauth2/v1/introspect", CLIENT, SECRET, ANSWERS),
    taken={"a user": (TOKEN, caller("ann@acme.example", scopes="openid profile", client_id=CLIENT))},
    refused={
        "audience": {"another API": Opaque("other-audience")},
        "tenant": {"another organisation": Opaque("other-org")},
        "client": {"another application": Opaque("other-client")},
        "kind": {"a refresh token": Opaque("refresh"), "a device secret": Opaque("device")},
        "signer": {"a stranger": TOKEN.strange(), "unknown": Opaque("unknown")},
        "expired": {"said to be active": Opaque("opaque-and-over"), "an hour ago": TOKEN.expired()},
    },
)
