"""Define the form fields of OAuth endpoints; others are ignored (RFC 6749 section 3.2)."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

_Text = Annotated[str, Field(min_length=1, max_length=16_384)]
_MayBeEmpty = Annotated[str, Field(max_length=16_384)]  # an empty field counts as missing
_Secret = Annotated[str, Field(json_schema_extra={"format": "password"})]


class ClientForm(TypedDict):
    """Identify a client that does not use HTTP Basic; one without a secret sends only its id."""

    client_id: NotRequired[_MayBeEmpty]
    client_secret: NotRequired[_Secret]


class TokenForm(ClientForm):
    """Request tokens; the required fields depend on `grant_type`."""

    grant_type: Annotated[str, Field(examples=["password", "refresh_token", "client_credentials"])]
    username: NotRequired[_Text]
    password: NotRequired[_Secret]
    refresh_token: NotRequired[_Secret]
    scope: NotRequired[
        Annotated[str, Field(description="The scopes for `client_credentials`, separated by spaces.")]
    ]


class IntrospectionForm(ClientForm):
    """Introspect a token."""

    token: _Text
    token_type_hint: NotRequired[str]


class RevocationForm(IntrospectionForm):
    """Revoke a token."""
