"""Make the JSON documents of answers from accounts, sessions and tokens."""

from datetime import UTC, datetime
from typing import Any

from authguard.identity.model import LinkedIdentity, Session, Tokens, User

_PICTURES = {"github": "avatar_url"}  # the name that GitHub's API has for it


def token_document(tokens: Tokens, *, with_refresh: bool = True) -> dict[str, Any]:
    """Return a token response (RFC 6749 section 5.1)."""
    document: dict[str, Any] = {"access_token": tokens.access_token}
    if with_refresh:
        document["refresh_token"] = tokens.refresh_token
    return document | {"token_type": "bearer", "expires_in": tokens.expires_in}


def user_document(user: User) -> dict[str, Any]:
    """Return an account; `full_name` is for clients that do not know `name`."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "full_name": user.name,
        "role": user.role,
        "email_verified": user.email_verified,
        "picture": user.picture,
        "created_at": moment(user.created_at),
    }


def social_token_document(provider: str, tokens: Tokens) -> dict[str, Any]:
    """Return the token response of a sign-in with a provider."""
    user = tokens.user
    return {
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
        "user": {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            _PICTURES.get(provider, "picture"): user.picture,
        },
    }


def session_document(session: Session, current: object) -> dict[str, Any]:
    """Return a session; `current` is the id of the session of the caller."""
    return {
        "id": session.id,
        "created_at": moment(session.created_at),
        "last_used_at": moment(session.refreshed_at),
        "expires_at": moment(session.expires_at),
        "ip_address": session.address,
        "user_agent": session.user_agent,
        "current": session.id == current,
    }


def identity_document(identity: LinkedIdentity) -> dict[str, Any]:
    """Return a provider that signs in to an account."""
    return {"provider": identity.provider, "linked_at": moment(identity.created_at)}


def moment(seconds: float) -> str:
    """Return a moment as text (RFC 3339), in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
