"""Define the values of the identity service: rows, and the arguments and results of use cases."""

from dataclasses import dataclass, field

MAX_NAME = 200  # characters of the name of an owner


@dataclass(frozen=True, slots=True)
class User:
    """Hold an account, as stored, without its password.

    Attributes:
        id: a UUID, the `sub` of its tokens.
        email: as its owner wrote it.
        email_verified: whether its owner has shown to receive mail there.
        name: what to call its owner; may be empty.
        role: the `role` of its tokens.
        disabled: whether it is switched off.
        created_at: seconds since the epoch.
        picture: the address of a picture, if a social provider gave one.
    """

    id: str
    email: str
    email_verified: bool
    name: str
    role: str
    disabled: bool
    created_at: float
    picture: str | None = None


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


def provider_title(name: str) -> str:
    """Return a provider's name as people know it."""
    return _TITLES.get(name, name)


_TITLES = {"github": "GitHub", "linkedin": "LinkedIn", "oidc": "single sign-on"}


@dataclass(frozen=True, slots=True)
class Client:
    """Describe a registered OAuth client. Its secret is not here: there is only a digest of it.

    Attributes:
        id: the `client_id`.
        name: what to call it.
        scopes: what it may ask for.
        disabled: whether it is switched off.
    """

    id: str
    name: str
    scopes: frozenset[str]
    disabled: bool
