"""Name the fields of the forms of OAuth endpoints; others are passed over (RFC 6749 section 3.2)."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

_Text = Annotated[str, Field(min_length=1, max_length=16_384)]
_MayBeEmpty = Annotated[str, Field(max_length=16_384)]  # which is as good as missing
_Secret = Annotated[str, Field(json_schema_extra={"format": "password"})]


class ClientForm(TypedDict):
    """Name a client that does not use HTTP Basic; one without a secret sends its id alone."""

    client_id: NotRequired[_MayBeEmpty]
    client_secret: NotRequired[_Secret]


class TokenForm(ClientForm):
    """Ask for tokens; which fields are needed depends on `grant_type`."""

    grant_type: Annotated[str, Field(examples=["password", "refresh_token", "client_credentials"])]
    username: NotRequired[_Text]
    password: NotRequired[_Secret]
    refresh_token: NotRequired[_Secret]
    scope: NotRequired[Annotated[str, Field(description="Of `client_credentials`; separated by spaces.")]]


class IntrospectionForm(ClientForm):
    """Ask about a token."""

    token: _Text
    token_type_hint: NotRequired[str]


class RevocationForm(IntrospectionForm):
    """Revoke a token."""
