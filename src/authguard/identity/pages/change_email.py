"""Serve the page that the link to a new address leads to: it changes the address of the account.

Unless the browser is signed in to the account, the page asks for its password, so that a mail to a wrong
address gives no access to the account.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.errors import RefusedError
from authguard.identity.errors import InvalidLinkError
from authguard.identity.pages.forms import Form
from authguard.identity.pages.link_pages import LinkPages
from authguard.identity.pages.views import Views
from authguard.identity.web import bodies
from authguard.identity.web.bodies import secret_text, validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import caller_of
from authguard.identity.web.parts import Web

_PAGE = "change-email"


class ChangeEmailPages(LinkPages):
    """Show the page of the link.

    Args:
        web: the service, its threads and the sessions of browsers.
        views: builds the responses.
    """

    def __init__(self, web: Web, views: Views) -> None:
        super().__init__(web, views, _PAGE, _PAGE)
        self._changes = web.service.address_changes

    def routes(self) -> list[Route]:
        """Return all routes."""
        path = f"{self._service.settings.pages_path}/{_PAGE}"
        return [
            Route(path, self.page, methods=["GET"]),
            Route(path, self.change, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Show the form; this does not use up the link."""
        if (cleaned := self.clean_url(request)) is not None:
            return cleaned
        token = self._cookie.read(request)
        visitor = await self._browser_sessions.find_visitor(request)
        if token and (changed_id := await self._workers.read(self._changes.find_changed, token)) is not None:
            response = await self.finish(request, token, visitor, changed_id, "address-changed")
        else:
            values = await self._values(token, visitor)
            response = self._views.page(request, _PAGE, form=Form(), **values)
        return self._browser_sessions.renew(response, visitor)

    async def change(self, request: Request) -> Response:
        """Change the address, for a visitor who is signed in to the account or knows the password."""
        token, fields = await self.read_form(request)
        visitor = await self._browser_sessions.find_visitor(request)
        try:
            if not token:
                raise InvalidLinkError
            body = validate(bodies.ConfirmEmail, fields | {"token": token})
            run = self._workers.count if body.password is None else self._workers.hash
            changed_id = await run(
                self._changes.change,
                token,
                caller_of(request),
                principal=None if visitor is None else visitor.principal,
                password=secret_text(body.password),
            )
        except RefusedError as error:
            values = await self._values(token, visitor)
            form = Form.from_error(error, {})
            response = self._views.refusal(request, error, _PAGE, form=form, **values)
            if isinstance(error, InvalidLinkError):
                self._cookie.clear_if(token, request, response)
            return self._browser_sessions.renew(response, visitor)
        response = await self.finish(request, token, visitor, changed_id, "address-changed")
        return self._browser_sessions.renew(response, visitor)

    async def _values(self, token: str, visitor: Visitor | None) -> dict[str, Any]:
        """Return the values of the template about the link."""
        change = await self._workers.read(self._changes.find, token) if token else None
        if change is None:
            return {"email": "", "asks": False, "has_password": False}
        return {
            "link": self._cookie.seal(token),
            "email": change.address,
            "asks": visitor is None or visitor.user.id != change.user_id,
            "has_password": await self._workers.read(self._changes.has_password, change.user_id),
        }
