"""Supabase Auth while a project moves from the shared secret (HS256) to keys of its own (ES256).

Source of the shape: Supabase documentation, "JWT Signing Keys" and "JWT Claims Reference".
"""

import os

from authguard import Guard, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

ISSUER = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
SECRET = "Qm9k3vTz7LxW2pR8nY4cJ6hD1sF5gA0eUiOb"
OLD, NEW = (
    Signer("HS256", "l8UO1ZVvIDwFhK0e", secret=SECRET),
    Signer("ES256", "b81269f1-21d8-4f2e-b719-c2240a840d90"),
)
USER = "11111111-2222-4333-8444-555555555555"


def guard() -> Guard:
    """Supabase, during a migration."""
    issuer = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
    roles, users = ["role", "app_metadata.roles"], {"is_anonymous": False}
    new = JWTVerifier.from_issuer(issuer, audience="authenticated", claims=users, role_claims=roles)
    secret = os.environ["SUPABASE_JWT_SECRET"]  # accepted until its last token has expired
    old = JWTVerifier(
        secret, issuer=issuer, audience="authenticated", algorithms=["HS256"], claims=users, role_claims=roles
    )
    return Guard(new, old)


TOKEN = Token(
    {
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": DATES["iat"]}],
        "app_metadata": {"provider": "email", "providers": ["email"], "roles": ["editor"]},
        "aud": "authenticated",
        "email": "ann@acme.example",
        **DATES,
        "is_anonymous": False,
        "iss": ISSUER,
        "phone": "",
        "role": "authenticated",
        "session_id": "0b0e9f0a-1111-4222-8333-444444444444",
        "sub": USER,
        "user_metadata": {"roles": ["admin"]},  # users can change these claims themselves
    },
    NEW,
    {"typ": "JWT"},
)
API_KEY = Token(
    {"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "anon", **DATES}, OLD, {"typ": "JWT"}
)
CALLER = caller(USER, roles=["authenticated", "editor"])

PROVIDER = Provider(
    guard=guard,
    environ={"SUPABASE_JWT_SECRET": SECRET},
    pages=lambda: discovery(
        ISSUER,
        f"{ISSUER}/.well-known/jwks.json",
        NEW.jwk(alg="ES256", use="sig", key_ops=["verify"], ext=True),
    ),
    taken={"the new key": (TOKEN, CALLER), "the old secret": (TOKEN.signed(OLD), CALLER)},
    refused={
        "audience": {"another API": TOKEN.having(aud="anon")},
        "tenant": {
            "another project": TOKEN.having(iss="https://evilevilevilevilevil.supabase.co/auth/v1"),
            "another project, the old secret": TOKEN.signed(OLD).having(
                iss="https://evil.supabase.co/auth/v1"
            ),
        },
        "kind": {
            "the API key of browsers": API_KEY,
            "the API key of servers": API_KEY.having(role="service_role"),
            "an anonymous user": TOKEN.having(is_anonymous=True),
            "an anonymous user, the old secret": TOKEN.signed(OLD).having(is_anonymous=True),
        },
        "signer": {
            "a stranger": TOKEN.strange(),
            "a stranger's secret": TOKEN.signed(OLD.strange()),
            "the public key as a secret": TOKEN.signed(NEW.confused()),
        },
        "expired": {"the new key": TOKEN.expired(), "the old secret": TOKEN.signed(OLD).expired()},
    },
    cannot={"client": "tokens are those of the project; no client is named"},
)
