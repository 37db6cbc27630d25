"""What is logged about refusals: little, once, and never a credential (laws 4 and 9)."""

import logging
import traceback

from authguard._core.decision import Deny
from authguard._core.request import RequestView
from authguard.errors import VerificationUnavailableError

logger = logging.getLogger("authguard")

_LONGEST_PATH = 200
_LONGEST_METHOD = 40
_SHORTEST_SECRET = 4


def log_refusal(request: RequestView, denied: Deny) -> None:
    """Log our own faults as errors and warnings; the caller's only at level DEBUG."""
    if denied.error.status_code == 500:
        cause = denied.error.__cause__ or denied.error
        text = "".join(traceback.format_exception(cause))
        logger.error("%s %s: %s\n%s", *_where(request), denied.error.reason, _redacted(text, request))
    elif isinstance(denied.error, VerificationUnavailableError):
        logger.warning("%s %s: %s", *_where(request), _redacted(denied.error.reason, request))
    elif logger.isEnabledFor(logging.DEBUG):
        reason = _redacted(denied.error.reason, request)  # a verifier of somebody's own may say much
        logger.debug("%s %s: %s (%s)", *_where(request), denied.error.code, ascii(reason)[1:-1])


def _where(request: RequestView) -> tuple[str, str]:
    # ascii() leaves no line break or escape sequence that could forge a line of the log.
    return ascii(request.method[:_LONGEST_METHOD])[1:-1], ascii(request.path[:_LONGEST_PATH])


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
