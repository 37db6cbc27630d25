"""Let the owner of an account in, and share the common parts of the account pages."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from authguard.errors import RefusedError
from authguard.identity.pages.views import NOTICES, Views
from authguard.identity.tokens.cursors import MAX_CURSOR
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import query_of, read_optional_fields
from authguard.identity.web.parts import Web

#: The hidden field of the forms of these pages: the id of the account that the page is about.
ACCOUNT_FIELD = "account"
MAX_KEY_ID = 64  # characters; ids of API keys have fewer

AnyPages = TypeVar("AnyPages", bound="OwnerPages")
Handler: TypeAlias = Callable[[AnyPages, Request, Visitor], Awaitable[Response]]
FormHandler: TypeAlias = Callable[[AnyPages, Request, Visitor, dict[str, str]], Awaitable[Response]]
Endpoint: TypeAlias = Callable[[AnyPages, Request], Coroutine[Any, Any, Response]]


def for_owner(back: str) -> Callable[[Handler[AnyPages]], Endpoint[AnyPages]]:
    """Require a signed-in visitor; others sign in first, and are redirected to the page `back`.

    A visitor with only a refresh cookie gets new cookies with any answer, because the old token is used up.
    """

    def decorate(handler: Handler[AnyPages]) -> Endpoint[AnyPages]:
        @wraps(handler)
        async def endpoint(self: AnyPages, request: Request) -> Response:
            async def handle(request: Request, visitor: Visitor) -> Response:
                return await handler(self, request, visitor)

            return await self.let_in(request, handle, back, self.to_login(request, back))

        return endpoint

    return decorate


def form_of_owner(back: str) -> Callable[[FormHandler[AnyPages]], Endpoint[AnyPages]]:
    """Require a signed-in visitor and a form of a page about their account, and pass its fields on.

    Another tab may have signed the browser in to another account after the page was shown. Then nothing is
    done, and the page `back` of the present account reports that.
    """

    def decorate(handler: FormHandler[AnyPages]) -> Endpoint[AnyPages]:
        @for_owner(back)
        @wraps(handler)
        async def check(self: AnyPages, request: Request, visitor: Visitor) -> Response:
            fields = await read_optional_fields(request)
            if fields.pop(ACCOUNT_FIELD, "") != visitor.user.id:
                return self.to_present_account(request, back)
            return await handler(self, request, visitor, fields)

        return check

    return decorate


class OwnerPages:
    """Serve pages for the owner of an account.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
    """

    def __init__(self, web: Web, views: Views) -> None:
        self._service, self._workers = web.service, web.workers
        self._browser_sessions = web.browser_sessions
        self._views = views

    async def let_in(
        self,
        request: Request,
        handle: Callable[[Request, Visitor], Awaitable[Response]],
        back: str,
        signed_out: Response,
    ) -> Response:
        """Answer a signed-in visitor, with new cookies if the old ones had expired.

        Args:
            request: the request.
            handle: returns the answer.
            back: the page of the visitor.
            signed_out: the answer to visitors who are not signed in.
        """
        self._browser_sessions.refuse_cross_site(request)
        visitor = await self._browser_sessions.find_visitor(request)
        if visitor is None:
            return signed_out
        if visitor.renewed is None:
            return await handle(request, visitor)
        if request.method in ("GET", "HEAD"):
            kept = _kept_query(request)
            response = self._views.see_other(self._views.path(request, back) + (f"?{kept}" if kept else ""))
        else:
            try:
                response = await handle(request, visitor)
            except RefusedError as error:
                response = self._views.refusal(request, error, visitor=visitor)
        if "set-cookie" not in response.headers:
            self._browser_sessions.set_cookies(response, visitor.renewed)
        return response

    def to_present_account(self, request: Request, back: str) -> Response:
        """Redirect a browser whose form was about another account to a page of the present one."""
        return self._views.redirect_with_notice(request, back, "other-account")

    def to_login(self, request: Request, back: str) -> Response:
        """Redirect a browser to sign in, and back to a page afterwards."""
        query = urlencode({"next": self._views.path(request, back)})
        return self._views.see_other(self._views.path(request, f"/login?{query}"))


def _kept_query(request: Request) -> str:
    """Return the query parameters of an account page, for reloading it with new cookies."""
    query = query_of(request)
    notice, cursor, key_id = (query.get(name, "") for name in ("notice", "cursor", "key"))
    kept = {"notice": notice} if notice in NOTICES else {}
    kept |= {"cursor": cursor} if 0 < len(cursor) <= MAX_CURSOR else {}
    kept |= {"key": key_id} if 0 < len(key_id) <= MAX_KEY_ID else {}
    return urlencode(kept)
