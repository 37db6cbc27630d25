"""Every error of authguard, and the answer each one becomes on the wire.

    AuthGuardError
    ├── ConfigurationError               raised while an object is built; says what to change
    ├── LoginError                       raised by `authguard.client`; nobody could be signed in or out
    └── RefusedError                     a request that may not pass
        ├── InvalidRequestError          400  invalid_request     malformed, or several in header fields
        ├── MissingCredentialsError      401  (no error code)     nobody has presented anything
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
        ├── InsufficientUserAuthenticationError
        │                                401  insufficient_user_authentication  to sign in anew
        ├── InsufficientScopeError       403  insufficient_scope  we know the caller; it may not
        ├── CrossSiteRequestError        403  cross_site_request  a cookie sent by another site
        ├── RateLimitedError             429  rate_limited        too many in too short a time
        ├── UnexpectedError              500  internal_error      a callback raised; our fault
        └── VerificationUnavailableError 503  unavailable         a key source, store or callback is down

`reason` is for logs and decorators, and never holds anything that the caller sent.
`detail` is public and the same for all errors of one answer, so that it tells an
attacker nothing (RFC 6750 section 3.1, ASVS 16.5.1).
"""

from collections.abc import Collection, Sequence
from typing import ClassVar


class AuthGuardError(Exception):
    """The root: `except AuthGuardError` catches all that this package raises."""


class ConfigurationError(AuthGuardError, ValueError):
    """The guard, a verifier or a rule was built from something that cannot be right."""


class LoginError(AuthGuardError):
    """A client could not sign in, refresh or sign out.

    Args:
        reason: what went wrong, without anything secret.
        status_code: what the service answered; None if there was no answer.
    """

    def __init__(self, reason: str, status_code: int | None = None) -> None:
        self.status_code = status_code
        super().__init__(reason)


class RefusedError(AuthGuardError):
    """A request that may not pass; subclasses say why and with which status.

    Args:
        reason: what went wrong, in words that hold nothing from the request.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal Server Error"
    detail: ClassVar[str] = "The request could not be checked."
    #: The `error` of the challenge (RFC 6750 section 3.1), where it has one.
    challenge_error: ClassVar[str | None] = None
    #: The scheme whose challenge has the `error`; None for the scheme that the request used.
    challenge_scheme: str | None = None
    #: The public name of the API key that was presented, for logs; None for tokens and unknown keys.
    key_id: str | None = None

    def __init__(self, reason: str = "") -> None:
        self.reason = reason or self.detail
        super().__init__(self.reason)


class InvalidRequestError(RefusedError):
    """The credential is malformed, or there are several (RFC 6750 section 3.1)."""

    status_code = 400
    code = "invalid_request"
    title = "Bad Request"
    detail = "Send exactly one well-formed credential."
    challenge_error = "invalid_request"


class MissingCredentialsError(RefusedError):
    """No credential was presented; the challenge then carries no error code.

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


class InvalidTokenError(RefusedError):
    """The credential is not valid; all of its subclasses get the same answer."""

    status_code = 401
    code = "invalid_token"
    title = "Unauthorized"
    detail = "The credential is invalid, expired or revoked."
    challenge_error = "invalid_token"


class MalformedTokenError(InvalidTokenError):
    """The token cannot be read, or is of a kind that is never an access token."""


class InvalidSignatureError(InvalidTokenError):
    """The signature does not verify, or no configured key can have made it."""


class ExpiredTokenError(InvalidTokenError):
    """The token is used at or after its `exp`, or before its `nbf` or `iat`."""


class InvalidIssuerError(InvalidTokenError):
    """No verifier is configured for the token's `iss`."""


class InvalidAudienceError(InvalidTokenError):
    """The token's `aud` does not name this resource."""


class MissingRequiredClaimError(InvalidTokenError):
    """A required claim is absent."""


class InvalidAPIKeyError(InvalidTokenError):
    """The API key is unknown, disabled or expired.

    Args:
        reason: what went wrong.
        key_id: the public name of the key, for logs.
    """

    def __init__(self, reason: str = "", *, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.key_id = key_id


class RevokedTokenError(InvalidTokenError):
    """The token or API key, its session or its subject has been revoked.

    Args:
        reason: what went wrong.
        key_id: the public name of the API key, for logs.
    """

    def __init__(self, reason: str = "", *, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.key_id = key_id


class UnprovenTokenError(InvalidTokenError):
    """The token is bound to a key or a certificate, and came without its proof (RFC 7800).

    Args:
        reason: what was missing.
        scheme: the scheme by which the token should have been sent, if it was another.
    """

    def __init__(self, reason: str = "", *, scheme: str | None = None) -> None:
        super().__init__(reason)
        self.challenge_scheme = scheme


class InvalidProofError(RefusedError):
    """The DPoP proof is missing, malformed, used before, or for another request (RFC 9449)."""

    status_code = 401
    code = "invalid_dpop_proof"
    title = "Unauthorized"
    detail = "Send one fresh DPoP proof that is made for this request."
    challenge_error = "invalid_dpop_proof"
    challenge_scheme = "DPoP"


class NonceRequiredError(InvalidProofError):
    """The DPoP proof must have a nonce of ours (RFC 9449 section 9).

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
    """The caller is known, and lacks a scope or a role.

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
    """The caller is known, and has signed in too long ago, or in another way (RFC 9470 section 3).

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
        """What the next sign-in must be like, as parameters of RFC 9470: `acr_values`, `max_age`."""
        acr = (("acr_values", " ".join(self.acr_values)),) if self.acr_values else ()
        age = (("max_age", str(self.max_age)),) if self.max_age is not None else ()
        return acr + age


class CrossSiteRequestError(RefusedError):
    """A cookie came with an unsafe request that this site did not start."""

    status_code = 403
    code = "cross_site_request"
    title = "Forbidden"
    detail = "A request with a cookie must come from this site."


class RateLimitedError(RefusedError):
    """Too many requests in too short a time (RFC 6585 section 4).

    Args:
        policy: the name of the limit, for the RateLimit fields.
        quota: how many it lets through.
        window: in how many seconds.
        retry_after: seconds after which one gets through again, at least 1.
    """

    status_code = 429
    code = "rate_limited"
    title = "Too Many Requests"
    detail = "There were too many requests. Try again later."

    def __init__(self, policy: str, *, quota: int, window: int, retry_after: int) -> None:
        super().__init__(f"over the limit {policy}")
        self.policy = policy
        self.quota = quota
        self.window = window
        self.retry_after = max(1, int(retry_after))


class UnexpectedError(RefusedError):
    """A callback raised something unforeseen, which is no outage; its exception is the `__cause__`."""


class VerificationUnavailableError(RefusedError):
    """Whether the credential is valid cannot be found out just now.

    Callbacks raise it too, to say that what they depend on is down. A `ConnectionError` or a
    `TimeoutError` of a callback becomes one by itself, also where a library has wrapped it or has
    a class of this name; it is the `__cause__` then.

    Args:
        reason: what is down.
        retry_after: seconds after which to try again, at least 1.
    """

    status_code = 503
    code = "unavailable"
    title = "Service Unavailable"
    detail = "The credential cannot be checked at the moment."

    def __init__(self, reason: str = "", *, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = max(1, int(retry_after))
