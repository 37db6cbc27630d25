"""Serve the pages for visitors who are not signed in: sign in, register, request a mail with a link.

They are forms, and work without JavaScript. The use cases are those of the API. GET changes nothing
important, because mail scanners follow links, and POST is answered only if this site sent the form.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard._core.answer.redirect import local_prefix, safe_next
from authguard.errors import RefusedError
from authguard.identity.model import Caller, Tokens, provider_title
from authguard.identity.pages.forms import Form
from authguard.identity.pages.views import Views
from authguard.identity.web import bodies
from authguard.identity.web.bodies import validate
from authguard.identity.web.messages import caller_of, query_of, read_fields
from authguard.identity.web.parts import Web
from authguard.identity.web.sign_in import MAX_NEXT, REAUTHENTICATION_PARAMETERS, sign_in

#: Pages that are never the target after signing in.
_SIGN_IN_PATHS = "/login", "/register", "/logout", "/forgot-password", "/reset-password"
MAX_REAUTHENTICATION = 64  # characters of a number of seconds, or of levels
_SIGN_IN_AGAIN = "To go on, please sign in again."
# The others are about an account that the visitor is not signed in to, or were never true.
_NOTICES_OF_SIGNED_IN = "check-mail", "provider-cancelled"
#: The targets of the links in mails.
LINK_PATHS = "/verify-email", "/reset-password", "/change-email"


class SignInPages:
    """Serve the public pages.

    Args:
        web: the service, its threads, and the browser sessions.
        views: builds the responses.
        providers: the names of the social providers.
    """

    def __init__(self, web: Web, views: Views, providers: Iterable[str] = ()) -> None:
        self._web = web
        self._service, self._workers = web.service, web.workers
        self._browser_sessions = web.browser_sessions
        self._views = views
        self._providers = tuple(providers)

    def routes(self) -> list[Route]:
        """Return all routes."""
        prefix = self._service.settings.pages_path
        table = [
            ("GET", "/login", self.login_page),
            ("POST", "/login", self.login),
            ("GET", "/register", self.register_page),
            ("POST", "/register", self.register),
            ("GET", "/forgot-password", self.forgot_page),
            ("POST", "/forgot-password", self.forgot),
            ("POST", "/verify-email/resend", self.resend),
        ]
        return [Route(prefix + path, endpoint, methods=[method]) for method, path, endpoint in table]

    async def login_page(self, request: Request) -> Response:
        """Show the form to sign in, or a page that says that the visitor is already signed in.

        A visitor whom a guard redirected because of an old sign-in gets the form.
        """
        return await self._form_page(request, "login")

    async def login(self, request: Request) -> Response:
        """Sign in."""
        fields, next_path = await self._read(request)
        try:
            body = validate(bodies.Login, fields)
            password = body.password.get_secret_value()
            tokens = await sign_in(self._web, body.email, password, caller_of(request))
        except RefusedError as error:
            return self._refused(request, "login", error, fields, next_path)
        return await self._sign_in(request, tokens, self._next(request, next_path))

    async def register_page(self, request: Request) -> Response:
        """Show the form to register."""
        return await self._form_page(request, "register")

    async def register(self, request: Request) -> Response:
        """Create an account, and sign its owner in unless the address must be verified first."""
        fields, next_path = await self._read(request)
        try:
            body = validate(bodies.Register, fields)
            tokens = await self._workers.hash(
                self._service.accounts.register,
                body.email,
                body.password.get_secret_value(),
                body.display_name,
                caller_of(request),
            )
        except RefusedError as error:
            return self._refused(request, "register", error, fields, next_path)
        if tokens is None:
            return self._views.redirect_with_notice(request, "/login", "check-mail")
        welcome = self._views.path(request, "/account?notice=welcome")
        return await self._sign_in(request, tokens, self._next(request, next_path, welcome))

    async def forgot_page(self, request: Request) -> Response:
        """Show the form that requests a mail."""
        return self._views.page(request, "forgot-password", form=Form())

    async def forgot(self, request: Request) -> Response:
        """Send the mail if the account exists; the answer does not disclose this."""
        return await self._request_mail(
            request, "forgot-password", self._service.links.request_password_reset
        )

    async def resend(self, request: Request) -> Response:
        """Send the verification link again; the answer does not disclose whether the account exists."""
        return await self._request_mail(request, "verify-email", self._service.links.resend_verification)

    async def _form_page(self, request: Request, page: str) -> Response:
        next_path = self._safe_next(request, query_of(request).get("next", ""))
        visitor = await self._browser_sessions.find_visitor(request)
        if visitor is None:
            return self._views.page(request, page, **self._form_values(request, Form(next_path=next_path)))
        if page == "login" and not REAUTHENTICATION_PARAMETERS.isdisjoint(query_of(request)):
            form = Form({"email": visitor.user.email}, next_path=next_path)
            response = self._views.page(
                request, page, notice=_SIGN_IN_AGAIN, **self._form_values(request, form)
            )
        else:
            target = self._next(request, next_path)
            values: dict[str, Any] = {"visitor": visitor, "target": target}
            if query_of(request).get("notice") not in _NOTICES_OF_SIGNED_IN:
                values["notice"] = ""
            response = self._views.page(request, "signed-in", **values)
        return self._browser_sessions.renew(response, visitor)

    async def _read(self, request: Request) -> tuple[dict[str, str], str]:
        """Read a form that this site sent: its fields, and the path to go to afterwards."""
        self._browser_sessions.refuse_cross_site(request)
        fields = await read_fields(request)
        return fields, self._safe_next(request, fields.pop("next", ""))

    async def _sign_in(self, request: Request, tokens: Tokens, location: str) -> Response:
        response = self._views.see_other(location)
        await self._browser_sessions.sign_in(request, response, tokens)
        return response

    async def _request_mail(
        self, request: Request, page: str, use_case: Callable[[str, Caller], None]
    ) -> Response:
        fields, _ = await self._read(request)
        try:
            body = validate(bodies.Email, fields)
            await self._workers.count(use_case, body.email, caller_of(request))
        except RefusedError as error:
            return self._refused(request, page, error, fields)
        return self._views.redirect_with_notice(request, f"/{page}", "sent")

    def _refused(
        self,
        request: Request,
        page: str,
        error: RefusedError,
        fields: dict[str, str],
        next_path: str = "",
    ) -> Response:
        """Show the form again, with its errors."""
        form = Form.from_error(error, fields, next_path)
        values = {**self._form_values(request, form), "has_link": False}
        return self._views.refusal(request, error, page, **values)

    def _form_values(self, request: Request, form: Form) -> dict[str, Any]:
        """Return the values of the sign-in templates."""
        root: str = request.scope.get("root_path") or ""
        prefix = (local_prefix(root) or "") + quote(next(iter(self._service.settings.prefixes)))
        reauthentication = {
            name: value[:MAX_REAUTHENTICATION]
            for name, value in query_of(request).items()
            if name in REAUTHENTICATION_PARAMETERS
        }
        query = urlencode({"next": self._next(request, form.next_path)} | reauthentication)
        social = [
            (name, provider_title(name), f"{prefix}/auth/{name}/authorize?{query}")
            for name in self._providers
        ]
        return {"form": form, "social": social, "rules": self._rules}

    @property
    def _rules(self) -> Sequence[str]:
        """Return the rules for a new password: those that an empty password breaks."""
        return self._service.policy.check("")

    def _next(self, request: Request, next_path: str, default: str = "") -> str:
        return self._safe_next(request, next_path) or default or self._views.path(request, "/account")

    def _safe_next(self, request: Request, next_path: str) -> str:
        """Return the target after signing in, as pages may repeat it; empty if it is unsafe or too long."""
        sign_in_paths = {self._views.path(request, path) for path in _SIGN_IN_PATHS}
        target = safe_next(next_path, "", login_paths=sign_in_paths)
        return target if len(target) <= MAX_NEXT else ""
