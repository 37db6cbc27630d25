"""Define every error of authguard, and the HTTP answer of each.

    AuthGuardError
    ├── ConfigurationError               raised while an object is built; names the correction
    ├── LoginError                       raised by `authguard.client`: a sign-in or sign-out failed
    └── RefusedError                     a refused request
        ├── InvalidRequestError          400  invalid_request     malformed, or several in header fields
        ├── MissingCredentialsError      401  (no error code)     the request has no credential
        ├── UnacceptedCredentialError    401  unaccepted_credential  valid, but of another kind
        ├── InvalidTokenError            401  invalid_token       the same answer for all of these:
        │   ├── MalformedTokenError           not a token, or one that RFC 8725 requires to refuse
        │   ├── InvalidSignatureError         forged, or signed with an unknown key
        │   ├── ExpiredTokenError             past its `exp`, or before its `nbf`
        │   ├── InvalidIssuerError            from an issuer that is not configured
        │   ├── InvalidAudienceError          for another audience
        │   ├── MissingRequiredClaimError     without a required claim
        │   ├── InvalidAPIKeyError            unknown, disabled or expired API key
        │   ├── RevokedTokenError             logged out, or an API key that was revoked
        │   └── UnprovenTokenError            bound to a key or certificate, without its proof
        ├── InvalidProofError            401  invalid_dpop_proof  an invalid DPoP proof
        │   └── NonceRequiredError       401  use_dpop_nonce      the same, with a nonce to use
        ├── InsufficientUserAuthenticationError  401  insufficient_user_authentication  sign in again
        ├── InsufficientScopeError       403  insufficient_scope  a known caller without the scope
        ├── AddressDeniedError           403  address_denied      an API key from another network
        ├── CrossSiteRequestError        403  cross_site_request  a cookie in another site's request
        ├── RateLimitedError             429  rate_limited        too many requests
        ├── UnexpectedError              500  internal_error      a callback raised an error
        └── VerificationUnavailableError 503  unavailable         a key source, store or callback is down
            └── QuotaUnavailableError         the same for the store of quotas

`reason` is for logs and decorators, and never contains anything that the caller sent. `detail` is public, and
the same for all errors with one answer (RFC 6750 section 3.1, ASVS 16.5.1). `cause` is for programs only.
"""

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

from authguard._causes import Cause as Cause  # noqa: PLC0414 (a public name of this module)


class AuthGuardError(Exception):
    """Define the base class: `except AuthGuardError` catches all errors of this package."""


class ConfigurationError(AuthGuardError, ValueError):
    """Report an invalid option of the guard, a verifier, a rule or another object, when it is built."""


class LoginError(AuthGuardError):
    """Report that a client could not sign in, refresh or sign out.

    Args:
        reason: the failure, without secrets.
        status_code: the status of the service's answer; None without an answer that can be read.
    """

    def __init__(self, reason: str, status_code: int | None = None) -> None:
        self.status_code = status_code
        super().__init__(reason)


class RefusedError(AuthGuardError):
    """Refuse a request; subclasses define the reason and the status.

    Args:
        reason: the reason, without anything from the request.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal Server Error"
    detail: ClassVar[str] = "The request could not be checked."
    problem_type: ClassVar[str] = "about:blank"  # the `type` of RFC 9457 section 3.1.1
    #: The `error` of the challenge (RFC 6750 section 3.1), if it has one.
    challenge_error: ClassVar[str | None] = None
    #: The scheme whose challenge has the `error`; None for the scheme used by the request.
    challenge_scheme: str | None = None
    #: For logs: the public name of a known API key that was presented, and an option to change.
    key_id: str | None = None
    hint: str | None = None
    #: Counts the request for the presented API key after the guard refused it; None for no counting.
    count: "Callable[..., None] | None" = None

    def __init__(self, reason: str = "") -> None:
        self.reason = reason or self.detail
        super().__init__(self.reason)


class InvalidRequestError(RefusedError):
    """Refuse a malformed credential, or several (RFC 6750 section 3.1)."""

    status_code = 400
    code = "invalid_request"
    title = "Bad Request"
    detail = "Send exactly one well-formed credential."
    challenge_error = "invalid_request"


class MissingCredentialsError(RefusedError):
    """Refuse a request without a credential; the challenge then carries no error code.

    Args:
        reason: the missing part.
        hint: the option that an operator must change so that the sent credential is read.
    """

    status_code = 401
    code = "missing_credentials"
    title = "Unauthorized"
    detail = "Authentication is required."

    def __init__(self, reason: str = "", *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


class UnacceptedCredentialError(RefusedError):
    """Refuse a valid credential of a kind that the path does not accept, such as a cookie."""

    # The challenge has no error code (RFC 6750 section 3.1), because clients would discard a valid token.
    status_code = 401
    code = "unaccepted_credential"
    title = "Unauthorized"
    detail = "Another kind of credential is required here."


class InvalidTokenError(RefusedError):
    """Refuse an invalid credential; all subclasses get the same answer.

    Args:
        reason: the reason.
        cause: the reason for programs; None for the default cause of the class.
        claim: the claim that caused the refusal, if one did.
        key_id: the public name of the API key, for logs.
    """

    #: The cause of the refusal, for programs.
    cause: Cause = Cause.INVALID
    #: The claim that caused the refusal; None for no claim.
    claim: str | None = None
    status_code = 401
    code = "invalid_token"
    title = "Unauthorized"
    detail = "The credential is invalid, expired or revoked."
    challenge_error = "invalid_token"

    def __init__(
        self,
        reason: str = "",
        *,
        cause: Cause | None = None,
        claim: str | None = None,
        key_id: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.cause = cause or self.cause
        self.claim = claim or self.claim
        self.key_id = key_id or self.key_id


class MalformedTokenError(InvalidTokenError):
    """Refuse a token that cannot be parsed, or that is of a kind that is never an access token."""

    cause = Cause.MALFORMED


class InvalidSignatureError(InvalidTokenError):
    """Refuse a signature that is invalid, or that no configured key can have made."""

    cause = Cause.SIGNATURE


class ExpiredTokenError(InvalidTokenError):
    """Refuse a token at or after its `exp`, or before its `nbf` or `iat`."""

    cause = Cause.EXPIRED


class InvalidIssuerError(InvalidTokenError):
    """Refuse a token whose `iss` is that of no configured verifier."""

    cause = Cause.ISSUER


class InvalidAudienceError(InvalidTokenError):
    """Refuse a token whose `aud` does not name this resource."""

    cause = Cause.AUDIENCE


class MissingRequiredClaimError(InvalidTokenError):
    """Refuse a token without a required claim."""

    cause = Cause.MISSING_CLAIM


class InvalidAPIKeyError(InvalidTokenError):
    """Refuse an API key that is unknown, disabled or expired."""

    cause = Cause.UNKNOWN_API_KEY


class RevokedTokenError(InvalidTokenError):
    """Refuse a token or API key that has been revoked, or whose session or subject has."""

    cause = Cause.REVOKED


class UnprovenTokenError(InvalidTokenError):
    """Refuse a token that is bound to a key or certificate, and was sent without its proof (RFC 7800).

    Args:
        reason: the missing part.
        scheme: the scheme that the token should have been sent with, if it was another.
    """

    cause = Cause.UNPROVEN

    def __init__(self, reason: str = "", *, scheme: str | None = None) -> None:
        super().__init__(reason)
        self.challenge_scheme = scheme


class InvalidProofError(RefusedError):
    """Refuse a DPoP proof that is missing, malformed, used before, or for another request (RFC 9449)."""

    status_code = 401
    code = "invalid_dpop_proof"
    title = "Unauthorized"
    detail = "Send one fresh DPoP proof that is made for this request."
    challenge_error = "invalid_dpop_proof"
    challenge_scheme = "DPoP"


class NonceRequiredError(InvalidProofError):
    """Ask for a nonce of this server in the DPoP proof (RFC 9449 section 9).

    Args:
        reason: the missing part.
        nonce: the nonce to use.
    """

    code = "use_dpop_nonce"
    detail = "Repeat the request with the nonce in the DPoP proof."
    challenge_error = "use_dpop_nonce"

    def __init__(self, reason: str = "", *, nonce: str) -> None:
        super().__init__(reason)
        self.nonce = nonce


class InsufficientScopeError(RefusedError):
    """Refuse a known caller who lacks a scope or a role.

    Args:
        reason: the missing scopes or roles.
        scopes: the scopes that the resource needs, for the challenge.
    """

    status_code = 403
    code = "insufficient_scope"
    title = "Forbidden"
    detail = "The caller is not allowed to do this."
    challenge_error = "insufficient_scope"

    def __init__(self, reason: str = "", *, scopes: Collection[str] = ()) -> None:
        super().__init__(reason)
        self.scopes = tuple(sorted(scopes))


class InsufficientUserAuthenticationError(RefusedError):
    """Require another sign-in: the last one is too old, or used another method (RFC 9470 section 3).

    Args:
        reason: the requirement that was not met.
        acr_values: the values of `acr` that are accepted, the preferred one first.
        max_age: the greatest age of the sign-in, in seconds.
    """

    status_code = 401
    code = "insufficient_user_authentication"
    title = "Unauthorized"
    detail = "Another or a more recent sign-in is required."
    challenge_error = "insufficient_user_authentication"

    def __init__(
        self, reason: str = "", *, acr_values: Sequence[str] = (), max_age: int | None = None
    ) -> None:
        super().__init__(reason)
        self.acr_values = tuple(acr_values)
        self.max_age = max_age

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Return the requirements of the next sign-in: `acr_values` and `max_age` of RFC 9470."""
        acr = (("acr_values", " ".join(self.acr_values)),) if self.acr_values else ()
        age = (("max_age", str(self.max_age)),) if self.max_age is not None else ()
        return acr + age


class AddressDeniedError(RefusedError):
    """Refuse a valid API key that is used from an address outside its networks.

    Args:
        reason: the reason.
        key_id: the public name of the API key, for logs.
    """

    status_code = 403
    code = "address_denied"
    title = "Forbidden"
    detail = "The credential may not be used from this address."

    def __init__(self, reason: str = "", *, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.key_id = key_id


class CrossSiteRequestError(RefusedError):
    """Refuse an unsafe request with a cookie that another site may have started."""

    status_code = 403
    code = "cross_site_request"
    title = "Forbidden"
    detail = "A request with a cookie must come from this site."


class RateLimitedError(RefusedError):
    """Refuse requests above a rate limit (RFC 6585 section 4).

    Args:
        policy: the name of the limit, for the RateLimit fields; of several, the one with the longest wait.
        quota: the number of requests that it allows.
        window: its length in seconds.
        retry_after: seconds after which a request is allowed again, at least 1.
        violated: the names of all limits that were exceeded; None for this one.
        fields: the RateLimit fields, if several limits apply; empty to send those of this one.
    """

    status_code = 429
    code = "rate_limited"
    title = "Request cannot be satisfied as assigned quota has been exceeded"
    detail = "Too many requests. Try again later."
    problem_type = "https://iana.org/assignments/http-problem-types#quota-exceeded"

    def __init__(
        self,
        policy: str,
        *,
        quota: int,
        window: int,
        retry_after: int,
        violated: Sequence[str] | None = None,
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.policy = policy
        self.quota = quota
        self.window = window
        self.retry_after = max(1, int(retry_after))
        self.violated = (policy,) if violated is None else tuple(violated)
        self.fields = tuple(fields) or (
            ("ratelimit-policy", f'"{policy}";q={quota};w={window}'),
            ("ratelimit", f'"{policy}";r=0;t={self.retry_after}'),
        )
        super().__init__("over the limit " + " and ".join(self.violated))


class UnexpectedError(RefusedError):
    """Report a callback that raised an unexpected exception, other than an outage; it is the `__cause__`."""


class VerificationUnavailableError(RefusedError):
    """Report that a credential cannot be checked now.

    Callbacks may raise it, too, to report that a dependency is down. A `ConnectionError` or `TimeoutError` of
    a callback becomes one, also if a library wraps it or has a class with this name; that exception is the
    `__cause__`.

    Args:
        reason: the part that is down.
        retry_after: seconds after which to try again, at least 1.
    """

    status_code = 503
    code = "unavailable"
    title = "Service Unavailable"
    is_logged = False  # True if the log already has the reason, and needs no line for each request
    detail = "The credential cannot be checked at the moment."

    def __init__(self, reason: str = "", *, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = max(1, int(retry_after))


class QuotaUnavailableError(VerificationUnavailableError):
    """Report that the quota of a caller cannot be checked now."""

    detail = "The quota cannot be checked at the moment."
    title = "Request cannot be satisfied due to temporary server capacity constraints"
    problem_type = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
