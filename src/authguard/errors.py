"""Define every error of authguard, and the answer each one becomes on the wire.

    AuthGuardError
    ├── ConfigurationError               raised while an object is built; says what to change
    ├── LoginError                       raised by `authguard.client`; nobody could be signed in or out
    └── RefusedError                     a request that may not pass
        ├── InvalidRequestError          400  invalid_request     malformed, or several in header fields
        ├── MissingCredentialsError      401  (no error code)     nobody has presented anything
        ├── UnacceptedCredentialError    401  unaccepted_credential  good, and of another kind
        ├── InvalidTokenError            401  invalid_token       one answer for all that follow
        │   ├── MalformedTokenError           not a token, or one that RFC 8725 tells us to refuse
        │   ├── InvalidSignatureError         forged, or signed by a key we do not know
        │   ├── ExpiredTokenError             past its `exp`, or before its `nbf`
        │   ├── InvalidIssuerError            from somebody we do not trust
        │   ├── InvalidAudienceError          meant for somebody else
        │   ├── MissingRequiredClaimError     lacks a claim that we were told to require
        │   ├── InvalidAPIKeyError            unknown, disabled or expired API key
        │   ├── RevokedTokenError             logged out, or an API key that was revoked
        │   └── UnprovenTokenError            bound to a key or certificate that was not shown
        ├── InvalidProofError            401  invalid_dpop_proof  a DPoP proof that proves nothing here
        │   └── NonceRequiredError       401  use_dpop_nonce      the same, with a nonce to put in
        ├── InsufficientUserAuthenticationError  401  insufficient_user_authentication  to sign in anew
        ├── InsufficientScopeError       403  insufficient_scope  we know the caller; it may not
        ├── AddressDeniedError           403  address_denied      an API key from where it must not be used
        ├── CrossSiteRequestError        403  cross_site_request  a cookie sent by another site
        ├── RateLimitedError             429  rate_limited        too many in too short a time
        ├── UnexpectedError              500  internal_error      a callback raised; our fault
        └── VerificationUnavailableError 503  unavailable         a key source, store or callback is down
            └── QuotaUnavailableError         the same for the store of quotas

`reason` is for logs and decorators, and never holds anything that the caller sent. `detail` is public, and
the same for all errors of one answer (RFC 6750 section 3.1, ASVS 16.5.1). `cause` is for programs alone.
"""

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

from authguard._causes import Cause as Cause  # noqa: PLC0414 (a public name of this module)


class AuthGuardError(Exception):
    """Serve as the root: `except AuthGuardError` catches all that this package raises."""


class ConfigurationError(AuthGuardError, ValueError):
    """Refuse an option of the guard, a verifier, a rule or another object, when it is built."""


class LoginError(AuthGuardError):
    """Tell that a client could not sign in, refresh or sign out.

    Args:
        reason: what went wrong, without anything secret.
        status_code: what the service answered; None if there was no answer.
    """

    def __init__(self, reason: str, status_code: int | None = None) -> None:
        self.status_code = status_code
        super().__init__(reason)


class RefusedError(AuthGuardError):
    """Refuse a request; subclasses say why and with which status.

    Args:
        reason: what went wrong, in words that hold nothing from the request.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal Server Error"
    detail: ClassVar[str] = "The request could not be checked."
    #: The `type` of the problem document (RFC 9457 section 3.1.1).
    problem_type: ClassVar[str] = "about:blank"
    #: The `error` of the challenge (RFC 6750 section 3.1), where it has one.
    challenge_error: ClassVar[str | None] = None
    #: The scheme whose challenge has the `error`; None for the scheme that the request used.
    challenge_scheme: str | None = None
    #: The public name of the API key that was presented, for logs; None for tokens and unknown keys.
    key_id: str | None = None
    #: Counts the request for the API key that was presented, once the guard has refused it; None for nothing.
    count: "Callable[[float, str | None, str, str], None] | None" = None

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
        reason: what is missing.
        hint: what an operator must change for a credential that was sent to be read.
    """

    status_code = 401
    code = "missing_credentials"
    title = "Unauthorized"
    detail = "Authentication is required."

    def __init__(self, reason: str = "", *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


class UnacceptedCredentialError(RefusedError):
    """Refuse a good credential of a kind that is not taken here, such as a cookie where a key is needed."""

    # No error code for the challenge (RFC 6750 section 3.1): clients would throw a good token away.
    status_code = 401
    code = "unaccepted_credential"
    title = "Unauthorized"
    detail = "Another kind of credential is required here."


class InvalidTokenError(RefusedError):
    """Refuse a credential that is not valid; all subclasses get the same answer.

    Args:
        reason: what went wrong.
        cause: the same for programs; None for the usual cause of the class.
        claim: the claim that it is about, if it is about one.
        key_id: the public name of the API key, for logs.
    """

    #: Why the credential is refused, for programs.
    cause: Cause = Cause.INVALID
    #: The claim that the refusal is about; None for no claim.
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
    """Refuse a token that cannot be read, or is of a kind that is never an access token."""

    cause = Cause.MALFORMED


class InvalidSignatureError(InvalidTokenError):
    """Refuse a signature that does not verify, or that no configured key can have made."""

    cause = Cause.SIGNATURE


class ExpiredTokenError(InvalidTokenError):
    """Refuse a token at or after its `exp`, or before its `nbf` or `iat`."""

    cause = Cause.EXPIRED


class InvalidIssuerError(InvalidTokenError):
    """Refuse a token whose `iss` no verifier is configured for."""

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
    """Refuse a token that is bound to a key or a certificate, and came without its proof (RFC 7800).

    Args:
        reason: what was missing.
        scheme: the scheme by which the token should have been sent, if it was another.
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
    """Ask for a nonce of ours in the DPoP proof (RFC 9449 section 9).

    Args:
        reason: what was missing.
        nonce: the nonce to use.
    """

    code = "use_dpop_nonce"
    detail = "Repeat the request with the nonce in the DPoP proof."
    challenge_error = "use_dpop_nonce"

    def __init__(self, reason: str = "", *, nonce: str) -> None:
        super().__init__(reason)
        self.nonce = nonce


class InsufficientScopeError(RefusedError):
    """Refuse a caller who is known, and lacks a scope or a role.

    Args:
        reason: what was lacking.
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
    """Ask for another sign-in: the last is too old, or was another way (RFC 9470 section 3).

    Args:
        reason: what was lacking.
        acr_values: the values of `acr` that are accepted, the preferred one first.
        max_age: how many seconds ago the caller may have signed in.
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
        """Return what the next sign-in must be like: `acr_values` and `max_age` of RFC 9470."""
        acr = (("acr_values", " ".join(self.acr_values)),) if self.acr_values else ()
        age = (("max_age", str(self.max_age)),) if self.max_age is not None else ()
        return acr + age


class AddressDeniedError(RefusedError):
    """Refuse an API key that is good, and used from an address in none of its networks.

    Args:
        reason: what was wrong.
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
    """Refuse an unsafe request with a cookie that this site did not start."""

    status_code = 403
    code = "cross_site_request"
    title = "Forbidden"
    detail = "A request with a cookie must come from this site."


class RateLimitedError(RefusedError):
    """Refuse requests that are too many in too short a time (RFC 6585 section 4).

    Args:
        policy: the name of the limit, for the RateLimit fields; of several, the one to wait for longest.
        quota: how many it lets through.
        window: in how many seconds.
        retry_after: seconds after which one gets through again, at least 1.
        violated: the names of all limits that refuse the request; None for this one.
        fields: the RateLimit fields, where there are several limits; empty for those of this one.
    """

    status_code = 429
    code = "rate_limited"
    title = "Request cannot be satisfied as assigned quota has been exceeded"
    detail = "There were too many requests. Try again later."
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
    """Report a callback that raised something unforeseen, no outage; its exception is the `__cause__`."""


class VerificationUnavailableError(RefusedError):
    """Report that a credential cannot be checked just now.

    Callbacks raise it too, to say that what they depend on is down. A `ConnectionError` or `TimeoutError` of
    theirs becomes one, also if a library wraps it or has a class of this name; it is the `__cause__` then.

    Args:
        reason: what is down.
        retry_after: seconds after which to try again, at least 1.
    """

    status_code = 503
    code = "unavailable"
    title = "Service Unavailable"
    is_logged = False  # True if the log has the reason already, and gets no line for each request
    detail = "The credential cannot be checked at the moment."

    def __init__(self, reason: str = "", *, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = max(1, int(retry_after))


class QuotaUnavailableError(VerificationUnavailableError):
    """Report that the quota of a caller cannot be looked up just now."""

    detail = "The quota cannot be checked at the moment."
    title = "Request cannot be satisfied due to temporary server capacity constraints"
    problem_type = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
