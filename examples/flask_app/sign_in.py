"""Signing in and out: who may have a token, and what is in it."""

import hmac
import time
from uuid import uuid4

import jwt

from authguard import (
    APIKey,
    APIKeyVerifier,
    Guard,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Rule,
)

from .settings import Settings

LEEWAY = 30


def build_guard(settings: Settings, revocations: MemoryRevocations) -> Guard:
    """Who may go where, in one place."""
    robot = APIKey("robot", scopes=settings.robot_scopes)
    return Guard(
        JWTVerifier(
            settings.secret,
            algorithms=["HS256"],
            issuer=settings.issuer,
            audience=settings.audience,
            leeway=LEEWAY,
        ),
        APIKeyVerifier({settings.api_key: robot}),
        protected_paths=["/dashboard", "/api", Rule("/admin", scopes=["admin"])],
        public_paths=["/", "/healthz", "/static", "/logout"],
        login_path="/login",
        cookie=settings.cookie,
        revocations=revocations,
    )


def issue_token(settings: Settings, subject: str) -> str:
    """A token of our own; its `jti` is what signing out revokes."""
    now = int(time.time())
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": subject,
        "iat": now,
        "exp": now + settings.session_seconds,
        "jti": uuid4().hex,
        "scope": " ".join(settings.scopes),
    }
    return jwt.encode(claims, settings.secret, algorithm="HS256")


def may_sign_in(settings: Settings, email: str, password: str) -> bool:
    """Whether this is the demo's only user.

    Both are compared, and in constant time, so that how long it takes tells nothing. A real
    application stores password hashes (Argon2, scrypt) and slows down guessing.
    """
    knows_email = hmac.compare_digest(email.encode(), settings.email.encode())
    knows_password = hmac.compare_digest(password.encode(), settings.password.encode())
    return knows_email and knows_password


def revoke(revocations: MemoryRevocations, principal: Principal) -> None:
    """End what the caller signed in with, until it would have expired anyway."""
    if principal.token_id and principal.expires_at is not None:
        until = principal.expires_at + LEEWAY
        revocations.revoke(token_id=principal.token_id, issuer=principal.issuer, until=until)
