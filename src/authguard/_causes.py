"""Name the causes of refusals, for programs."""

from enum import StrEnum


class Cause(StrEnum):
    """Name the cause of a refusal, for programs; responses do not contain it."""

    #: Refused for a cause without a name of its own.
    INVALID = "invalid"
    #: Not a token, or one that RFC 8725 requires to refuse.
    MALFORMED = "malformed"
    #: A token of another kind, such as an ID or refresh token.
    KIND = "kind"
    #: No key for its `alg` and `kid`.
    UNKNOWN_KEY = "unknown_key"
    #: Its `alg` is not among the algorithms.
    ALGORITHM = "algorithm"
    #: Signed by another key, or changed.
    SIGNATURE = "signature"
    #: Used at or after its `exp`.
    EXPIRED = "expired"
    #: Used before its `nbf`.
    NOT_YET_VALID = "not_yet_valid"
    #: Its `iat` is in the future.
    ISSUED_IN_FUTURE = "issued_in_future"
    #: Of another issuer.
    ISSUER = "issuer"
    #: For another audience.
    AUDIENCE = "audience"
    #: A required claim is missing.
    MISSING_CLAIM = "missing_claim"
    #: An API key that does not exist.
    UNKNOWN_API_KEY = "unknown_api_key"
    #: An API key that is disabled.
    DISABLED = "disabled"
    #: Not active, according to the introspection endpoint.
    INACTIVE = "inactive"
    #: Logged out, or revoked.
    REVOKED = "revoked"
    #: Bound to a key or certificate, and sent without its proof.
    UNPROVEN = "unproven"
