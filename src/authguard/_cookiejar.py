"""Keep cookies out of HTTP clients that send requests on behalf of many callers."""

from http.cookiejar import CookieJar
from typing import Any


class NoCookies(CookieJar):
    """Store no cookies, and send none.

    A cookie in the response about one caller must not be sent with requests about others.
    """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the cookies of a response."""
