"""Refill the forms of pages, and describe refusals to users."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from authguard.errors import RateLimitedError, RefusedError
from authguard.identity.errors import (
    EmailTakenError,
    InvalidFieldsError,
    LinkRefusedError,
    SimilarAddressError,
)
from authguard.identity.mail.addresses import MAX_ADDRESS

#: The labels of fields.
LABELS: Mapping[str, str] = {
    "name": "Name",
    "email": "E-mail address",
    "new_email": "New e-mail address",
    "password": "Password",
    "current_password": "Current password",
    "new_password": "New password",
    "kind": "Kind",
    "scopes": "Scopes",
    "expires_in_days": "Valid for",
    "activate": "The new secret",
    "grace_seconds": "The old secret",
    "confirm": "Confirmation",
}
#: The heading and text of a refusal's page, by its code. The API's text is for programs.
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "cross_site_request": (
        "Not sent from here",
        "This form may not have been sent from a page of this site. Open the page again, and retry.",
    ),
    "invalid_request": (
        "Two cookies for one",
        "Your browser sent a cookie of this site twice. Delete the cookies of this site, and sign in again.",
    ),
    "invalid_fields": ("That could not be read", "The form has missing or unknown fields."),
    "unsupported_media_type": ("That could not be read", "This page accepts only forms."),
    "payload_too_large": ("That was too much", "The form is too large."),
    "method_not_allowed": (
        "Nothing to see here",
        "This address accepts only a form of another page.",
    ),
    "not_found": ("Nothing here", "It may have been there, and have ended since."),
    "rate_limited": ("Too many tries", ""),
    "social_sign_in": (
        "That sign-in did not succeed",
        "Please start again. Your browser must accept the cookies of this site.",
    ),
    "insufficient_user_authentication": (
        "Please sign in again",
        "The provider did not confirm a new sign-in. Use your password, or another provider.",
    ),
    "email_not_verified": (
        "Check your mail",
        "Verify your e-mail address first: follow the link in the mail to it.",
    ),
    "invalid_credentials": ("You are not signed in", ""),
    "link_refused": (
        "There is an account already",
        "An account has your e-mail address, which the provider has not verified. Sign in in another way.",
    ),
    "no_address": (
        "No e-mail address",
        "The provider sent no usable e-mail address. Allow it to, or sign in in another way.",
    ),
    "provider_set_up": (
        "This sign-in is not available",
        "Signing in with this provider is not set up correctly; this was logged. Use another way.",
    ),
    "interactive_only": ("Please sign in", "An API key opens no page. Sign in with your browser."),
    "insufficient_scope": ("Not within your rights", "A key cannot have more rights than your account."),
    "too_many_keys": ("Too many keys", ""),
    "key_not_active": ("This key has ended", ""),
    "last_sign_in": ("Your only way to sign in", ""),
    "unavailable": (
        "Please try again in a moment",
        "The service cannot do this right now. That is not your fault, and you are not signed out.",
    ),
    "internal_error": (
        "That went wrong",
        "This is an error of the site, and was logged. Please try again later.",
    ),
}
#: The same for an address that only looks like that of an account, whose code is that of an unverified one.
_SIMILAR = (
    "Please use another address",
    "Your e-mail address is too similar to that of another account. Use another one at the provider.",
)
# Characters of the longest accepted value; longer ones are not shown again.
MAX_VALUE = MAX_ADDRESS
_SECRET = frozenset({"password", "current_password", "new_password", "token"})


@dataclass(frozen=True, slots=True)
class Form:
    """Hold the contents of a form on a page.

    Attributes:
        values: the sent values, without secrets, so that users need not type them again.
        errors: the correction for each field.
        problem: the fault of the whole form; empty for none.
        next_path: the page to go to afterwards, as it was sent.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    problem: str = ""
    next_path: str = ""

    @classmethod
    def from_error(cls, error: RefusedError, fields: Mapping[str, str], next_path: str = "") -> "Form":
        """Refill a form after it was refused.

        Args:
            error: the refusal.
            fields: the sent fields.
            next_path: the page to go to afterwards.
        """
        values = {
            name: value for name, value in fields.items() if name not in _SECRET and len(value) <= MAX_VALUE
        }
        errors: dict[str, list[str]] = {}
        problem = ""
        if isinstance(error, InvalidFieldsError):
            errors = {
                name: [_sentence(text) for text in texts]
                for name, texts in error.fields.items()
                if name in LABELS
            }
            problem = "" if errors else "The form could not be read. Please fill it in again."
        elif isinstance(error, EmailTakenError):
            errors = {"email": ["There is an account with this e-mail address already."]}
        else:
            problem = refusal_text(error)
        return cls(values, errors, problem, next_path)


def refusal_text(error: RefusedError) -> str:
    """Return the text of a refusal."""
    if isinstance(error, InvalidFieldsError) and "cursor" in error.fields:
        return "This link belongs to no list of your sessions. Open your account again to see all of them."
    if words := _words_of(error)[1]:
        return words
    if isinstance(error, RateLimitedError):
        minutes = -(-error.retry_after // 60)
        return f"There were too many tries. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
    return error.detail


def refusal_heading(error: RefusedError) -> str:
    """Return the heading of the page of a refusal."""
    return _words_of(error)[0] or error.title


def is_known_address(error: RefusedError) -> bool:
    """Return whether an account has the address of a refused social account."""
    return isinstance(error, LinkRefusedError) and not isinstance(error, SimilarAddressError)


def _words_of(error: RefusedError) -> tuple[str, str]:
    """Return the heading and text of a refusal's page; empty without special ones."""
    return _SIMILAR if isinstance(error, SimilarAddressError) else _REFUSALS.get(error.code, ("", ""))


def _sentence(text: str) -> str:
    """Turn a message of the API, which begins with a verb unless it is about a password, into a sentence."""
    return text if text[:1].isupper() else f"This {text}."
