"""What is logged about refusals: little, once, and never a credential (laws 4 and 9)."""

import logging
import traceback

from authguard._core.decision import Deny
from authguard._core.request import RequestView
from authguard.errors import MissingCredentialsError, VerificationUnavailableError

logger = logging.getLogger("authguard")

_LONGEST_PATH = 200
_SHORTEST_SECRET = 4
_hinted: set[str] = set()  # as many as there are cookies: each hint is worth one line


def log_refusal(request: RequestView, denied: Deny) -> None:
    """Log our own faults as errors and warnings; the caller's at level DEBUG, with the name of an API key."""
    if denied.error.status_code == 500:
        cause = denied.error.__cause__ or denied.error
        text = "".join(traceback.format_exception(cause))
        logger.error("%s %s: %s\n%s", *_where(request), denied.error.reason, _redacted(text, request))
    elif isinstance(denied.error, VerificationUnavailableError):
        logger.warning("%s %s: %s", *_where(request), _redacted(denied.error.reason, request))
    else:
        _log_hint(request, denied)
        if logger.isEnabledFor(logging.DEBUG):
            reason = _redacted(denied.error.reason, request)  # a verifier of somebody's own may say much
            if denied.error.key_id is not None:
                reason = f"{reason}; key_id {denied.error.key_id}"
            logger.debug("%s %s: %s (%s)", *_where(request), denied.error.code, ascii(reason)[1:-1])


def _log_hint(request: RequestView, denied: Deny) -> None:
    """Warn once of what an operator has to change."""
    hint = denied.error.hint if isinstance(denied.error, MissingCredentialsError) else None
    if hint is not None and hint not in _hinted:
        _hinted.add(hint)
        logger.warning("%s %s: %s", *_where(request), hint)


def _where(request: RequestView) -> tuple[str, str]:
    # ascii() leaves no line break or escape sequence that could forge a line of the log.
    return ascii(request.method)[1:-1], ascii(request.path[:_LONGEST_PATH])


def _redacted(text: str, request: RequestView) -> str:
    """The text without the request's credentials, which a callback may have put into its error."""
    secrets: set[str] = set()
    for _, value in request.presented:
        # As text, and as repr() shows text and bytes.
        for field in (value.decode("latin-1"), repr(value)[2:-1], ascii(value.decode("latin-1"))[1:-1]):
            secrets |= {field, *field.replace(";", " ").replace("=", " ").replace(",", " ").split()}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > _SHORTEST_SECRET and secret.lower() != "bearer":
            text = text.replace(secret, "[redacted]")
    return text
