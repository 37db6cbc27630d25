"""Define the refusals of use cases, and the HTTP answer of each.

    RefusedError
    ├── InvalidFieldsError        422  invalid_fields        names each field, and its correction
    ├── InvalidCredentialsError   401  invalid_credentials   one answer for unknown, wrong and disabled
    │   └── DisabledAccountError  401  invalid_credentials   disabled, at a sign-in by a provider
    ├── EmailNotVerifiedError     403  email_not_verified    the password was right
    ├── WrongSignatureError       403  wrong_signature       a report that the scanner has not signed
    ├── InteractiveOnlyError      403  interactive_only      an API key, where a user must sign in
    │   └── ClientTokenError      403  interactive_only      a token that a client got for itself
    ├── EmailTakenError           409  email_taken           an account has the address
    ├── TooManyKeysError          409  too_many_keys         the owner has the maximum number of API keys
    ├── KeyNotActiveError         409  key_not_active        an API key that has expired or been revoked
    ├── KeyLockedError            409  key_locked            an API key that others have disabled
    ├── LinkRefusedError          409  link_refused          a social account that must not be linked
    │   └── SimilarAddressError   409  link_refused          its address looks like that of an account
    ├── NoAddressError            403  no_address            the provider sends no address
    ├── LastSignInError           409  last_sign_in          the only way to sign in to the account
    ├── SocialSignInError         400  social_sign_in        the provider refused, or its answer is invalid
    │   └── SocialCancelledError  400  social_sign_in        the user cancelled at the provider
    ├── InvalidLinkError          400  invalid_link          a one-time token: unknown, used, too old
    │   └── UsedLinkError         400  invalid_link          it has set a password before
    ├── InvalidReportError        400  invalid_report        a report of leaked keys that has another form
    ├── NotFoundError             404  not_found
    ├── MethodNotAllowedError     405  method_not_allowed
    ├── PayloadTooLargeError      413  payload_too_large
    ├── UnsupportedMediaError     415  unsupported_media_type
    ├── StoreUnavailableError     503  unavailable           the database is down, or too busy
    │   └── RevocationWaitsError  503  unavailable           `revocations_url` lacks a stored revocation
    └── ProviderUnavailableError  503  unavailable           a provider to sign in with is down
        └── ProviderSetUpError    503  provider_set_up       it refuses this service

`OAuthError` is not a RefusedError: the OAuth endpoints answer in the format of RFC 6749 section 5.2.
"""

from collections.abc import Mapping
from typing import ClassVar

from authguard.errors import (
    AuthGuardError,
    InsufficientScopeError,
    RefusedError,
    VerificationUnavailableError,
)
from authguard.identity.social_reasons import SocialReason


class InvalidFieldsError(RefusedError):
    """Refuse a body with missing or invalid fields.

    Args:
        fields: for each field its correction, in words that never repeat the sent value.
    """

    status_code = 422
    code = "invalid_fields"
    title = "Unprocessable Content"
    detail = "Some fields have to be changed."

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self.fields = {name: list(messages) for name, messages in fields.items()}
        super().__init__("invalid fields: " + ", ".join(sorted(self.fields)))


class InvalidCredentialsError(RefusedError):
    """Refuse a sign-in: address and password do not match, or the account may not sign in."""

    status_code = 401
    code = "invalid_credentials"
    title = "Unauthorized"
    detail = "The e-mail address or the password is wrong."


class DisabledAccountError(InvalidCredentialsError):
    """Refuse the owner of a disabled account who signed in by a provider."""

    detail = "The account is disabled: ask the operator of the service."


class EmailNotVerifiedError(RefusedError):
    """Refuse a correct sign-in to an account whose address is not verified yet.

    Args:
        reason: the fault.
        user_id: the account, if a provider signed its owner in; otherwise None.
    """

    status_code = 403
    code = "email_not_verified"
    title = "Forbidden"
    # An operator may have created the account, without a mail.
    detail = "Verify your e-mail address first: follow the link in the mail, or have another mail sent."

    def __init__(self, reason: str = "", *, user_id: str | None = None) -> None:
        super().__init__(reason)
        self.user_id = user_id


class InteractiveOnlyError(RefusedError):
    """Refuse an API key where a user must be signed in; the key may be accepted on other paths."""

    status_code = 403
    code = "interactive_only"
    title = "Forbidden"
    detail = "An API key cannot do this: sign in, and send the access token."


class ClientTokenError(InteractiveOnlyError):
    """Refuse a token that an API key or an OAuth client got for itself; this service takes it nowhere."""

    detail = (
        "A token of client_credentials is for other applications: sign in, and send that access token, or "
        "send an API key where keys are accepted."
    )


class TierDeniedError(InsufficientScopeError):
    """Refuse to give an API key a tier that only an operator may give."""

    detail = "Only an operator of the service can give a key this tier: ask the operator, or leave tier out."


class EmailTakenError(RefusedError):
    """Refuse an address that another account has."""

    status_code = 409
    code = "email_taken"
    title = "Conflict"
    detail = "Email already registered"


class TooManyKeysError(RefusedError):
    """Refuse to create an API key for an owner who has the maximum number."""

    status_code = 409
    code = "too_many_keys"
    title = "Conflict"
    detail = "There are too many API keys: revoke keys that are no longer needed."


class KeyNotActiveError(RefusedError):
    """Refuse to rotate an API key that has expired, been disabled or been revoked."""

    status_code = 409
    code = "key_not_active"
    title = "Conflict"
    detail = "The API key can no longer be used: create another one, or enable it if it is disabled."


class KeyLockedError(RefusedError):
    """Refuse to enable an API key that an actor with more rights than the caller has disabled."""

    status_code = 409
    code = "key_locked"
    title = "Conflict"
    detail = "The owner or the operator of the service has disabled the API key, and has to enable it."


class LinkRefusedError(RefusedError):
    """Refuse to link a social account with an unverified address that another account has."""

    status_code = 409
    code = "link_refused"
    title = "Conflict"
    detail = (
        "There is an account with this e-mail address already, and the provider has not verified the "
        "address: sign in to the account in another way, or have a new password sent by mail."
    )


class SimilarAddressError(LinkRefusedError):
    """Refuse a social account whose verified address only looks like the address of an account.

    Only the owner of the mailbox gets this answer, and would get another one for a new address. So it
    discloses nothing that could be hidden.
    """

    detail = (
        "The e-mail address of the provider is too similar to that of another account, so no account can "
        "have it: use another address at the provider, or sign in in another way."
    )


class NoAddressError(RefusedError):
    """Refuse to create an account for a social account without an e-mail address."""

    status_code = 403
    code = "no_address"
    title = "Forbidden"
    detail = "The provider sent no usable e-mail address. Allow it to, or sign in in another way."


class LastSignInError(RefusedError):
    """Refuse to unlink a provider that is the only way to sign in to the account."""

    status_code = 409
    code = "last_sign_in"
    title = "Conflict"
    detail = "This is the only way to sign in to the account: set a password first."


class SocialSignInError(RefusedError):
    """Refuse a social sign-in: refused by the provider, an invalid ID token, or another browser's callback.

    Args:
        reason: the fault.
        why: the reason for events.
        provider_error: the provider's own error code, as returned by `clean_code`.
    """

    status_code = 400
    code = "social_sign_in"
    title = "Bad Request"
    detail = "The sign-in at the provider did not succeed: start again."

    def __init__(
        self, reason: str = "", why: SocialReason = SocialReason.ID_TOKEN, *, provider_error: str = ""
    ) -> None:
        super().__init__(reason)
        self.why = why
        self.provider_error = provider_error


class SocialCancelledError(SocialSignInError):
    """Report that the user cancelled the sign-in at the provider."""

    detail = "The sign-in at the provider was cancelled."


class InvalidLinkError(RefusedError):
    """Refuse a one-time token that is unknown, used, replaced or expired, all with the same answer."""

    status_code = 400
    code = "invalid_link"
    title = "Bad Request"
    detail = "The link is no longer valid: request a new one."


class UsedLinkError(InvalidLinkError):
    """Refuse a second use of a one-time token, until it expires, that would set a password."""

    detail = "The link was used already: sign in, or request a new one to set another password."


class InvalidReportError(RefusedError):
    """Refuse a report of a secret scanner that has another format than documented."""

    status_code = 400
    code = "invalid_report"
    title = "Bad Request"
    detail = "The request is not a signed report of found secrets."


class WrongSignatureError(RefusedError):
    """Refuse a report whose signature is wrong, or made with an unknown key."""

    status_code = 403
    code = "wrong_signature"
    title = "Forbidden"
    detail = "The signature is not that of the body by a key of the scanner."


class NotFoundError(RefusedError):
    """Report that the path or object does not exist, or belongs to another account."""

    status_code = 404
    code = "not_found"
    title = "Not Found"
    detail = "There is nothing here."


class MethodNotAllowedError(RefusedError):
    """Refuse a method that the path does not support."""

    status_code = 405
    code = "method_not_allowed"
    title = "Method Not Allowed"
    detail = "The method is not for this path."


class PayloadTooLargeError(RefusedError):
    """Refuse a body that is larger than any valid one."""

    status_code = 413
    code = "payload_too_large"
    title = "Content Too Large"
    detail = "The body is too large."


class UnsupportedMediaError(RefusedError):
    """Refuse a body of another media type.

    A form of another site can send text, but not JSON (ASVS 3.5.2).
    """

    status_code = 415
    code = "unsupported_media_type"
    title = "Unsupported Media Type"
    detail = "Send JSON, with Content-Type: application/json."


class StoreUnavailableError(VerificationUnavailableError):
    """Report that the database does not answer, or could not store a change."""

    detail = "The service cannot do this at the moment."


class RevocationWaitsError(StoreUnavailableError):
    """Report that a revocation is in the database, while another store, which guards follow, lacks it."""

    detail = "This is done, but other applications do not know it yet. Repeat the request until it succeeds."


class ProviderUnavailableError(VerificationUnavailableError):
    """Report that a provider does not answer.

    Args:
        reason: the fault.
        why: the same for events.
        provider_error: the provider's own error code, as returned by `clean_code`.
        retry_after: seconds after which to retry.
    """

    detail = "The provider cannot be asked at the moment."

    def __init__(
        self,
        reason: str = "",
        why: SocialReason = SocialReason.PROVIDER_DOWN,
        *,
        provider_error: str = "",
        retry_after: int = 5,
    ) -> None:
        super().__init__(reason, retry_after=retry_after)
        self.why = why
        self.provider_error = provider_error


class ProviderSetUpError(ProviderUnavailableError):
    """Report that a provider refuses this service, which only the operator of the service can correct."""

    code = "provider_set_up"
    detail = (
        "Signing in with this provider is not set up correctly, which only the operator can change: "
        "sign in in another way."
    )


class OAuthError(AuthGuardError):
    """Refuse a request to the token, introspection or revocation endpoint (RFC 6749 section 5.2).

    Args:
        error: the code.
        description: for the developer of the client; contains nothing that was sent.
    """

    #: 401 for a client that did not authenticate, otherwise 400.
    STATUS: ClassVar[Mapping[str, int]] = {"invalid_client": 401}

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status_code = self.STATUS.get(error, 400)
