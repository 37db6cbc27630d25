"""Check the bodies of requests for API keys; what a key may be given, its use case decides."""

from typing import Annotated, Any, Literal

from pydantic import Field

from authguard.identity.model import MAX_NAME
from authguard.identity.web.bodies import JSONBody

MAX_DAYS = 3650
MAX_GRACE_SECONDS = 30 * 86_400
_MAX_SCOPES = 20
_MAX_NETWORKS = 20

_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
_Scope = Annotated[str, Field(min_length=1, max_length=64)]
_Network = Annotated[str, Field(min_length=1, max_length=64)]


class CreateKey(JSONBody):
    """`api-keys`; the document has the name and the days, and all others may be left out."""

    name: _Name
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    prefix: Annotated[str, Field(min_length=1, max_length=32)] = "sk_live"
    scopes: Annotated[list[_Scope], Field(max_length=_MAX_SCOPES)] = ["read", "write"]
    tier: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    metadata: dict[str, Any] = {}
    networks: Annotated[list[_Network], Field(max_length=_MAX_NETWORKS)] = []


class CreateKeyPair(JSONBody):
    """`auth/api-keys`, as documented."""

    name: _Name = "Default Key"
    permissions: Annotated[list[Literal["read", "write", "admin"]], Field(max_length=3)] = ["read", "write"]


class RotateKey(JSONBody):
    """`api-keys/{key_id}/rotations`."""

    activate: Literal["now", "first_use"] = "now"
    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 0
