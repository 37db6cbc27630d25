"""Serve the JSON API of accounts and sessions: each endpoint reads a body, calls a use case, and answers."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard._core.model import Auth, Principal
from authguard.asgi import handled_by_guard
from authguard.errors import MissingCredentialsError, RateLimitedError
from authguard.identity.api.answers import (
    AccessToken,
    Account,
    AuthStatus,
    IdentityShown,
    Message,
    Refreshed,
    Registered,
    SessionShown,
    TokenPair,
)
from authguard.identity.api.documents import (
    access_token_document,
    identity_document,
    registered_document,
    session_document,
    token_document,
    user_document,
)
from authguard.identity.errors import (
    EmailNotVerifiedError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidFieldsError,
    InvalidLinkError,
    LastSignInError,
    NotFoundError,
)
from authguard.identity.model import User
from authguard.identity.openapi.operations import Access, Parameter, operation
from authguard.identity.usecases.refresh import ProlongRequest, RefreshRequest
from authguard.identity.usecases.session_claims import is_of_key
from authguard.identity.usecases.sessions import MAX_SESSIONS
from authguard.identity.web import bodies
from authguard.identity.web.bodies import validate
from authguard.identity.web.interactive import check_person
from authguard.identity.web.messages import (
    caller_of,
    json_response,
    media_type_of,
    message_response,
    read_form,
    read_json,
    read_optional_object,
)
from authguard.identity.web.paging import link_next, read_page
from authguard.identity.web.parts import Web
from authguard.identity.web.sign_in import sign_in

Endpoint = Callable[[Request], Awaitable[Response]]

_SENT = "If there is an account with this address, a mail is on its way."
_CHECK_MAIL = "Check your mail: a link in it finishes the registration."


_PAGE = (
    Parameter(
        "limit", "The maximum number of sessions.", {"type": "integer", "minimum": 1, "maximum": MAX_SESSIONS}
    ),
    Parameter("cursor", "The cursor in the Link field of the previous page.", {"type": "string"}),
)
_SIGN_IN = (InvalidCredentialsError, EmailNotVerifiedError, RateLimitedError)
_LINK = (InvalidLinkError, InvalidCredentialsError, RateLimitedError)

REFRESH = "/auth/refresh"
LOGOUT = "/auth/logout"

#: The paths below each prefix that show the caller's account, also to an API key.
OWNER_PATHS = ("/users/me", "/auth/me")
#: The paths below each prefix that need no credentials; the guard protects all others.
PUBLIC_PATHS = (
    "/auth/register",
    "/auth/login",
    "/auth/login-json",
    REFRESH,
    "/auth/change-email/confirm",
    "/auth/verify-email",
    "/auth/verify-email/decline",
    "/auth/verify-email/resend",
    "/auth/forgot-password",
    "/auth/reset-password",
    "/test-auth/auth-status",
    "/test-auth/create-test-user",
    "/test-auth/test-login",
)


class AccountEndpoints:
    """Serve the endpoints of accounts and sessions, under each prefix.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._service, self._workers = web.service, web.workers
        self._prolongs = self._workers.batch_writes(self._service.sessions.refresher.prolong_all)

    def routes(self, prefixes: Iterable[str]) -> list[BaseRoute]:
        """Return the routes under each prefix, the most used ones first."""
        table: list[tuple[str, str, Endpoint]] = [
            *(("GET", path, self.me) for path in OWNER_PATHS),
            ("POST", REFRESH, self.refresh),
            ("POST", "/auth/login", self.login),
            ("POST", "/auth/login-json", self.login_json),
            ("POST", "/auth/register", self.register),
            ("POST", LOGOUT, self.logout),
            ("POST", "/auth/logout-all", self.logout_all),
            ("POST", "/auth/verify-email", self.verify_email),
            ("POST", "/auth/verify-email/decline", self.decline),
            ("POST", "/auth/verify-email/resend", self.resend_verification),
            ("POST", "/auth/forgot-password", self.forgot_password),
            ("POST", "/auth/reset-password", self.reset_password),
            ("POST", "/auth/change-password", self.change_password),
            ("GET", "/users/me/sessions", self.sessions),
            ("DELETE", "/users/me/sessions/{session_id}", self.end_session),
            ("GET", "/users/me/identities", self.identities),
            ("DELETE", "/users/me/identities/{provider}", self.unlink),
        ]
        if self._service.settings.dev:
            table += [
                ("GET", "/test-auth/auth-status", self.auth_status),
                ("POST", "/test-auth/create-test-user", self.register),
                ("POST", "/test-auth/test-login", self.login),
            ]
        return [
            Route(prefix + path, endpoint, methods=[method])
            for method, path, endpoint in table
            for prefix in prefixes
        ]

    @operation(
        json=bodies.Register,
        answers={201: Registered, 202: Message},
        refused=(EmailTakenError, RateLimitedError),
    )
    async def register(self, request: Request) -> Response:
        """Create an account: 201 with a token, or 202 if the address must be verified first.

        The AINative guide names no status. RFC 9110 section 15.3.2 requires 201 for a created resource.
        """
        body = await read_json(request, bodies.Register)
        tokens = await self._workers.hash(
            self._service.accounts.register,
            body.email,
            body.password.get_secret_value(),
            body.display_name,
            caller_of(request),
        )
        if tokens is None:
            return message_response(_CHECK_MAIL, 202)
        return json_response(registered_document(tokens), 201)

    @operation(
        json=bodies.Login, form=bodies.LoginForm, oauth=(400,), answers={200: TokenPair}, refused=_SIGN_IN
    )
    async def login(self, request: Request) -> Response:
        """Sign in: JSON with `email`, or the password form of OAuth 2 with `username`."""
        if media_type_of(request) == "application/x-www-form-urlencoded":
            fields = validate(bodies.LoginForm, await read_form(request))
            return await self._login(request, fields.username, fields.password.get_secret_value())
        body = await read_json(request, bodies.Login)
        return await self._login(request, body.email, body.password.get_secret_value())

    @operation(json=bodies.LoginJSON, answers={200: AccessToken}, refused=_SIGN_IN)
    async def login_json(self, request: Request) -> Response:
        """Sign in: JSON with `username`; this answer has no refresh token."""
        body = await read_json(request, bodies.LoginJSON)
        password = body.password.get_secret_value()
        return await self._login(request, body.username, password, with_refresh=False)

    async def _login(
        self, request: Request, email: str, password: str, *, with_refresh: bool = True
    ) -> Response:
        tokens = await sign_in(self._web, email, password, caller_of(request))
        return json_response(token_document(tokens) if with_refresh else access_token_document(tokens))

    @operation(
        json=bodies.RefreshOrNothing,
        needs_body=False,
        access=Access.ANYBODY,
        answers={200: Refreshed},
        refused=(*Access.PERSON.refusals, RateLimitedError),
    )
    async def refresh(self, request: Request) -> Response:
        """Issue new tokens for the refresh token in the body, or for the access token of the request.

        The access token is used if the body is empty, or an object without fields.
        """
        fields = await read_optional_object(request)
        if fields or (fields is not None and not _has_credentials(request)):
            body = validate(bodies.Refresh, fields)
            token = body.refresh_token.get_secret_value()
            tokens = await self._web.refreshes.ask(RefreshRequest(token, caller_of(request)))
            return json_response(token_document(tokens))
        principal = principal_of(request)
        check_person(principal)
        tokens = await self._prolongs.ask(ProlongRequest(principal, caller_of(request)))
        return json_response(access_token_document(tokens))

    @operation(access=Access.OWNER, answers={200: Account})
    async def me(self, request: Request) -> Response:
        """Return the account of the caller."""
        user: User = request.user
        return json_response(user_document(user))

    @operation(access=Access.PERSON, answers={200: Message})
    async def logout(self, request: Request) -> Response:
        """End the session of the token, which may have expired or already be logged out."""
        principal = principal_of(request)
        if not is_of_key(principal):  # a token of a key and its client secret ends here alone
            check_person(principal)
        await self._workers.write(self._service.sessions.log_out, principal, caller_of(request))
        return message_response("Logged out")

    @operation(access=Access.PERSON, answers={200: Message})
    async def logout_all(self, request: Request) -> Response:
        """End all sessions."""
        log_out = self._service.sessions.log_out_everywhere
        await self._workers.write(log_out, principal_of(request), caller_of(request))
        return message_response("Logged out everywhere")

    @operation(
        access=Access.PERSON,
        answers={200: list[SessionShown]},
        parameters=_PAGE,
        fields={"Link": "The next page, if there is one (RFC 8288)."},
        refused=(InvalidFieldsError,),
    )
    async def sessions(self, request: Request) -> Response:
        """Return a page of the active sessions, the newest first; by default, one page has them all."""
        principal = principal_of(request)
        limit, cursor = read_page(request, default=MAX_SESSIONS, max_limit=MAX_SESSIONS)
        read = self._service.session_pages.page
        page = await self._workers.read(read, principal, limit=limit, cursor=cursor)
        current = principal.claims.get("sid")
        response = json_response([session_document(session, current) for session in page.sessions])
        if page.older is not None:
            response.headers["link"] = link_next(limit, page.older)
        return response

    @operation(access=Access.PERSON, answers={200: Message}, refused=(NotFoundError,))
    async def end_session(self, request: Request) -> Response:
        """End one session."""
        session = request.path_params["session_id"]
        end = self._service.sessions.end
        await self._workers.write(end, principal_of(request), session, caller_of(request))
        return message_response("Session ended")

    @operation(access=Access.PERSON, answers={200: list[IdentityShown]})
    async def identities(self, request: Request) -> Response:
        """List the providers linked to the account."""
        identities = await self._workers.read(self._service.linking.list, principal_of(request))
        return json_response([identity_document(identity) for identity in identities])

    @operation(access=Access.PERSON, answers={200: Message}, refused=(NotFoundError, LastSignInError))
    async def unlink(self, request: Request) -> Response:
        """Unlink a provider."""
        provider = request.path_params["provider"]
        unlink = self._service.linking.unlink
        await self._workers.write(unlink, principal_of(request), provider, caller_of(request))
        return message_response("Provider unlinked")

    @operation(access=Access.ANYBODY, json=bodies.VerifyEmail, answers={200: Message}, refused=_LINK)
    async def verify_email(self, request: Request) -> Response:
        """Verify an address with the token of a mail, and the password or a session."""
        body = await read_json(request, bodies.VerifyEmail)
        auth: Auth = request.scope["auth"]
        run = self._workers.count if body.password is None else self._workers.hash
        await run(
            self._service.links.confirm_email,
            body.token.get_secret_value(),
            caller_of(request),
            owner_id=auth.principal.subject if auth.principal.is_authenticated else None,
            password=None if body.password is None else body.password.get_secret_value(),
        )
        return message_response("E-mail address verified")

    @operation(json=bodies.OneTimeToken, answers={200: Message}, refused=_LINK)
    async def decline(self, request: Request) -> Response:
        """Close an account that was registered by another person than the owner of its address."""
        body = await read_json(request, bodies.OneTimeToken)
        token = body.token.get_secret_value()
        await self._workers.count(self._service.links.decline_registration, token, caller_of(request))
        return message_response("Account closed")

    @operation(json=bodies.Email, answers={200: Message}, refused=(RateLimitedError,))
    async def resend_verification(self, request: Request) -> Response:
        """Send the verification mail again."""
        body = await read_json(request, bodies.Email)
        await self._workers.count(self._service.links.resend_verification, body.email, caller_of(request))
        return message_response(_SENT)

    @operation(json=bodies.Email, answers={200: Message}, refused=(RateLimitedError,))
    async def forgot_password(self, request: Request) -> Response:
        """Send a mail with a link to set a new password."""
        body = await read_json(request, bodies.Email)
        await self._workers.count(self._service.links.request_password_reset, body.email, caller_of(request))
        return message_response(_SENT)

    @operation(json=bodies.ResetPassword, answers={200: Message}, refused=_LINK)
    async def reset_password(self, request: Request) -> Response:
        """Set a new password with the token of a mail."""
        body = await read_json(request, bodies.ResetPassword)
        token, password = body.token.get_secret_value(), body.new_password.get_secret_value()
        await self._workers.hash(self._service.links.reset_password, token, password, caller_of(request))
        return message_response("Password changed: sign in with the new one")

    @operation(
        access=Access.PERSON,
        json=bodies.ChangePassword,
        answers={200: Message},
        refused=(InvalidCredentialsError, RateLimitedError),
    )
    async def change_password(self, request: Request) -> Response:
        """Set a new password with the current one."""
        principal = principal_of(request)
        body = await read_json(request, bodies.ChangePassword)
        current, new = body.current_password.get_secret_value(), body.new_password.get_secret_value()
        change = self._service.accounts.change_password
        await self._workers.hash(change, principal, current, new, caller_of(request))
        return message_response("Password changed")

    @operation(access=Access.ANYBODY, answers={200: AuthStatus})
    async def auth_status(self, request: Request) -> Response:
        """Tell whether the caller is signed in; for development."""
        user = request.user if request.auth.principal.is_authenticated else None
        return json_response({"authenticated": user is not None, "user": user and user_document(user)})


def _has_credentials(request: Request) -> bool:
    """Return whether a request has credentials, valid or not."""
    handled = handled_by_guard(request.scope)
    missing = handled.error is None or isinstance(handled.error, MissingCredentialsError)
    return handled.decision.auth.principal.is_authenticated or not missing


def principal_of(request: Request) -> Principal:
    """Return the principal of the caller.

    Raises:
        RefusedError: if the caller is anonymous, with the reason of the guard.
    """
    auth: Auth = request.scope["auth"]
    if not auth.principal.is_authenticated:
        raise handled_by_guard(request.scope).error or MissingCredentialsError("no credential")
    return auth.principal
