"""Read the challenges of a 401, to decide whether a new token can help."""

import re
from urllib.request import parse_http_list

import httpx

_MAX_FIELD = 4096  # characters of WWW-Authenticate that are read
#: A scheme, a parameter, or both: the first parameter of a challenge follows its scheme after a space.
_ITEM = re.compile(
    r"(?:(?P<scheme>[\w!#$%&'*+.^`|~-]+)(?!\s*=)(?:\s+|\Z))?"
    r"(?:error\s*=\s*(?:\"(?P<quoted>[^\"\\]*)\"|(?P<bare>[^\s\"]+))\Z)?",
    re.ASCII | re.IGNORECASE,
)


def is_about_token(response: httpx.Response) -> bool:
    """Return whether a 401 may be about the token, so that a new one can help (RFC 6750 section 3.1).

    It is not, if the challenge of the scheme Bearer names another error, such as
    `insufficient_user_authentication` (RFC 9470): a new token would be refused for the same reason.
    """
    errors = _bearer_errors(response.headers)
    return not errors or "invalid_token" in errors


def _bearer_errors(headers: httpx.Headers) -> set[str]:
    """Return the errors in the challenges of the scheme Bearer (RFC 9110 section 11.6.1)."""
    errors: set[str] = set()
    for field in headers.get_list("www-authenticate"):
        scheme = ""
        for item in parse_http_list(field[:_MAX_FIELD]):
            match = _ITEM.match(item)
            if match is None:
                continue
            scheme = (match["scheme"] or scheme).lower()
            error = match["quoted"] or match["bare"]
            if scheme == "bearer" and error:
                errors.add(error)
    return errors
