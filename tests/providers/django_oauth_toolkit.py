"""Django OAuth Toolkit: opaque tokens, whose introspection names the user by `username`.

Source of the shape: `IntrospectTokenView` of django-oauth-toolkit 3.
"""

import os

from authguard import Guard, IntrospectionVerifier
from providers.answers import introspection
from providers.building import DATES, EXPIRED, Opaque, Provider, caller

SECRET = "s3cr%t+of:the-API"
URL = "https://accounts.example.com/o/introspect/"


def guard() -> Guard:
    """Django OAuth Toolkit."""
    verifier = IntrospectionVerifier(
        "https://accounts.example.com/o/introspect/",
        client_id="api",
        client_secret=os.environ["API_CLIENT_SECRET"],
        client_ids=["web", "billing"],
        subject_claims=["username"],
        required_claims=["exp"],
    )
    return Guard(verifier)


ANSWER = {"active": True, "scope": "read write", "exp": DATES["exp"], "client_id": "web", "username": "ann"}
ANSWERS = {
    "of-ann": ANSWER,
    "of-billing": {"active": True, "scope": "read", "exp": DATES["exp"], "client_id": "billing"},
    "other-client": ANSWER | {"client_id": "evil"},
    "no-client": {name: value for name, value in ANSWER.items() if name != "client_id"},
    "named-as-a-client": ANSWER | {"username": "client:billing"},
    "no-end": {name: value for name, value in ANSWER.items() if name != "exp"},
    "opaque-and-over": ANSWER | {"exp": EXPIRED},
}

PROVIDER = Provider(
    guard=guard,
    environ={"API_CLIENT_SECRET": SECRET},
    pages=lambda: introspection(URL, "api", SECRET, ANSWERS),
    taken={
        "a user": (Opaque("of-ann"), caller("ann", scopes="read write", client_id="web")),
        "a program": (Opaque("of-billing"), caller("client:billing", scopes="read", client_id="billing")),
    },
    refused={
        "client": {
            "another application": Opaque("other-client"),
            "none": Opaque("no-client"),
            "a user with the name of a client": Opaque("named-as-a-client"),
        },
        "kind": {"a refresh token, which is not active there": Opaque("refresh")},
        "signer": {"invented": Opaque("invented"), "a JWT": Opaque("eyJhbGciOiJub25lIn0.e30.")},
        "expired": {
            "said to be active": Opaque("opaque-and-over"),
            "not active any more": Opaque("purged"),
            "never": Opaque("no-end"),
        },
    },
    cannot={
        "audience": "tokens are for the scopes of all APIs; the answer names none",
        "tenant": "there is one server, and it is asked by its address",
    },
)
