"""Serve the JSON API by which owners change the address of their account, and delete it."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard._core.model import Auth
from authguard.errors import InsufficientUserAuthenticationError, RateLimitedError
from authguard.identity.api.accounts import principal_of
from authguard.identity.api.answers import Message
from authguard.identity.errors import EmailTakenError, InvalidLinkError
from authguard.identity.openapi.operations import Access, operation
from authguard.identity.web import bodies
from authguard.identity.web.messages import caller_of, message_response, read_json, read_optional_json
from authguard.identity.web.parts import Web

_PROOF = (InsufficientUserAuthenticationError, RateLimitedError)


class OwnAccountEndpoints:
    """Answer at the endpoints under each prefix.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._service, self._workers = web.service, web.workers

    def routes(self, prefixes: Iterable[str]) -> list[BaseRoute]:
        """Return the routes under each prefix."""
        table = {
            "/auth/change-email": self.change_email,
            "/auth/change-email/confirm": self.confirm_email,
        }
        if self._service.settings.account_deletion:
            table["/auth/delete-account"] = self.delete_account
        return [
            Route(prefix + path, endpoint, methods=["POST"])
            for path, endpoint in table.items()
            for prefix in prefixes
        ]

    @operation(access=Access.PERSON, json=bodies.ChangeEmail, answers={200: Message}, refused=_PROOF)
    async def change_email(self, request: Request) -> Response:
        """Send a link to a new address for the account, with the password or after a recent sign-in."""
        principal = principal_of(request)
        body = await read_json(request, bodies.ChangeEmail)
        ask, password = self._service.address_changes.ask, bodies.secret_text(body.password)
        await self._workers.hash(ask, principal, body.new_email, password, caller_of(request))
        return message_response("A mail is on its way to the new address: the link in it changes the address")

    @operation(
        access=Access.ANYBODY,
        json=bodies.ConfirmEmail,
        answers={200: Message},
        refused=(InvalidLinkError, EmailTakenError, *_PROOF),
    )
    async def confirm_email(self, request: Request) -> Response:
        """Change the address with the token of that mail, and the password or a session of the account."""
        body = await read_json(request, bodies.ConfirmEmail)
        auth: Auth = request.scope["auth"]
        run = self._workers.count if body.password is None else self._workers.hash
        await run(
            self._service.address_changes.change,
            body.token.get_secret_value(),
            caller_of(request),
            principal=auth.principal if auth.principal.is_authenticated else None,
            password=bodies.secret_text(body.password),
        )
        return message_response("E-mail address changed")

    @operation(
        access=Access.PERSON,
        json=bodies.DeleteAccount,
        needs_body=False,
        answers={200: Message},
        refused=_PROOF,
    )
    async def delete_account(self, request: Request) -> Response:
        """Delete the account permanently, with the password or after a recent sign-in."""
        principal = principal_of(request)
        body = await read_optional_json(request, bodies.DeleteAccount)
        delete, password = self._service.deletion.delete, bodies.secret_text(body.password)
        await self._workers.hash(delete, principal, password, caller_of(request))
        return message_response("Account deleted")
