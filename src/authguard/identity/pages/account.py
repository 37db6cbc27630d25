"""Serve the pages of an account: its sessions, providers, password, and signing out."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.errors import RefusedError
from authguard.identity.pages.forms import Form
from authguard.identity.pages.owner_pages import OwnerPages, for_owner, form_of_owner
from authguard.identity.usecases.session_claims import session_id_of
from authguard.identity.web import bodies
from authguard.identity.web.bodies import validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import caller_of, query_of

LOGOUT_PAGE = "/logout"

#: The number of sessions on a page, without the visitor's own: a few screens of a phone.
PAGE_SIZE = 20


class AccountPages(OwnerPages):
    """Show an account: its sessions, providers and password; and sign out."""

    def routes(self) -> list[Route]:
        """Return all routes."""
        prefix = self._service.settings.pages_path
        table = [
            ("GET", "/account", self.account),
            ("GET", "/account/password", self.password_page),
            ("POST", "/account/password", self.change_password),
            ("POST", "/account/sessions/end", self.end_session),
            ("POST", "/account/providers/unlink", self.unlink),
            ("POST", "/account/verify-email", self.resend_verification),
            ("POST", "/account/logout-all", self.log_out_everywhere),
            ("GET", LOGOUT_PAGE, self.logout_page),
            ("POST", LOGOUT_PAGE, self.log_out),
        ]
        if not prefix:  # a route for visitors who enter only the host name of the service
            table.append(("GET", "/", self.home))
        return [Route(prefix + path, endpoint, methods=[method]) for method, path, endpoint in table]

    async def home(self, request: Request) -> Response:
        """Redirect the browser to the account page, or to the sign-in page."""
        return self._views.see_other(self._views.path(request, "/account"))

    @for_owner("/account")
    async def account(self, request: Request, visitor: Visitor) -> Response:
        """Show the account, its providers, the visitor's session, and a page of the others."""
        cursor, principal = query_of(request).get("cursor"), visitor.principal
        read, own_id = self._service.session_pages.page, session_id_of(principal)
        page = await self._workers.read(read, principal, cursor=cursor, limit=PAGE_SIZE, except_id=own_id)
        if cursor is not None and not page.sessions:  # all sessions of that page have ended in the meantime
            cursor = None
            page = await self._workers.read(read, principal, limit=PAGE_SIZE, except_id=own_id)
        values: dict[str, Any] = {
            "identities": await self._workers.read(self._service.linking.list, principal),
            "current": await self._workers.read(self._service.session_pages.find_current, principal),
            "page": page,
            "cursor": cursor,
            "has_keys": self._service.settings.api_keys,
            "can_delete": self._service.settings.account_deletion,
        }
        return self._views.page(request, "account", visitor=visitor, **values)

    @for_owner("/account/password")
    async def password_page(self, request: Request, visitor: Visitor) -> Response:
        """Show the form for a new password."""
        values: dict[str, Any] = {"form": Form(), "rules": self._service.policy.check("")}
        return self._views.page(request, "account-password", visitor=visitor, **values)

    @form_of_owner("/account/password")
    async def change_password(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Set a new password; all other sessions end."""
        try:
            body = validate(bodies.ChangePassword, fields)
            current, new = body.current_password.get_secret_value(), body.new_password.get_secret_value()
            change = self._service.accounts.change_password
            await self._workers.hash(change, visitor.principal, current, new, caller_of(request))
        except RefusedError as error:
            values = {"form": Form.from_error(error, fields), "rules": self._service.policy.check("")}
            return self._views.refusal(request, error, "account-password", visitor=visitor, **values)
        return self._views.redirect_with_notice(request, "/account", "password-changed")

    @form_of_owner("/account")
    async def end_session(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """End one of the other sessions, and show the same page of them."""
        body = validate(bodies.EndSession, fields)
        end = self._service.sessions.end
        await self._workers.write(end, visitor.principal, body.session, caller_of(request))
        cursor = {"cursor": body.cursor} if body.cursor else {}
        return self._views.redirect_with_notice(request, "/account", "ended", **cursor)

    @form_of_owner("/account")
    async def unlink(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Unlink a provider; all other sessions end."""
        body = validate(bodies.Unlink, fields)
        unlink = self._service.linking.unlink
        await self._workers.write(unlink, visitor.principal, body.provider, caller_of(request))
        return self._views.redirect_with_notice(request, "/account", "unlinked")

    @form_of_owner("/account")
    async def resend_verification(self, request: Request, visitor: Visitor, _: dict[str, str]) -> Response:
        """Send the verification mail again."""
        resend = self._service.links.resend_verification
        await self._workers.count(resend, visitor.user.email, caller_of(request))
        return self._views.redirect_with_notice(request, "/account", "sent")

    @form_of_owner("/account")
    async def log_out_everywhere(self, request: Request, visitor: Visitor, _: dict[str, str]) -> Response:
        """End all sessions."""
        log_out = self._service.sessions.log_out_everywhere
        await self._workers.write(log_out, visitor.principal, caller_of(request))
        return self._signed_out(request, "logged-out-everywhere")

    async def logout_page(self, request: Request) -> Response:
        """Show a button, because a link must not end a session."""
        return self._views.page(request, "logout")

    async def log_out(self, request: Request) -> Response:
        """End the session of this browser, also by an old page of another account, for shared machines.

        The cookies are deleted only after the end was stored.
        """
        signed_out = self._signed_out(request, "logged-out")

        async def end(request: Request, visitor: Visitor) -> Response:
            log_out = self._service.sessions.log_out
            await self._workers.write(log_out, visitor.principal, caller_of(request))
            return signed_out

        return await self.let_in(request, end, "/account", signed_out)

    def _signed_out(self, request: Request, notice: str) -> Response:
        response = self._views.redirect_with_notice(request, "/login", notice)
        self._browser_sessions.clear_cookies(response)
        return response
