"""Name the causes of refusals, for programs."""

from enum import StrEnum


class Cause(StrEnum):
    """Name why a credential is refused, for programs; answers to callers do not hold it."""

    #: Refused for a reason that has no name of its own.
    INVALID = "invalid"
    #: Not a token, or one that RFC 8725 tells us to refuse.
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
    #: Without a claim that is required.
    MISSING_CLAIM = "missing_claim"
    #: An API key that does not exist.
    UNKNOWN_API_KEY = "unknown_api_key"
    #: An API key that is switched off.
    DISABLED = "disabled"
    #: Not active, as the introspection endpoint says.
    INACTIVE = "inactive"
    #: Logged out, or revoked.
    REVOKED = "revoked"
    #: Bound to a key or a certificate, without its proof.
    UNPROVEN = "unproven"
