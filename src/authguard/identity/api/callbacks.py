"""Parse the callback of a browser from a provider (RFC 6749 section 4.1.2, RFC 9207)."""

from collections.abc import Mapping

from starlette.datastructures import QueryParams

from authguard.identity.errors import (
    ProviderSetUpError,
    ProviderUnavailableError,
    SocialCancelledError,
    SocialSignInError,
)
from authguard.identity.social.provider import Provider
from authguard.identity.social_reasons import (
    CANCELLATIONS,
    CLIENT_ERRORS,
    OUTAGES,
    SocialReason,
    clean_code,
)


def code_of(provider: Provider, query: QueryParams, attempt: Mapping[str, str] | None) -> str:
    """Return the authorization code of a callback.

    Args:
        provider: the provider that sent the browser.
        query: the query of the callback.
        attempt: the stored sign-in attempt; None if this browser has none with this state.

    Raises:
        SocialSignInError: if it is not an answer to the attempt, or the provider refused.
        ProviderUnavailableError: if the provider reports an outage, or refuses this service.
    """
    code, error = query.getlist("code"), clean_code(query.get("error"))
    if attempt is None and "state" not in query and error in CANCELLATIONS:
        raise _error_of(provider, error)  # some providers omit the state; such a callback is ignored
    if attempt is None:
        raise SocialSignInError(
            "no attempt of this browser", SocialReason.STATE_UNKNOWN, provider_error=error
        )
    if attempt["provider"] != provider.name:
        raise SocialSignInError("an attempt of another provider", SocialReason.STATE_MISMATCH)
    issuers = query.getlist("iss")
    is_missing = not issuers and "names_issuer" in attempt
    if is_missing or any(issuer != (provider.issuer or issuer) for issuer in issuers):
        raise SocialSignInError("an answer of another issuer", SocialReason.ISSUER_MISMATCH)
    if "error" in query:
        raise _error_of(provider, error)
    if len(code) != 1 or not code[0]:
        raise SocialSignInError("not exactly one code", SocialReason.CALLBACK_MALFORMED)
    return code[0]


def _error_of(provider: Provider, code: str) -> SocialSignInError | ProviderUnavailableError:
    """Return the error for an error code of the provider."""
    if code in CANCELLATIONS:
        return SocialCancelledError("the sign-in was cancelled", SocialReason.CANCELLED, provider_error=code)
    if code in CLIENT_ERRORS:
        reason = f"{provider.name} refuses this service as its client: {code}"
        return ProviderSetUpError(reason, SocialReason.CLIENT_REFUSED, provider_error=code)
    if code in OUTAGES:
        return ProviderUnavailableError(f"{provider.name} is down: {code}", provider_error=code)
    return SocialSignInError(
        "the provider refused the sign-in", SocialReason.PROVIDER_ERROR, provider_error=code
    )
