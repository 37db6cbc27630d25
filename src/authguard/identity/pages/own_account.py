"""Serve the pages with which owners change the address of their account, and delete it."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.errors import InsufficientUserAuthenticationError, InvalidTokenError, RefusedError
from authguard.identity.pages.forms import Form
from authguard.identity.pages.owner_pages import OwnerPages, for_owner, form_of_owner
from authguard.identity.web import bodies
from authguard.identity.web.bodies import secret_text, validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import caller_of

_EMAIL, _DELETE = "/account/email", "/account/delete"


class OwnAccountPages(OwnerPages):
    """Change the address, and delete the account: with the password, or after a recent sign-in."""

    def routes(self) -> list[Route]:
        """Return all routes."""
        settings = self._service.settings
        table = [("GET", _EMAIL, self.email_page), ("POST", _EMAIL, self.ask_for_email)]
        if settings.account_deletion:
            table += [("GET", _DELETE, self.delete_page), ("POST", _DELETE, self.delete)]
        return [
            Route(settings.pages_path + path, endpoint, methods=[method]) for method, path, endpoint in table
        ]

    @for_owner(_EMAIL)
    async def email_page(self, request: Request, visitor: Visitor) -> Response:
        """Show the form for a new address."""
        return self._views.page(request, "account-email", **await self._values(visitor, Form()))

    @form_of_owner(_EMAIL)
    async def ask_for_email(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Send a link to the new address."""
        try:
            body = validate(bodies.ChangeEmail, fields)
            ask, password = self._service.address_changes.ask, secret_text(body.password)
            await self._workers.hash(ask, visitor.principal, body.new_email, password, caller_of(request))
        except RefusedError as error:
            return await self._refused(request, error, visitor, _EMAIL, fields)
        return self._views.redirect_with_notice(request, "/account", "new-address")

    @for_owner(_DELETE)
    async def delete_page(self, request: Request, visitor: Visitor) -> Response:
        """Show the data that is deleted with the account, and the button."""
        return self._views.page(request, "account-delete", **await self._values(visitor, Form()))

    @form_of_owner(_DELETE)
    async def delete(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Delete the account."""
        try:
            body = validate(bodies.DeleteAccount, fields)
            delete, password = self._service.deletion.delete, secret_text(body.password)
            await self._workers.hash(delete, visitor.principal, password, caller_of(request))
        except RefusedError as error:
            return await self._refused(request, error, visitor, _DELETE, fields)
        return await self._signed_out(request, visitor)

    async def _signed_out(self, request: Request, visitor: Visitor) -> Response:
        """Redirect to the page for signing in, and delete the cookies of a session that has ended."""
        find = self._service.accounts.find_by_id
        is_deleted = await self._workers.read(find, visitor.user.id) is None
        notice = "deleted" if is_deleted else "logged-out"
        response = self._views.redirect_with_notice(request, "/login", notice)
        self._browser_sessions.clear_cookies(response)
        return response

    async def _refused(
        self, request: Request, error: RefusedError, visitor: Visitor, page: str, fields: dict[str, str]
    ) -> Response:
        if isinstance(error, InsufficientUserAuthenticationError):
            query = urlencode({"next": self._views.path(request, page), **dict(error.parameters)})
            return self._views.see_other(self._views.path(request, f"/login?{query}"))
        if isinstance(error, InvalidTokenError):  # the account or the session has ended meanwhile
            return await self._signed_out(request, visitor)
        values = await self._values(visitor, Form.from_error(error, fields))
        return self._views.refusal(request, error, page.removeprefix("/").replace("/", "-"), **values)

    async def _values(self, visitor: Visitor, form: Form) -> dict[str, Any]:
        has_password = self._service.address_changes.has_password
        return {
            "visitor": visitor,
            "form": form,
            "has_password": await self._workers.read(has_password, visitor.user.id),
            "has_keys": self._service.settings.api_keys,
        }
