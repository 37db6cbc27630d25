"""Build the page that a browser shows instead of a problem document."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from math import ceil

from authguard.errors import (
    RateLimitedError,
    RefusedError,
    UnacceptedCredentialError,
    VerificationUnavailableError,
)

_MAX_LINK = 1000  # characters, so that a page stays under 4 KB

# Dark on light and light on dark have a contrast of more than 7:1 (WCAG 2.2, 1.4.6).
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;padding:12vh 1.5rem;font:1.125rem/1.6 system-ui,sans-serif;color:#1b1b1f;background:#fff}"
    "main{max-width:34rem;margin:0 auto}"
    "h1{font-size:1.75rem;line-height:1.25;margin:0 0 1rem}"
    "a{color:#0b3d91}"
    ".code{font-size:.9rem;color:#4a4a52}"
    "@media(prefers-color-scheme:dark){body{color:#ececf1;background:#16161a}a{color:#a9c7ff}"
    ".code{color:#b9b9c4}}"
)
#: No resources, scripts, frames or forms are allowed; the only style is named by its digest.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
CONTENT_TYPE = "text/html; charset=utf-8"

_PAGE = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<title>{heading}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
    '<h1>{heading}</h1>\n<p>{text}</p>\n{more}<p class="code">{status} {code}</p>\n'
    "</main>\n</body>\n</html>\n"
)

# Heading and text by the `code` of the error. Pages about other errors show the title and the detail of the
# class.
_WORDS = {
    "invalid_request": (
        "The request cannot be read",
        "The browser sent damaged or duplicate sign-in data. Delete the cookies of this site, and try again.",
    ),
    "missing_credentials": ("Please sign in", "You must sign in to see this page."),
    "invalid_token": (
        "Please sign in again",
        "Your sign-in has expired, or was ended.",
    ),
    "insufficient_user_authentication": (
        "Please sign in again",
        "This page needs a more recent sign-in, or one with another method.",
    ),
    "unaccepted_credential": (
        "Not with this sign-in",
        "This address needs another kind of sign-in, such as a program's key. Go back to the site.",
    ),
    "insufficient_scope": (
        "You may not open this page",
        "You are signed in, but your account lacks the permission. Go back, or ask its operator.",
    ),
    "address_denied": (
        "Not from this network",
        "The key may only be used from other networks. Ask the operator of this site.",
    ),
    "cross_site_request": (
        "The request came from another site",
        "To protect you, it was refused. Open the page on this site, and try again there.",
    ),
    "internal_error": ("Something went wrong", "This is an error of the site. Try again later."),
    "rate_limited": ("Too many requests", "You sent too many requests in a short time."),
    "unavailable": (
        "Not available at the moment",
        "Your sign-in cannot be checked at the moment. It remains valid.",
    ),
}


def page_of(error: RefusedError, sign_in: str | None) -> bytes:
    """Return the page about a refusal: complete, static, and without data from the request.

    Args:
        error: why the request is refused.
        sign_in: the path of the sign-in page; None for no link.
    """
    heading, text = _WORDS.get(error.code, (error.title, error.detail))
    page = _PAGE.format(
        heading=escape(str(heading)),
        style=_STYLE,
        text=escape(str(text)),
        more=_next(error, sign_in),
        status=error.status_code,
        code=escape(str(error.code)),
    )
    return page.encode("utf-8", "replace")


def _next(error: RefusedError, sign_in: str | None) -> str:
    """Return the advice about the next step, in HTML."""
    if sign_in is not None:
        link = sign_in if len(sign_in) <= _MAX_LINK else sign_in.partition("?")[0]
        return f'<p><a href="{escape(link)}">Sign in</a></p>\n'
    if isinstance(error, (RateLimitedError, VerificationUnavailableError)):
        return f"<p>Try again in {_in_words(error.retry_after)}.</p>\n"
    if error.status_code == 401 and not isinstance(error, UnacceptedCredentialError):
        return "<p>Sign in on this site, and open this page again.</p>\n"
    return ""


def _in_words(seconds: int) -> str:
    """Return the waiting time in words, in a suitable unit, rounded up."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds > 2 * length:
            return f"{ceil(seconds / length)} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
