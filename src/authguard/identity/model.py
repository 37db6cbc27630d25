"""Define the values of the identity service: rows, and arguments and results of use cases."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

MAX_NAME = 200  # characters in the name of an owner, and of an API key

#: The permissions of the API of Invora; they are scopes like all others.
PERMISSIONS = ("read", "write", "admin")
#: The scope with which a key may rotate itself.
ROTATE_SELF = "apikeys:rotate:self"
#: The reason of a revocation after a secret scanner found the key in public.
EXPOSED = "exposed"
#: Seconds before the expiry of an API key in which its state is `expiring`.
EXPIRING_SECONDS = 30 * 86_400

#: Events of an API key; for those in `Settings.api_key_mails`, the owner is notified by mail.
KEY_EVENTS = ("created", "expiring", "expired", "rotated", "disabled", "enabled", "revoked")

KeyState: TypeAlias = Literal["active", "expiring", "expired", "disabled", "revoked"]
KeyActor: TypeAlias = Literal["owner", "key", "operator", "service"]
Activation: TypeAlias = Literal["now", "first_use"]


@dataclass(frozen=True, slots=True)
class User:
    """Hold an account, as stored, without its password.

    Attributes:
        id: a UUID, the `sub` of its tokens.
        email: the address as its owner wrote it.
        email_verified: whether its owner has proved to receive mail there.
        name: the name of its owner; may be empty.
        role: the first of its roles, and the `role` of its tokens.
        disabled: whether the account is disabled.
        created_at: seconds since the epoch.
        picture: the URL of a picture, if a social provider sent one.
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
        user_id: the account of the session.
        generation: the generation of the valid refresh token.
        created_at: the time at which it started.
        refreshed_at: the time of the last refresh.
        expires_at: the time at which it ends without a refresh.
        ends_at: the time at which it ends in any case.
        ended_at: the time at which it was ended, if it was.
        client_id: the OAuth client of the session, if any.
        address: the network address from which it was started.
        user_agent: the User-Agent with which it was started.
        refreshed_network: the network of the request that created the newest refresh token, if known.
        refreshed_agent: the User-Agent of that request.
        repeats: the weight of the repeats of previous generations in a row; see `grace`.
        repeated: the weight of the repeats of this generation.
        authenticated_at: the time at which its owner authenticated at a provider; None for its start, 0 if
            the provider does not report it.
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
    """Describe a place in a paged list: next to a row, in one direction.

    Attributes:
        is_older: whether the page has the older rows; otherwise the newer ones.
        created_at: the time of the row, in seconds since the epoch.
        id: the id of the row.
    """

    is_older: bool
    created_at: float
    id: str


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Hold a page of an account's sessions.

    Attributes:
        sessions: the sessions on the page, the newest first.
        newer: the cursor of the page before it, if any.
        older: the cursor of the page after it, if any.
    """

    sessions: list[Session]
    newer: str | None
    older: str | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Hold the result of a sign-in or refresh.

    Attributes:
        access_token: a JWT.
        expires_in: seconds for which the access token is valid.
        refresh_token: opaque; can be used once.
        user: the owner of the tokens.
        session_id: the session of the tokens.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    user: User
    session_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Describe the origin of a request, for limits and for the list of sessions.

    Attributes:
        address: the peer's IP address; empty if the server does not know it.
        user_agent: the User-Agent field.
    """

    address: str = ""
    user_agent: str = ""


#: The caller for actions of operators, which are made without a request.
NO_CALLER = Caller()


@dataclass(frozen=True, slots=True)
class SocialIdentity:
    """Hold the claims of a social provider about a person who signed in there.

    Attributes:
        provider: its name, such as `github`.
        subject: the identifier of the person, which the provider never gives to another.
        email: an address, if the provider sends one.
        email_verified: whether the provider has verified that address.
        name: a name to display.
        picture: the URL of a picture.
        auth_time: the time of the sign-in there, in seconds since the epoch; None for now, 0 if unknown.
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
    """Describe a social identity that is linked to an account.

    Attributes:
        provider: its name, such as `github`.
        created_at: when it was linked, in seconds since the epoch.
    """

    provider: str
    created_at: float

    @property
    def title(self) -> str:
        """Return the provider's display name."""
        return provider_title(self.provider)


def session_of(key_id: str, switches: int) -> str:
    """Return the `sid` of a key's tokens, which changes each time the key was disabled."""
    return f"{key_id}.{switches}" if switches else key_id


def provider_title(name: str) -> str:
    """Return a provider's display name."""
    return _TITLES.get(name, name)


_TITLES = {"github": "GitHub", "google": "Google", "linkedin": "LinkedIn", "oidc": "single sign-on"}


@dataclass(frozen=True, slots=True)
class Client:
    """Describe a registered OAuth client. It contains no secret, because only a digest is stored.

    Attributes:
        id: the `client_id`.
        name: its display name.
        scopes: the scopes that it may request.
        disabled: whether the client is disabled.
        is_public: whether it has no secret, such as a browser page or a mobile app.
    """

    id: str
    name: str
    scopes: frozenset[str]
    disabled: bool
    is_public: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class KeyClient(Client):
    """Represent an API key with a client secret as an OAuth client, whose id is that of the key.

    Attributes:
        key: the key.
        ends_at: the end of the presented secret, in seconds since the epoch.
        roles: the roles of the owner that the key may have.
        generation: the name of the presented secret.
        digest: the digest of the presented text of the key.
    """

    key: "StoredAPIKey"
    ends_at: float
    roles: tuple[str, ...]
    generation: str
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredAPIKey:
    """Hold an API key, as stored.

    It contains no text, because only a digest is stored. Times are in seconds since the epoch.

    Attributes:
        id: its public name: `key_…` for keys that begin with `sk_`, 24 hexadecimal digits for `claw_`.
        user_id: the account of its owner.
        name: the name given by its owner.
        prefix: the prefix of its text, such as `sk_live_`.
        shown: the first twelve characters of its text.
        readable_id: the 16 characters after the prefix, by which a log or a mail can identify it.
        scopes: its scopes, while its owner has them.
        tier: the tier, which sets the limits of its requests.
        metadata: a JSON object of its owner, of at most 2 KB.
        networks: the networks from which it may be used, as texts; empty for all.
        created_at: the time at which it was created.
        created_by: the id of the key that created it; None for its owner.
        expires_at: the time at which it expires.
        disabled_at: the time at which it was disabled, if it is.
        revoked_at: the time at which it was revoked, if it was.
        generation: the number of its newest secret.
        last_used_at: the time of its last use, as far as this process knows; None for never.
        last_used_address: the address of that use.
        usage_count: the number of its requests, as far as this process knows.
        revoked_for: `exposed` if it was revoked because a secret scanner found it in public.
        disabled_by: the author, as a `KeyActor`; None also for an operator who used SQL.
        switches: the number of times it was disabled.
        notice_at: the time of the next expiry notice to its owner; None for never.
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
        """Return the scopes that the API of Invora calls permissions, in its order."""
        return [name for name in PERMISSIONS if name in self.scopes]

    def state(self, now: float) -> KeyState:
        """Return the state of the key; an `expiring` key can be used, for at most 30 days more.

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
    """Represent the operator as owner of an account's keys, for the command; no request creates one.

    Attributes:
        subject: the account.
    """

    subject: str


@dataclass(frozen=True, slots=True)
class NewAPIKey:
    """Hold the result of creating or rotating an API key, with its text, which is shown only once.

    Attributes:
        key: the key, as stored.
        text: the text that its user presents.
        secret: the client secret of a `claw_` key; None for others.
    """

    key: StoredAPIKey
    text: str = field(repr=False)
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class APIKeyRequest:
    """Hold the properties of a new API key, with the defaults of the settings or of the API.

    Attributes:
        name: the name given by its owner.
        scopes: its scopes.
        kind: its prefix without the last `_`: `sk_live`, `sk_test`, `ak`, `claw`, which has a client secret,
            too, or one of `Settings.api_key_prefixes`.
        expires_in_days: days for which it is valid; None for `Settings.api_key_lifetime`.
        tier: the tier, which sets the limits of its requests; None for `Settings.api_key_tier`, or that of
            the key that creates it.
        metadata: a JSON object of its owner.
        networks: the networks from which it may be used; empty for all, or for those of the key that creates
            it.
    """

    name: str = "Default Key"
    scopes: Collection[str] = ("read", "write")
    kind: str = "sk_live"
    expires_in_days: int | None = None
    tier: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    networks: Collection[str] = ()
