"""Serve the page of the link in the first mail: verify an address, or close the account.

A link proves only the mailbox: an attacker may have registered with the address of a victim. Unless the
browser is signed in to the account, the page asks for its password or a new one.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.errors import RefusedError
from authguard.identity.errors import InvalidLinkError
from authguard.identity.pages.forms import Form
from authguard.identity.pages.views import Views
from authguard.identity.web import bodies
from authguard.identity.web.bodies import validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.link_cookie import LinkCookie
from authguard.identity.web.messages import caller_of, media_type_of, read_fields
from authguard.identity.web.parts import Web
from authguard.identity.web.pending_owner import PendingOwner

_PAGE = "verify-email"


class VerifyPages:
    """Serve the page of the verification link.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
    """

    def __init__(self, web: Web, views: Views) -> None:
        self._service, self._workers = web.service, web.workers
        self._browser_sessions = web.browser_sessions
        self._views = views
        self._cookie = LinkCookie(web.settings, "verify")
        self._pending = PendingOwner(web.service)

    def routes(self) -> list[Route]:
        """Return all routes."""
        path = f"{self._service.settings.pages_path}/{_PAGE}"
        return [
            Route(path, self.page, methods=["GET"]),
            Route(path, self.verify, methods=["POST"]),
            Route(f"{path}/decline", self.decline, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Show the forms; this does not use up the link."""
        token = self._cookie.token_of_link(request)
        if token is not None:
            response = self._views.see_other(self._views.path(request, f"/{_PAGE}"))
            self._cookie.store_or_clear(response, token)
            return response
        token = self._cookie.read(request)
        if not token:
            return self._views.page(request, _PAGE, form=Form(), has_link=False)
        visitor = await self._browser_sessions.find_visitor(request)
        if (verified_id := await self._workers.read(self._service.links.find_verified, token)) is not None:
            return self._browser_sessions.renew(self._done(request, visitor, verified_id), visitor)
        account = await self._account(token, self._owner_id(request, visitor))
        if not account["email"]:
            return self._browser_sessions.renew(self._dead_link(request, InvalidLinkError()), visitor)
        response = self._views.page(request, _PAGE, form=Form(), has_link=True, **account)
        return self._browser_sessions.renew(response, visitor)

    async def verify(self, request: Request) -> Response:
        """Verify the address, for a visitor who is signed in, knows the password, or sets a new one."""
        self._browser_sessions.refuse_cross_site(request)
        token = self._cookie.read(request)
        # A button without fields sends no body and no media type.
        fields = await read_fields(request) if media_type_of(request) else {}
        visitor = await self._browser_sessions.find_visitor(request)
        try:
            if not token:
                raise InvalidLinkError
            location = await self._verify(request, token, fields, visitor)
        except InvalidLinkError as error:
            return self._browser_sessions.renew(self._dead_link(request, error), visitor)
        except RefusedError as error:
            account = await self._account(token, self._owner_id(request, visitor))
            form = Form.from_error(error, {})
            response = self._views.refusal(request, error, _PAGE, form=form, has_link=True, **account)
            return self._browser_sessions.renew(response, visitor)
        response = self._views.see_other(self._views.path(request, location))
        self._cookie.clear(response)
        self._pending.clear(request, response)
        return self._browser_sessions.renew(response, visitor)

    def _owner_id(self, request: Request, visitor: Visitor | None) -> str | None:
        """Return the account that the browser is signed in to, or would be with a verified address."""
        return self._pending.read(request) if visitor is None else visitor.user.id

    async def _verify(
        self, request: Request, token: str, fields: dict[str, str], visitor: Visitor | None
    ) -> str:
        """Verify the address; return the page to redirect to."""
        links, caller = self._service.links, caller_of(request)
        body = validate(bodies.VerifyEmailForm, fields | {"token": token})
        if body.new_password is not None:
            new_password = body.new_password.get_secret_value()
            await self._workers.hash(links.confirm_email_with_new_password, token, new_password, caller)
            return "/login?notice=verified-password"
        run = self._workers.count if body.password is None else self._workers.hash
        user_id = await run(
            links.confirm_email,
            token,
            caller,
            owner_id=self._owner_id(request, visitor),
            password=None if body.password is None else body.password.get_secret_value(),
            needs_proof=True,
        )
        is_owner = visitor is not None and visitor.user.id == user_id
        return "/account?notice=verified" if is_owner else "/login?notice=verified"

    def _done(self, request: Request, visitor: Visitor | None, user_id: str) -> Response:
        """Redirect the browser if the link has verified the address before."""
        is_owner = visitor is not None and visitor.user.id == user_id
        page = "/account?notice=verified" if is_owner else "/login?notice=verified"
        response = self._views.see_other(self._views.path(request, page))
        self._cookie.clear(response)
        return response

    async def decline(self, request: Request) -> Response:
        """Close an account that was registered by another person than the owner of its address."""
        self._browser_sessions.refuse_cross_site(request)
        token = self._cookie.read(request)
        try:
            if not token:
                raise InvalidLinkError
            await self._workers.count(self._service.links.decline_registration, token, caller_of(request))
        except InvalidLinkError as error:
            return self._dead_link(request, error)
        response = self._views.see_other(self._views.path(request, "/login?notice=closed"))
        self._cookie.clear(response)
        return response

    async def _account(self, token: str, owner_id: str | None) -> dict[str, Any]:
        """Return the values of the template about the account."""
        unverified = await self._workers.read(self._service.links.find_unverified, token)
        user, has_password = unverified or (None, False)
        return {
            "asks": user is not None and owner_id != user.id,
            "email": "" if user is None else user.email,
            "has_password": has_password,
            "rules": self._service.policy.check(""),
        }

    def _dead_link(self, request: Request, error: RefusedError) -> Response:
        form = Form.from_error(error, {})
        response = self._views.refusal(request, error, _PAGE, form=form, has_link=False)
        self._cookie.clear(response)
        return response
