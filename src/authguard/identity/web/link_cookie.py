"""Remove one-time tokens from URLs at once, and store those of mails in a cookie and in the form of the page.

URLs are written to logs, browser histories and Referer fields. So the token is removed from the query before
any other code sees it, and the browser is redirected to a clean URL (RFC 9700 section 4.2).

A browser has one cookie for each kind of link, and another tab or another site can replace it while a form is
open. So a form carries the token of the link that its page shows.
"""

import re
from typing import cast
from urllib.parse import parse_qs

from cryptography.fernet import InvalidToken, MultiFernet
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from authguard._core.credential.cookies import AccessCookie
from authguard.asgi import HANDLED, Scope, handled_by_guard
from authguard.errors import InvalidRequestError
from authguard.identity.settings import Settings
from authguard.identity.tokens.derive import derive_fernet
from authguard.identity.web.messages import is_long_query, parse_query

_TOKEN_KEY = "authguard.link_token"
_QUERY_KEY = "authguard.callback_query"
#: The hidden field of the forms that use up a link.
LINK_FIELD = "link"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")


def take_token(scope: Scope) -> None:
    """Move the token from the query of a request to a separate key of the scope.

    Servers log the query from the same scope object that they passed, when the response starts. If an outer
    guard has copied the scope, its original is cleaned as well.
    """
    query = scope.get("query_string") or b""
    if b"token=" not in query:
        return
    tokens = [] if is_long_query(query) else parse_qs(query.decode("latin-1")).get("token", [])
    scope[_TOKEN_KEY] = tokens[0] if len(tokens) == 1 and _TOKEN.match(tokens[0]) else ""
    _empty_query(scope)


def take_query(scope: Scope) -> None:
    """Move the whole query of a provider's callback, with code and state, so that it is not logged."""
    scope[_QUERY_KEY] = scope.get("query_string") or b""
    _empty_query(scope)


def callback_query(request: Request) -> QueryParams:
    """Return the query of a callback, as the provider sent it."""
    return parse_query(request.scope.get(_QUERY_KEY, b""))


def _empty_query(scope: Scope) -> None:
    outer: Scope | None = scope
    while outer is not None:
        outer["query_string"] = b""
        outer = handled_by_guard(outer).scope if HANDLED in outer else None


class LinkCookie:
    """Keep the token of one kind of link between the link, its page and the form.

    Args:
        settings: the names of cookies, the lifetime of links, and the secrets that encrypt the field.
        purpose: the purpose of the link; a part of the cookie's name.
    """

    def __init__(self, settings: Settings, purpose: str) -> None:
        self._cookie = AccessCookie(f"authguard-{purpose}", secure=settings.is_https)
        self._seconds = settings.link_lifetime
        label = f"form of link {purpose}"
        self._fernet = MultiFernet([derive_fernet(secret, label) for secret in settings.secrets])

    def token_of_link(self, request: Request) -> str | None:
        """Return the token of the URL; empty if the text cannot be a token, None without a text."""
        return cast("str | None", request.scope.get(_TOKEN_KEY))

    def store(self, response: Response, token: str) -> None:
        """Store the token in the browser."""
        field = self._cookie.issue(token, max_age=self._seconds)
        response.headers.append("set-cookie", field)

    def store_or_clear(self, response: Response, token: str) -> None:
        """Store a received token in the browser; delete the stored one if the text cannot be a token."""
        if token:
            self.store(response, token)
        else:
            self.clear(response)

    def read(self, request: Request) -> str:
        """Return the token of the cookie; empty without a cookie.

        Raises:
            InvalidRequestError: if two cookies were sent.
        """
        return self._cookie.read(handled_by_guard(request.scope).request) or ""

    def seal(self, token: str) -> str:
        """Return the token for `LINK_FIELD` of the form, encrypted, because pages are saved and printed."""
        return self._fernet.encrypt_at_time(token.encode(), 0).decode()  # the token has an age of its own

    def take_from(self, fields: dict[str, str]) -> str:
        """Remove the token from the fields of a form, and return it; empty without a valid one."""
        sealed = fields.pop(LINK_FIELD, "").encode()
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return ""

    def clear(self, response: Response) -> None:
        """Delete the token from the browser."""
        response.headers.append("set-cookie", self._cookie.clear())

    def clear_if(self, token: str, request: Request, response: Response) -> None:
        """Delete this token from the browser; the token of another tab stays."""
        try:
            is_other = self.read(request) != token
        except InvalidRequestError:  # two cookies
            is_other = False
        if not is_other:
            self.clear(response)
