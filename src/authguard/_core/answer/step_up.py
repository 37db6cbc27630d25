"""Redirect a user who must sign in again to the login page, but never in a loop."""

from hashlib import sha256

from authguard._core.answer.refusal import Refusal
from authguard._core.credential.cookies import AccessCookie
from authguard._core.request import RequestView
from authguard.errors import InvalidRequestError

_SECONDS = 10  # seconds; a loop is faster, and hardly any user signs in so fast


class RedirectLoopDetector:
    """Detect that a login page has redirected a browser straight back.

    Many login pages redirect users who are already signed in. If the sign-in is too old, that would be a
    redirect loop. So a redirect sets a cookie for a few seconds, and the cookie names the target of the
    redirect.

    Args:
        cookie: the cookie of the access token; the name of the new cookie is derived from its name.
    """

    def __init__(self, cookie: AccessCookie) -> None:
        self._cookie = cookie.beside("step-up")

    def is_loop(self, request: RequestView, location: str) -> bool:
        """Return whether the browser was just redirected to this target, without a new sign-in."""
        try:
            return self._cookie.read(request) == _digest(location)
        except InvalidRequestError:  # a normal browser does not send the cookie twice
            return True

    def mark(self, refusal: Refusal, location: str) -> Refusal:
        """Return the redirect with a cookie that marks it."""
        field = self._cookie.issue(_digest(location), max_age=_SECONDS)
        return refusal.with_header("set-cookie", field)


def _digest(location: str) -> str:
    return sha256(location.encode()).hexdigest()[:32]
