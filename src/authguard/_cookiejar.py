"""Keep the cookie jar of HTTP clients empty that ask on behalf of many callers."""

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """Take no cookie, and send none.

    What a server sets in the answer about one caller must not be sent with the questions about the others.
    """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave the cookies of an answer alone."""
