"""Name the reasons of failed sign-ins with a provider, for events and logs."""

import re
from enum import StrEnum

_MAX_CODE = 64  # characters; the longest of a standard has 35
_NO_CODE = re.compile(r"[^A-Za-z0-9_.:-]")


class SocialReason(StrEnum):
    """Name the reason of a failed sign-in with a provider: the `reason` of an event `social`."""

    #: The user cancelled at the provider.
    CANCELLED = "cancelled"
    #: The callback has another error of the provider.
    PROVIDER_ERROR = "provider_error"
    #: The provider is unreachable, answers too late, or sends an unusable answer.
    PROVIDER_DOWN = "provider_down"
    #: The keys of the provider cannot be fetched, so that its ID token cannot be verified.
    KEYS_DOWN = "keys_down"
    #: The provider refuses this service as a client, or refuses its request.
    CLIENT_REFUSED = "client_refused"
    #: The application at the provider lacks a permission.
    PERMISSION_MISSING = "permission_missing"
    #: The provider refuses the code.
    CODE_REFUSED = "code_refused"
    #: This browser has no attempt with this state: it was started in another browser, is too old, or is used
    #: up.
    STATE_UNKNOWN = "state_unknown"
    #: The attempt belongs to another provider.
    STATE_MISMATCH = "state_mismatch"
    #: The same as `STATE_UNKNOWN`, in a browser that is signed in: the callback was reloaded. Or a callback
    #: that has signed in was sent again with its cookie.
    REPEATED = "repeated"
    #: The answer names another issuer than that of the attempt.
    ISSUER_MISMATCH = "issuer_mismatch"
    #: The callback has no code, or two.
    CALLBACK_MALFORMED = "callback_malformed"
    #: An application sent a redirect URI that is not configured.
    REDIRECT_URI = "redirect_uri"
    #: The body of an application's request cannot be read.
    INVALID_FIELDS = "invalid_fields"
    #: The ID token is missing, or not from the provider, for this service and for this access token.
    ID_TOKEN = "id_token"
    #: The ID token belongs to another attempt.
    NONCE_MISMATCH = "nonce_mismatch"
    #: The ID token has already expired, or is from the future.
    CLOCK_SKEW = "clock_skew"
    #: The provider does not confirm the requested new sign-in.
    STALE = "stale"
    #: The provider sends no address.
    NO_ADDRESS = "no_address"
    #: The provider sends an invalid address, or an identifier that cannot be stored.
    BAD_IDENTITY = "bad_identity"
    #: The owner must verify the address first.
    EMAIL_NOT_VERIFIED = "email_not_verified"
    #: An account has the address, which the provider has not verified; or has a similar address.
    LINK_REFUSED = "link_refused"
    #: The account is disabled.
    DISABLED = "disabled"
    #: Too many sign-ins, new accounts or wrong codes from the network address.
    RATE_LIMITED = "rate_limited"
    #: The database, or the store of limits, is down or too busy.
    UNAVAILABLE = "unavailable"
    #: An internal error.
    INTERNAL_ERROR = "internal_error"


#: Error codes of providers for an unknown or untrusted client, which only an operator can correct.
CLIENT_ERRORS = frozenset(
    {
        "invalid_client",
        "unauthorized_client",
        "incorrect_client_credentials",
        "redirect_uri_mismatch",
        "application_suspended",
        "unsupported_grant_type",
        "unsupported_response_type",
        "invalid_scope",
    }
)
#: Error codes for a user who cancelled.
CANCELLATIONS = frozenset({"access_denied", "user_cancelled_login", "user_cancelled_authorize"})
#: Error codes for an outage.
OUTAGES = frozenset({"server_error", "temporarily_unavailable"})


def clean_code(value: object) -> str:
    """Return the error code of a provider in a form that is safe for logs; empty for none."""
    return _NO_CODE.sub("", value[:_MAX_CODE]) if isinstance(value, str) else ""
