"""Define the values of the identity service: rows, and the arguments and results of use cases."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

MAX_NAME = 200  # characters of the name of an owner, and of an API key

#: The permissions of the documents; they are scopes as all others.
PERMISSIONS = ("read", "write", "admin")
#: The scope by which a key may rotate itself.
ROTATE_SELF = "apikeys:rotate:self"
#: Why a key was revoked that a scanner of secrets has found in public.
EXPOSED = "exposed"
#: Seconds before the expiry of an API key in which its state is `expiring`.
EXPIRING_SECONDS = 30 * 86_400

#: What can happen to an API key; of those in `Settings.api_key_mails`, its owner is told by mail.
KEY_EVENTS = ("created", "expiring", "expired", "rotated", "disabled", "enabled", "revoked")

KeyState: TypeAlias = Literal["active", "expiring", "expired", "disabled", "revoked"]
KeyActor: TypeAlias = Literal["owner", "key", "operator", "service"]
Activation: TypeAlias = Literal["now", "first_use"]


@dataclass(frozen=True, slots=True)
class User:
    """Hold an account, as stored, without its password.

    Attributes:
        id: a UUID, the `sub` of its tokens.
        email: as its owner wrote it.
        email_verified: whether its owner has shown to receive mail there.
        name: what to call its owner; may be empty.
        role: the first of its roles, and the `role` of its tokens.
        disabled: whether it is switched off.
        created_at: seconds since the epoch.
        picture: the address of a picture, if a social provider gave one.
        further_roles: its other roles.
        scopes: the `scope` of its tokens.
    """

    id: str
    email: str
    email_verified: bool
    name: str
    role: str
    disabled: bool
    created_at: float
    picture: str | None = None
    further_roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Return all roles, which are the `roles` of its tokens."""
        return (self.role, *self.further_roles)


@dataclass(frozen=True, slots=True)
class Session:
    """Hold a session of an account. Times are seconds since the epoch.

    Attributes:
        id: the `sid` of its tokens.
        user_id: whose it is.
        generation: of the refresh token that is good now.
        created_at: when it began.
        refreshed_at: when it was last refreshed.
        expires_at: when it ends unless it is refreshed.
        ends_at: when it ends in any case.
        ended_at: when it was ended, if it was.
        client_id: the OAuth client it belongs to, if any.
        address: where it was begun from.
        user_agent: what it was begun with.
        refreshed_network: the network of the request that made the newest refresh token, if it is known.
        refreshed_agent: the User-Agent of that request.
        repeats: how much the repeats of the generations in a row before this one count; see `grace`.
        repeated: how much the repeats of this generation count.
        authenticated_at: when its owner has shown to a provider who they are; None for when it began,
            0 if the provider does not say.
    """

    id: str
    user_id: str
    generation: int
    created_at: float
    refreshed_at: float
    expires_at: float
    ends_at: float
    ended_at: float | None
    client_id: str | None
    address: str
    user_agent: str
    refreshed_network: str | None = None
    refreshed_agent: str | None = None
    repeats: int = 0
    repeated: int = 0
    authenticated_at: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Name a place in a list that is shown in pages: next to a row, in one direction.

    Attributes:
        is_older: whether the page has the older rows; else the newer ones.
        created_at: of the row, in seconds since the epoch.
        id: of the row.
    """

    is_older: bool
    created_at: float
    id: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Hold a page of an account's sessions.

    Attributes:
        sessions: those on the page, the newest first.
        newer: the cursor of the page before it, if there is one.
        older: the cursor of the page after it, if there is one.
    """

    sessions: list[Session]
    newer: str | None
    older: str | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Hold the result of signing in or refreshing.

    Attributes:
        access_token: a JWT.
        expires_in: seconds for which the access token is valid.
        refresh_token: opaque; good once.
        user: whose tokens.
        session_id: the session they belong to.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    user: User
    session_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Name the origin of a request, for limits and for the list of sessions.

    Attributes:
        address: the peer's IP address; empty if the server does not know it.
        user_agent: the User-Agent field.
    """

    address: str = ""
    user_agent: str = ""


#: The caller of what operators of the service do, without a request.
NO_CALLER = Caller()


@dataclass(frozen=True, slots=True)
class SocialIdentity:
    """Hold the claims of a social provider about a person who signed in there.

    Attributes:
        provider: its name, such as `github`.
        subject: whom it means; an identifier that it never gives to another.
        email: an address, if it tells one.
        email_verified: whether it has verified that address.
        name: a name to show.
        picture: the address of a picture.
        auth_time: when they signed in there, in seconds since the epoch; None for now, 0 if that is unknown.
    """

    provider: str
    subject: str
    email: str | None
    email_verified: bool
    name: str = ""
    picture: str | None = None
    auth_time: float | None = None


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """Describe a social identity that signs in to an account.

    Attributes:
        provider: its name, such as `github`.
        created_at: when it was linked, in seconds since the epoch.
    """

    provider: str
    created_at: float

    @property
    def title(self) -> str:
        """Return the provider's name as people know it."""
        return provider_title(self.provider)


def session_of(key_id: str, switches: int) -> str:
    """Return the `sid` of the tokens that are issued for a key: another one after each time it was off."""
    return f"{key_id}.{switches}" if switches else key_id


def provider_title(name: str) -> str:
    """Return a provider's name as people know it."""
    return _TITLES.get(name, name)


_TITLES = {"github": "GitHub", "google": "Google", "linkedin": "LinkedIn", "oidc": "single sign-on"}


@dataclass(frozen=True, slots=True)
class Client:
    """Describe a registered OAuth client. Its secret is not here: there is only a digest of it.

    Attributes:
        id: the `client_id`.
        name: what to call it.
        scopes: what it may ask for.
        disabled: whether it is switched off.
        is_public: whether it has no secret, as a page in a browser or an app on a phone.
    """

    id: str
    name: str
    scopes: frozenset[str]
    disabled: bool
    is_public: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class KeyClient(Client):
    """Present an API key with a client secret as an OAuth client, whose id is that of the key.

    Attributes:
        key: the key.
        ends_at: when the secret that was presented ends, in seconds since the epoch.
        roles: the roles of the owner that the key may have.
    """

    key: "StoredAPIKey"
    ends_at: float
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredAPIKey:
    """Hold an API key, as stored. Its text is not here: there is only a digest of it. Times are seconds.

    Attributes:
        id: its public name: `key_…` for keys that begin with `sk_`, 24 hexadecimal digits for `claw_`.
        user_id: the account of its owner.
        name: what its owner calls it.
        prefix: what its text begins with, such as `sk_live_`.
        shown: the first twelve characters of its text.
        readable_id: the 16 characters after the prefix, by which a log or a mail can name it.
        scopes: what it grants, as long as its owner has it.
        tier: which limits its requests have.
        metadata: what its owner keeps with it: an object of JSON of at most 2 KB.
        networks: from where it may be used, as texts; empty for from everywhere.
        created_at: when it was made.
        created_by: the id of the key that has made it; None for its owner.
        expires_at: when it ends.
        disabled_at: when it was switched off, if it is.
        revoked_at: when it was revoked, if it was.
        generation: of its newest secret.
        last_used_at: when it was last used, as far as that has been counted; None for never.
        last_used_address: where from.
        usage_count: how many requests it has made, as far as they have been counted.
        revoked_for: `exposed` if it was revoked because a scanner of secrets has found it in public.
        disabled_by: who has switched it off, as a `KeyActor`; None also for an operator, by a statement.
        switches: how often it has been switched off.
        notice_at: when its owner is to be told of its expiry next; None for never.
    """

    id: str
    user_id: str
    name: str
    prefix: str
    shown: str
    readable_id: str
    scopes: frozenset[str]
    tier: str
    metadata: Mapping[str, Any]
    networks: tuple[str, ...]
    created_at: float
    created_by: str | None
    expires_at: float
    disabled_at: float | None = None
    revoked_at: float | None = None
    generation: int = 1
    last_used_at: float | None = None
    last_used_address: str | None = None
    usage_count: int = 0
    revoked_for: str | None = None
    disabled_by: str | None = None
    switches: int = 0
    notice_at: float | None = None

    @property
    def session(self) -> str:
        """Return the `sid` of the tokens that are issued for it."""
        return session_of(self.id, self.switches)

    @property
    def permissions(self) -> list[str]:
        """Return those of its scopes that the documents call permissions, in their order."""
        return [name for name in PERMISSIONS if name in self.scopes]

    def state(self, now: float) -> KeyState:
        """Return whether the key can be used; `expiring` can, for at most 30 days more.

        Args:
            now: seconds since the epoch.
        """
        if self.revoked_at is not None:
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        if self.disabled_at is not None:
            return "disabled"
        return "expiring" if now >= self.expires_at - EXPIRING_SECONDS else "active"

    def is_active(self, now: float) -> bool:
        """Return whether the key can be used."""
        return self.state(now) in ("active", "expiring")


@dataclass(frozen=True, slots=True)
class Operator:
    """Name the account whose keys the operator of the service manages, by the command; no request makes one.

    Attributes:
        subject: the account.
    """

    subject: str


@dataclass(frozen=True, slots=True)
class NewAPIKey:
    """Hold the result of creating or rotating an API key: its text, which is shown once.

    Attributes:
        key: the key, as stored.
        text: what its user presents.
        secret: the client secret that belongs to a `claw_` key; None for others.
    """

    key: StoredAPIKey
    text: str = field(repr=False)
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class APIKeyRequest:
    """Hold what an API key is to be. What is left out is as the settings or the documents have it.

    Attributes:
        name: what its owner calls it.
        scopes: what it is to grant.
        kind: what it begins with, without the last `_`: `sk_live`, `sk_test`, `ak`, `claw`, which has a
            client secret, too, or one of `Settings.api_key_prefixes`.
        expires_in_days: for how many days it is valid; None for `Settings.api_key_lifetime`.
        tier: which limits its requests have; None for `Settings.api_key_tier`, or that of the key that makes
            it.
        metadata: what its owner keeps with it.
        networks: from where it may be used; empty for from everywhere, or as the key that makes it.
    """

    name: str = "Default Key"
    scopes: Collection[str] = ("read", "write")
    kind: str = "sk_live"
    expires_in_days: int | None = None
    tier: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    networks: Collection[str] = ()
