"""Serve the page of the link that sets a new password. It names the account."""

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
from authguard.identity.web.bodies import validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import caller_of
from authguard.identity.web.parts import Web

_PAGE = "reset-password"


class ResetPages(LinkPages):
    """Serve the page of the link.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
    """

    def __init__(self, web: Web, views: Views) -> None:
        super().__init__(web, views, _PAGE, "reset")

    def routes(self) -> list[Route]:
        """Return all routes."""
        path = f"{self._service.settings.pages_path}/{_PAGE}"
        return [Route(path, self.page, methods=["GET"]), Route(path, self.reset, methods=["POST"])]

    async def page(self, request: Request) -> Response:
        """Show the form for a new password; this does not use up the link."""
        if (cleaned := self.clean_url(request)) is not None:
            return cleaned
        token = self._cookie.read(request)
        if not token:
            return self._views.page(request, _PAGE, form=Form(), has_link=False)
        try:
            values = await self._values(token)
        except InvalidLinkError as error:
            return self._dead_link(request, token, error)
        return self._views.page(request, _PAGE, form=Form(), **values)

    async def reset(self, request: Request) -> Response:
        """Set a new password."""
        token, fields = await self.read_form(request)
        visitor = await self._browser_sessions.find_visitor(request)
        try:
            response = await self._reset(request, token, fields, visitor)
        except InvalidLinkError as error:
            response = self._dead_link(request, token, error)
        except RefusedError as error:
            response = self._views.refusal(request, error)
        return self._browser_sessions.renew(response, visitor)

    async def _reset(
        self, request: Request, token: str, fields: dict[str, str], visitor: Visitor | None
    ) -> Response:
        if not token:
            raise InvalidLinkError
        try:
            body = validate(bodies.ResetPassword, fields | {"token": token})
            password, reset = body.new_password.get_secret_value(), self._service.links.reset_password
            user_id = await self._workers.hash(reset, token, password, caller_of(request))
        except InvalidLinkError:
            raise
        except RefusedError as error:
            values = await self._values(token)
            return self._views.refusal(request, error, _PAGE, form=Form.from_error(error, {}), **values)
        return await self.finish(request, token, visitor, user_id, "password-reset", page="/login")

    async def _values(self, token: str) -> dict[str, Any]:
        """Return the values of the template about the link.

        Raises:
            InvalidLinkError: if it is not valid.
        """
        user = await self._workers.read(self._service.links.get_account_to_reset, token)
        return {
            "has_link": True,
            "link": self._cookie.seal(token),
            "email": user.email,
            "rules": self._service.policy.check(""),
        }

    def _dead_link(self, request: Request, token: str, error: RefusedError) -> Response:
        form = Form.from_error(error, {})
        response = self._views.refusal(request, error, _PAGE, form=form, has_link=False)
        self._cookie.clear_if(token, request, response)
        return response
