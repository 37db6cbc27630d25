"""The cookie jar of HTTP clients that ask on behalf of many callers: it stays empty."""

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """A cookie jar that stays empty.

    What a server sets in the answer about one caller must not be sent with the questions about the others.
    """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave the cookies of an answer alone."""
