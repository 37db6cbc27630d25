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
from authguard.identity.pages.link_pages import LinkPages
from authguard.identity.pages.views import Views
from authguard.identity.web import bodies
from authguard.identity.web.bodies import validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import caller_of
from authguard.identity.web.parts import Web
from authguard.identity.web.pending_owner import PendingOwner

_PAGE = "verify-email"


class VerifyPages(LinkPages):
    """Serve the page of the verification link.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
    """

    def __init__(self, web: Web, views: Views) -> None:
        super().__init__(web, views, _PAGE, "verify")
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
        if (cleaned := self.clean_url(request)) is not None:
            return cleaned
        token = self._cookie.read(request)
        if not token:
            return self._views.page(request, _PAGE, form=Form(), has_link=False)
        visitor = await self._browser_sessions.find_visitor(request)
        if (verified_id := await self._workers.read(self._service.links.find_verified, token)) is not None:
            response = await self.finish(request, token, visitor, verified_id, "verified")
            return self._browser_sessions.renew(response, visitor)
        account = await self._account(token, self._owner_id(request, visitor))
        if not account["email"]:
            response = self._dead_link(request, token, InvalidLinkError())
            return self._browser_sessions.renew(response, visitor)
        response = self._views.page(request, _PAGE, form=Form(), has_link=True, **account)
        return self._browser_sessions.renew(response, visitor)

    async def verify(self, request: Request) -> Response:
        """Verify the address, for a visitor who is signed in, knows the password, or sets a new one."""
        token, fields = await self.read_form(request)
        visitor = await self._browser_sessions.find_visitor(request)
        try:
            if not token:
                raise InvalidLinkError
            response = await self._verify(request, token, fields, visitor)
        except InvalidLinkError as error:
            return self._browser_sessions.renew(self._dead_link(request, token, error), visitor)
        except RefusedError as error:
            account = await self._account(token, self._owner_id(request, visitor))
            form = Form.from_error(error, {})
            response = self._views.refusal(request, error, _PAGE, form=form, has_link=True, **account)
            return self._browser_sessions.renew(response, visitor)
        self._pending.clear(request, response)
        return self._browser_sessions.renew(response, visitor)

    def _owner_id(self, request: Request, visitor: Visitor | None) -> str | None:
        """Return the account that the browser is signed in to, or would be with a verified address."""
        return self._pending.read(request) if visitor is None else visitor.user.id

    async def _verify(
        self, request: Request, token: str, fields: dict[str, str], visitor: Visitor | None
    ) -> Response:
        links, caller = self._service.links, caller_of(request)
        body = validate(bodies.VerifyEmailForm, fields | {"token": token})
        if body.new_password is not None:
            new_password = body.new_password.get_secret_value()
            confirm = links.confirm_email_with_new_password
            user_id = await self._workers.hash(confirm, token, new_password, caller)
            # Its sessions have ended.
            return await self.finish(request, token, visitor, user_id, "verified-password", page="/login")
        run = self._workers.count if body.password is None else self._workers.hash
        user_id = await run(
            links.confirm_email,
            token,
            caller,
            owner_id=self._owner_id(request, visitor),
            password=None if body.password is None else body.password.get_secret_value(),
            needs_proof=True,
        )
        return await self.finish(request, token, visitor, user_id, "verified")

    async def decline(self, request: Request) -> Response:
        """Close an account that was registered by another person than the owner of its address."""
        token, _ = await self.read_form(request)
        visitor = await self._browser_sessions.find_visitor(request)
        try:
            if not token:
                raise InvalidLinkError
            decline = self._service.links.decline_registration
            user = await self._workers.count(decline, token, caller_of(request))
        except InvalidLinkError as error:
            response = self._dead_link(request, token, error)
        except RefusedError as error:
            response = self._views.refusal(request, error)
        else:
            response = await self.finish(
                request, token, visitor, user.id, "closed", page="/login", email=user.email
            )
        return self._browser_sessions.renew(response, visitor)

    async def _account(self, token: str, owner_id: str | None) -> dict[str, Any]:
        """Return the values of the template about the account."""
        unverified = await self._workers.read(self._service.links.find_unverified, token)
        user, has_password = unverified or (None, False)
        return {
            "link": self._cookie.seal(token),
            "asks": user is not None and owner_id != user.id,
            "email": "" if user is None else user.email,
            "has_password": has_password,
            "rules": self._service.policy.check(""),
        }

    def _dead_link(self, request: Request, token: str, error: RefusedError) -> Response:
        form = Form.from_error(error, {})
        response = self._views.refusal(request, error, _PAGE, form=form, has_link=False)
        self._cookie.clear_if(token, request, response)
        return response
