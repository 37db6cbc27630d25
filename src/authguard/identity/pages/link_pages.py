"""Share the common parts of the pages that the links in mails lead to.

The form of such a page acts on the link that the page shows: it carries the token, encrypted. The cookie has
only the newest link, for a page that is loaded.
"""

from starlette.requests import Request
from starlette.responses import Response

from authguard.identity.pages.views import NOTICES_OF_OTHERS, Views
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.link_cookie import LinkCookie
from authguard.identity.web.messages import read_optional_fields
from authguard.identity.web.parts import Web


class LinkPages:
    """Serve the page of one kind of link.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
        page: the name of the page.
        purpose: the purpose of the link.
    """

    def __init__(self, web: Web, views: Views, page: str, purpose: str) -> None:
        self._service, self._workers = web.service, web.workers
        self._browser_sessions = web.browser_sessions
        self._views = views
        self._page = page
        self._cookie = LinkCookie(web.settings, purpose)

    def clean_url(self, request: Request) -> Response | None:
        """Redirect a browser from a link to its page without the token; None for the page itself."""
        token = self._cookie.token_of_link(request)
        if token is None:
            return None
        response = self._views.see_other(self._views.path(request, f"/{self._page}"))
        self._cookie.store_or_clear(response, token)
        return response

    async def read_form(self, request: Request) -> tuple[str, dict[str, str]]:
        """Read a form that this site sent: the token of its link, which is empty without one, and the rest.

        Raises:
            CrossSiteRequestError: if another site sent the form.
        """
        self._browser_sessions.refuse_cross_site(request)
        fields = await read_optional_fields(request)
        return self._cookie.take_from(fields), fields

    async def finish(
        self,
        request: Request,
        token: str,
        visitor: Visitor | None,
        user_id: str,
        notice: str,
        *,
        page: str = "/account",
        email: str = "",
    ) -> Response:
        """Report the effect of a link, and delete its token from the browser.

        Args:
            request: of the browser.
            token: of the link.
            visitor: the signed-in visitor.
            user_id: the account of the link. If the visitor is signed in to another one, the answer names it.
            notice: one of `NOTICES` and `NOTICES_OF_OTHERS`.
            page: the page to redirect the owner to.
            email: the address of an account that was deleted.
        """
        if visitor is None or visitor.user.id == user_id:
            page = "/login" if visitor is None else page
            response = self._views.redirect_with_notice(request, page, notice)
        else:
            if user := await self._workers.read(self._service.accounts.find_by_id, user_id):
                email = user.email
            text = NOTICES_OF_OTHERS[notice].format(email=email)
            target = self._views.path(request, "/account")
            response = self._views.page(request, "signed-in", visitor=visitor, notice=text, target=target)
        self._cookie.clear_if(token, request, response)
        return response
