"""Define the bodies of answers, field by field, for the code that creates them and for OpenAPI."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

_Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2027-01-15T08:00:00Z"])]
_Id = Annotated[str, Field(examples=["6f1c0a5e9d8b4c7fa2e3d4c5b6a79881"])]
_Token = Annotated[str, Field(examples=["eyJhbGciOi…"])]
_RefreshToken = Annotated[str, Field(examples=["rt_…"])]
_Bearer = Literal["bearer"]
_Seconds = Annotated[int, Field(ge=0, examples=[28800])]
_Email = Annotated[str, Field(examples=["ann@example.com"])]


class Message(TypedDict):
    """Hold a message for users."""

    message: str


class AccessToken(TypedDict):
    """Hold an access token."""

    access_token: _Token
    token_type: _Bearer
    expires_in: _Seconds


class TokenPair(AccessToken):
    """Hold an access token and a refresh token."""

    refresh_token: _RefreshToken


class Refreshed(AccessToken):
    """Hold new tokens; if an access token was refreshed, without a refresh token."""

    refresh_token: NotRequired[_RefreshToken]


class GrantedToken(Refreshed):
    """Hold tokens for a client; `scope` is set for clients that act on their own behalf."""

    scope: NotRequired[Annotated[str, Field(examples=["read"])]]


class Registered(AccessToken):
    """Show a new account, with its first token."""

    id: _Id
    email: _Email


class Account(TypedDict):
    """Show an account."""

    id: _Id
    email: _Email
    name: str
    full_name: Annotated[str, Field(description="The same as `name`.")]
    role: Annotated[str, Field(examples=["USER"])]
    email_verified: bool
    picture: str | None
    created_at: _Moment


class AuthStatus(TypedDict):
    """Tell whether the caller is signed in."""

    authenticated: bool
    user: Account | None


class SocialUser(TypedDict):
    """Show an account to an application that has signed its owner in with a provider."""

    id: _Id
    email: _Email
    name: str
    avatar_url: NotRequired[Annotated[str | None, Field(description="The picture, from GitHub.")]]
    picture: NotRequired[Annotated[str | None, Field(description="The picture, from other providers.")]]


class SocialToken(AccessToken):
    """Hold an access token after a sign-in with a provider."""

    user: SocialUser
    refresh_token: NotRequired[
        Annotated[str, Field(description="With the setting `social_refresh_tokens`.", examples=["rt_…"])]
    ]


class SessionShown(TypedDict):
    """Show a session."""

    id: _Id
    created_at: _Moment
    last_used_at: _Moment
    expires_at: _Moment
    ip_address: Annotated[str, Field(examples=["192.0.2.1"])]
    user_agent: str
    current: Annotated[bool, Field(description="Whether it is the session of the caller.")]


class IdentityShown(TypedDict):
    """Show a provider that is linked to an account."""

    provider: Annotated[str, Field(examples=["github"])]
    linked_at: _Moment


class NewKey(TypedDict):
    """Show an API key that was created or rotated, with its text, which is shown only once."""

    id: _Id
    api_key: Annotated[str, Field(examples=["sk_live_…"])]
    name: str
    prefix: Annotated[str, Field(examples=["sk_live"])]
    expires_at: _Moment
    created_at: _Moment
    secret: NotRequired[
        Annotated[
            str, Field(description="The client secret of a key of the kind `claw`.", examples=["clsk_…"])
        ]
    ]


class KeyShown(TypedDict):
    """Show an API key in a list."""

    id: _Id
    name: str
    prefix: Annotated[str, Field(examples=["sk_live"])]
    is_active: bool
    last_used_at: _Moment | None
    usage_count: Annotated[int, Field(ge=0)]
    expires_at: _Moment
    created_at: _Moment


class FullKey(KeyShown):
    """Show an API key with its state and scopes."""

    shown: Annotated[str, Field(description="Its first characters.")]
    scopes: list[str]
    tier: Annotated[str, Field(examples=["free"])]
    state: str
    disabled_by: str | None
    revoked_for: str | None
    networks: list[str]
    metadata: dict[str, Any]


class NewPair(TypedDict):
    """Show an API key and its client secret, which are shown only once."""

    id: _Id
    key: Annotated[str, Field(examples=["claw_…"])]
    secret: Annotated[str | None, Field(examples=["clsk_…"])]
    name: str
    permissions: list[str]
    tier: str
    message: str


class PairShown(TypedDict):
    """Show an API key in a list, in the format of a key pair."""

    _id: _Id
    key: Annotated[str, Field(description="Its first twelve characters.")]
    name: str
    permissions: list[str]
    tier: str
    enabled: bool
    createdAt: _Moment


class Pairs(TypedDict):
    """List the API keys of an owner."""

    keys: list[PairShown]


class Success(TypedDict):
    """Report success."""

    success: bool


class UsedRequests(TypedDict):
    """Count the requests with all keys of an owner."""

    today: Annotated[int, Field(ge=0)]
    month: Annotated[int, Field(ge=0)]


class RequestLimits(TypedDict):
    """Show how many requests keys may make."""

    perDay: int
    perMinute: int


class UsageShown(TypedDict):
    """Show the usage of the keys of an owner."""

    tier: str
    usage: UsedRequests
    limits: RequestLimits


class SentMatch(TypedDict):
    """Hold a text that may be a secret of this service, as sent by a scanner."""

    token: Annotated[str, Field(min_length=1, max_length=4096)]
    type: Annotated[str, Field(max_length=200)]
    url: NotRequired[str]
    source: NotRequired[str]


class ReportedMatch(TypedDict):
    """Tell a secret scanner the result of a match."""

    token_hash: str
    token_type: str
    label: Literal["true_positive", "false_positive"]


@with_config(ConfigDict(extra="allow"))
class Introspection(TypedDict):
    """Describe a token (RFC 7662 section 2.2); of an inactive one only `active`."""

    active: bool
    sub: NotRequired[str]
    iss: NotRequired[str]
    exp: NotRequired[int]
    iat: NotRequired[int]
    token_type: NotRequired[str]
    client_id: NotRequired[str]
    username: NotRequired[str]
    scope: NotRequired[str]


class Nothing(TypedDict):
    """Define a body without fields."""


@with_config(ConfigDict(extra="allow"))
class PublicKey(TypedDict):
    """Show a public key (RFC 7517)."""

    kty: str
    kid: str
    use: NotRequired[str]
    alg: NotRequired[str]


class KeySetShown(TypedDict):
    """List the public keys for verifying tokens; empty for HS256."""

    keys: list[PublicKey]


class Metadata(TypedDict):
    """Describe the authorization server (RFC 8414)."""

    issuer: str
    token_endpoint: str
    response_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    grant_types_supported: list[str]
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: list[str]
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: list[str]
    jwks_uri: NotRequired[str]


class Alive(TypedDict):
    """Tell a probe that the process is running."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Tell a probe whether the service is ready, and otherwise which parts fail."""

    status: Literal["ready", "unavailable"]
    failing: NotRequired[list[str]]


class AnyDocument(TypedDict):
    """Describe an API (OpenAPI 3.1)."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
