"""A person who has to sign in anew: to the login page, but never round in circles."""

from hashlib import sha256

from authguard._core.answer.refusal import Refusal
from authguard._core.credential.cookies import AccessCookie
from authguard._core.request import RequestView
from authguard.errors import InvalidRequestError

_SECONDS = 10  # a circle takes less, and hardly anybody signs in so fast


class Circles:
    """Tells whether a login page has sent a browser straight back.

    Many login pages send on whoever is signed in already. Whoever has signed in too long ago would
    go round in circles then. So a redirect leaves a cookie for some seconds, which names where it led.

    Args:
        cookie: that of the access token; the one here is named after it.
    """

    def __init__(self, cookie: AccessCookie) -> None:
        self._cookie = AccessCookie(f"{cookie.name}-step-up", secure=cookie.secure)

    def comes_from(self, request: RequestView, location: str) -> bool:
        """Whether the browser was sent there just now, and nobody has signed in anew."""
        try:
            return self._cookie.read(request) == _mark(location)
        except InvalidRequestError:  # two of them: somebody plays with it
            return True

    def note(self, refusal: Refusal, location: str) -> Refusal:
        """The answer that sends the browser there, with a note of that."""
        field = self._cookie.issue(_mark(location), max_age=_SECONDS)
        return refusal.with_header("set-cookie", field)


def _mark(location: str) -> str:
    return sha256(location.encode()).hexdigest()[:32]
