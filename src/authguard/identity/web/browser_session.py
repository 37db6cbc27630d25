"""Find the visitor of a browser by its two cookies, and refresh them when they have expired."""

from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from authguard._core.model import Auth, Principal
from authguard.asgi import handled_by_guard
from authguard.errors import CrossSiteRequestError, InvalidTokenError
from authguard.identity.model import Tokens, User
from authguard.identity.service import IdentityService
from authguard.identity.usecases.refresh import RefreshRequest
from authguard.identity.web.messages import caller_of
from authguard.identity.web.threads import Batcher
from authguard.identity.web.workers import Workers

Refreshes: TypeAlias = Batcher[RefreshRequest, Tokens]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Describe a signed-in visitor.

    Attributes:
        user: the account.
        principal: the principal for use cases.
        renewed: new tokens, if the old ones had expired; the answer must set their cookies.
    """

    user: User
    principal: Principal
    renewed: Tokens | None = None


class BrowserSessions:
    """Manage the sessions of browsers.

    Args:
        service: the use cases.
        workers: the threads that they run in.
        refreshes: refreshes sessions by refresh tokens.
    """

    def __init__(self, service: IdentityService, workers: Workers, refreshes: Refreshes) -> None:
        self._service = service
        self._workers = workers
        self._refreshes = refreshes
        settings = service.settings
        self._access, self._refresh = settings.access_cookie, settings.refresh_cookie
        self._refresh_lifetime = settings.refresh_lifetime
        # Only pages use it.
        self._has_refresh = settings.pages

    def refuse_cross_site(self, request: Request) -> None:
        """Refuse forms that no page of this site has sent, including sign-in forms (RFC 9700 section 4.7).

        Raises:
            CrossSiteRequestError: unless the browser reports that this site started the request.
        """
        if self._access.is_cross_site(handled_by_guard(request.scope).request) is not False:
            raise CrossSiteRequestError("nothing shows that this site sent the form")

    async def find_visitor(self, request: Request) -> Visitor | None:
        """Return the visitor who is signed in in this browser.

        If the access token is missing, has expired or was revoked, the refresh cookie is used to get a new
        one. Every other refusal of the guard is raised again, so that an outage does not sign out a visitor.

        Raises:
            RefusedError: for an outage, duplicate cookies, or an invalid credential in another field.
        """
        handled = handled_by_guard(request.scope)
        auth: Auth = request.scope["auth"]
        if auth.principal.is_authenticated:
            return Visitor(request.user, auth.principal)
        view, error = handled.request, handled.error
        # An invalid credential in another field is a mistake of a program, and is refused despite the cookie.
        sent_field = any(name != b"cookie" for name, _ in view.presented)
        if error is not None and (error.status_code != 401 or sent_field):
            raise error
        token = self._refresh.read(view) if self._has_refresh else None
        if token is None:
            return None
        try:
            tokens = await self._refreshes.ask(RefreshRequest(token, caller_of(request)))
        except InvalidTokenError:
            return None
        principal = Principal(tokens.user.id, claims={"sid": tokens.session_id}, method="cookie")
        return Visitor(tokens.user, principal, tokens)

    async def sign_in(self, request: Request, response: Response, tokens: Tokens) -> None:
        """Sign the browser in. Its previous session, if any, ends (ASVS 7.2.4).

        Raises:
            RefusedError: if the end could not be stored; the browser is not signed in then.
        """
        old_visitor = await self.find_visitor(request)
        if old_visitor is not None:
            log_out = self._service.sessions.log_out
            await self._workers.write(log_out, old_visitor.principal, caller_of(request))
        self.set_cookies(response, tokens)

    def renew(self, response: Response, visitor: Visitor | None) -> Response:
        """Give the browser its new tokens, if the old ones had expired."""
        if visitor is not None and visitor.renewed is not None:
            self.set_cookies(response, visitor.renewed)
        return response

    def set_cookies(self, response: Response, tokens: Tokens) -> None:
        """Give the browser the tokens of its session."""
        fields = [self._access.issue(tokens.access_token, max_age=tokens.expires_in)]
        if self._has_refresh:
            seconds = self._refresh_lifetime
            fields.append(self._refresh.issue(tokens.refresh_token, max_age=seconds))
        for field in fields:
            response.headers.append("set-cookie", field)

    def clear_cookies(self, response: Response) -> None:
        """Delete the tokens from the browser: exactly the cookies that `set_cookies` set."""
        for cookie in (self._access, self._refresh):
            response.headers.append("set-cookie", cookie.clear())
