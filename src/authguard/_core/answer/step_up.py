"""Send a person who has to sign in anew to the login page, but never in a redirect loop."""

from hashlib import sha256

from authguard._core.answer.refusal import Refusal
from authguard._core.credential.cookies import AccessCookie
from authguard._core.request import RequestView
from authguard.errors import InvalidRequestError

_SECONDS = 10  # a loop takes less, and hardly anybody signs in so fast


class RedirectLoopDetector:
    """Detect that a login page has sent a browser straight back.

    Many login pages send on whoever is signed in already. For a sign-in that is too old, that would
    be a redirect loop. So a redirect leaves a cookie for some seconds, which names where it led.

    Args:
        cookie: that of the access token; the one here is named after it.
    """

    def __init__(self, cookie: AccessCookie) -> None:
        self._cookie = cookie.beside("step-up")

    def is_loop(self, request: RequestView, location: str) -> bool:
        """Return whether the browser was sent there just now, and nobody has signed in anew."""
        try:
            return self._cookie.read(request) == _digest(location)
        except InvalidRequestError:  # two of them: somebody plays with it
            return True

    def mark(self, refusal: Refusal, location: str) -> Refusal:
        """Return the answer that sends the browser there, with a cookie that says so."""
        field = self._cookie.issue(_digest(location), max_age=_SECONDS)
        return refusal.with_header("set-cookie", field)


def _digest(location: str) -> str:
    return sha256(location.encode()).hexdigest()[:32]
