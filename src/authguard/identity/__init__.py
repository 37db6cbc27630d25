"""Issue the tokens and keys that the guard verifies: the identity service.

    api, pages ─► web ─► service ─► usecases ─► storage ─► SQLite or PostgreSQL

`create_app` makes an ASGI application from the settings; `IdentityService` is the same without HTTP.
"""

from typing import TYPE_CHECKING, Any

from authguard._extras import needs_extra

if TYPE_CHECKING:
    from authguard.identity.app import Identity, create_app

with needs_extra("identity"):
    from authguard.identity.audit import Event
    from authguard.identity.keys.verify import SQLAPIKeys
    from authguard.identity.model import (
        APIKeyRequest,
        Caller,
        Client,
        NewAPIKey,
        Session,
        SocialIdentity,
        StoredAPIKey,
        Tokens,
        User,
    )
    from authguard.identity.service import IdentityService
    from authguard.identity.settings import Settings
    from authguard.identity.storage.migrations import upgrade
    from authguard.identity.storage.revocations import SQLRevocations
    from authguard.identity.tiers import Tier, Usage, tier_quotas

__all__ = [
    "APIKeyRequest",
    "Caller",
    "Client",
    "Event",
    "Identity",
    "IdentityService",
    "NewAPIKey",
    "SQLAPIKeys",
    "SQLRevocations",
    "Session",
    "Settings",
    "SocialIdentity",
    "StoredAPIKey",
    "Tier",
    "Tokens",
    "Usage",
    "User",
    "create_app",
    "tier_quotas",
    "upgrade",
]


def __getattr__(name: str) -> Any:
    # Most commands work without HTTP, and its packages take a third of their start.
    if name not in ("Identity", "create_app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra("identity"):
        from authguard.identity import app

        return getattr(app, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
