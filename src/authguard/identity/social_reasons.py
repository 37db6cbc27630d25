"""Name why a sign-in with a provider fails, for events and logs."""

import re
from enum import StrEnum

_MAX_CODE = 64  # characters; the longest of a standard has 35
_NO_CODE = re.compile(r"[^A-Za-z0-9_.:-]")


class SocialReason(StrEnum):
    """Name why a sign-in with a provider failed: the `reason` of an event `social`."""

    #: The person said no at the provider.
    CANCELLED = "cancelled"
    #: The browser came back with another error of the provider.
    PROVIDER_ERROR = "provider_error"
    #: The provider cannot be reached, answers too late, or with something else than an answer.
    PROVIDER_DOWN = "provider_down"
    #: The keys of the provider cannot be fetched, so that its ID token cannot be verified.
    KEYS_DOWN = "keys_down"
    #: The provider does not take this service for its client, or its request for one that is allowed.
    CLIENT_REFUSED = "client_refused"
    #: The application at the provider lacks a permission.
    PERMISSION_MISSING = "permission_missing"
    #: The provider does not take the code.
    CODE_REFUSED = "code_refused"
    #: This browser has no attempt with this state: it is of another browser, too old, or used up.
    STATE_UNKNOWN = "state_unknown"
    #: The attempt is of another provider.
    STATE_MISMATCH = "state_mismatch"
    #: As `STATE_UNKNOWN`, in a browser that is signed in: it has loaded the callback again.
    REPEATED = "repeated"
    #: The answer names another issuer than that of the attempt.
    ISSUER_MISMATCH = "issuer_mismatch"
    #: The browser came back without a code, or with two.
    CALLBACK_MALFORMED = "callback_malformed"
    #: An application named a place to come back to that is not configured.
    REDIRECT_URI = "redirect_uri"
    #: The body of an application's request cannot be read.
    INVALID_FIELDS = "invalid_fields"
    #: There is no ID token, or not one of the provider, for this service and this access token.
    ID_TOKEN = "id_token"
    #: The ID token is of another attempt.
    NONCE_MISMATCH = "nonce_mismatch"
    #: The ID token has expired when it comes, or is from the future.
    CLOCK_SKEW = "clock_skew"
    #: The provider does not show the new sign-in that was asked for.
    STALE = "stale"
    #: The provider tells no address.
    NO_ADDRESS = "no_address"
    #: What the provider tells is no address, or its identifier of the person cannot be stored.
    BAD_IDENTITY = "bad_identity"
    #: The owner has to verify the address first.
    EMAIL_NOT_VERIFIED = "email_not_verified"
    #: There is an account with the address, which the provider has not verified.
    LINK_REFUSED = "link_refused"
    #: The account is disabled.
    DISABLED = "disabled"
    #: Too many wrong codes from the network address.
    RATE_LIMITED = "rate_limited"
    #: The database, or the store of limits, is down or too busy.
    UNAVAILABLE = "unavailable"
    #: The service has failed.
    INTERNAL_ERROR = "internal_error"


#: The words of providers for a client that they do not know or trust, which only an operator can mend.
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
#: Its words for a person who said no.
CANCELLATIONS = frozenset({"access_denied", "user_cancelled_login", "user_cancelled_authorize"})
#: Its words for being down.
OUTAGES = frozenset({"server_error", "temporarily_unavailable"})


def clean_code(value: object) -> str:
    """Return the error code that a provider sent, as it may stand in a log; empty for none."""
    return _NO_CODE.sub("", value[:_MAX_CODE]) if isinstance(value, str) else ""
