"""Build the JSON documents of answers from accounts, sessions and tokens."""

from datetime import UTC, datetime
from typing import Literal

from authguard.identity.api.answers import (
    AccessToken,
    Account,
    IdentityShown,
    Registered,
    SessionShown,
    SocialToken,
    SocialUser,
    TokenPair,
)
from authguard.identity.model import LinkedIdentity, Session, Tokens, User

_PICTURES: dict[str, Literal["avatar_url", "picture"]] = {
    "github": "avatar_url"
}  # the field name of GitHub's API


def access_token_document(tokens: Tokens) -> AccessToken:
    """Return a token response without a refresh token."""
    return {"access_token": tokens.access_token, "token_type": "bearer", "expires_in": tokens.expires_in}


def token_document(tokens: Tokens) -> TokenPair:
    """Return a token response (RFC 6749 section 5.1)."""
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
    }


def registered_document(tokens: Tokens) -> Registered:
    """Return a new account with its first token."""
    user = tokens.user
    return {"id": user.id, "email": user.email, **access_token_document(tokens)}


def user_document(user: User) -> Account:
    """Return an account; `full_name` is for clients that do not use `name`."""
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


def social_token_document(provider: str, tokens: Tokens, *, with_refresh: bool = False) -> SocialToken:
    """Return the token response of a sign-in with a provider.

    Args:
        provider: its name.
        tokens: of the session.
        with_refresh: whether the response contains a refresh token; see `Settings.social_refresh_tokens`.
    """
    user = tokens.user
    shown: SocialUser = {"id": user.id, "email": user.email, "name": user.name}
    shown[_PICTURES.get(provider, "picture")] = user.picture
    document = SocialToken(
        access_token=tokens.access_token, token_type="bearer", expires_in=tokens.expires_in, user=shown
    )
    if with_refresh:
        document["refresh_token"] = tokens.refresh_token
    return document


def session_document(session: Session, current: object) -> SessionShown:
    """Return a session; `current` is the id of the caller's session."""
    return {
        "id": session.id,
        "created_at": moment(session.created_at),
        "last_used_at": moment(session.refreshed_at),
        "expires_at": moment(session.expires_at),
        "ip_address": session.address,
        "user_agent": session.user_agent,
        "current": session.id == current,
    }


def identity_document(identity: LinkedIdentity) -> IdentityShown:
    """Return a provider that is linked to an account."""
    return {"provider": identity.provider, "linked_at": moment(identity.created_at)}


def moment(seconds: float) -> str:
    """Return a time as text (RFC 3339), in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
