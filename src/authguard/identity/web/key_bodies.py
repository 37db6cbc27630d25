"""Check the types in bodies of requests for API keys; the use cases check the values."""

from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from authguard.identity.web.bodies import JSONBody

MAX_GRACE_SECONDS = 30 * 86_400

# The check stops at the first error, because a body may contain thousands.
_Texts = Annotated[list[str], FailFast()]
_Permissions = Annotated[list[Literal["read", "write", "admin"]], FailFast()]


def _read_and_write() -> list[Any]:
    return ["read", "write"]


class CreateKey(JSONBody):
    """Take the body of `api-keys`; only the name is required."""

    name: str
    expires_in_days: int | None = None
    kind: str = "sk_live"
    scopes: _Texts = Field(default_factory=_read_and_write)
    tier: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    networks: _Texts = Field(default_factory=list)


class CreateKeyPair(JSONBody):
    """Take the body of `auth/api-keys`."""

    name: str = "Default Key"
    permissions: _Permissions = Field(default_factory=_read_and_write)


class RotateKey(JSONBody):
    """Take the body of `api-keys/{key_id}/rotations`."""

    activate: Literal["now", "first_use"] = "now"
    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 0
