"""Check the forms on the pages of API keys, whose fields are all text; the use cases check the values."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from authguard._core.credential.key_format import MAX_KEY
from authguard.identity.errors import InvalidFieldsError
from authguard.identity.model import PERMISSIONS, ROTATE_SELF, Activation, APIKeyRequest
from authguard.identity.web.bodies import JSONBody

_Checked = Literal["yes"] | None
_KeyId = Annotated[str, Field(min_length=1, max_length=64)]
_KeyText = Annotated[SecretStr, Field(max_length=MAX_KEY)]
_MAX_SCOPES_TEXT = 4_096  # characters: 64 scopes of 63


class CreateKeyForm(JSONBody):
    """Take the form that creates a key; `expires_in_days` is empty for the lifetime of the settings."""

    name: Annotated[str, Field(max_length=1_000)]
    kind: Annotated[str, Field(max_length=40)]
    read: _Checked = None
    write: _Checked = None
    admin: _Checked = None
    rotate: _Checked = None
    scopes: Annotated[str, Field(max_length=_MAX_SCOPES_TEXT)] = ""
    expires_in_days: Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] | None = None

    def as_request(self) -> APIKeyRequest:
        """Return the requested properties of the key."""
        scopes = [name for name in PERMISSIONS if getattr(self, name)]
        scopes += [ROTATE_SELF] if self.rotate else []
        days = self.expires_in_days
        return APIKeyRequest(
            name=self.name,
            scopes=[*scopes, *self.scopes.split()],
            kind=self.kind,
            expires_in_days=None if days is None else int(days),
        )


class KeepKeyForm(JSONBody):
    """Take the form that downloads a new key as a file."""

    key: _KeyText
    secret: _KeyText | None = None


class RotateKeyForm(JSONBody):
    """Take the form that rotates a key."""

    key: _KeyId
    activate: Activation
    grace_seconds: Annotated[str, Field(pattern=r"^[0-9]{1,7}$")]


class SwitchKeyForm(JSONBody):
    """Take the form that disables or enables a key."""

    key: _KeyId


class RevokeKeyForm(JSONBody):
    """Take the form that revokes a key, which must be confirmed."""

    key: _KeyId
    confirm: _Checked = None

    def check_confirmed(self) -> None:
        """Check that the box was ticked.

        Raises:
            InvalidFieldsError: if it was not ticked.
        """
        if self.confirm is None:
            raise InvalidFieldsError({"confirm": ["has to be ticked"]})
