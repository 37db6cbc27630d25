"""Serve sign-in with providers: the code that an application sends, and the whole flow of a browser."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard._core.answer.redirect import safe_next
from authguard._core.encoding import sha256_base64url
from authguard._core.options import got
from authguard.errors import (
    ConfigurationError,
    InsufficientUserAuthenticationError,
    RateLimitedError,
    RefusedError,
    UnexpectedError,
)
from authguard.identity.api.answers import SocialToken
from authguard.identity.api.callbacks import code_of
from authguard.identity.api.documents import social_token_document
from authguard.identity.errors import (
    EmailNotVerifiedError,
    InvalidCredentialsError,
    LinkRefusedError,
    NoAddressError,
    NotFoundError,
    ProviderSetUpError,
    ProviderUnavailableError,
    SimilarAddressError,
    SocialCancelledError,
    SocialSignInError,
    StoreUnavailableError,
)
from authguard.identity.limits.taken import given_back_on_outage
from authguard.identity.model import Caller, Tokens
from authguard.identity.openapi.operations import Access, Parameter, operation
from authguard.identity.social.provider import Provider
from authguard.identity.social_reasons import SocialReason
from authguard.identity.web.attempt_cookies import AttemptCookies
from authguard.identity.web.bodies import SocialCallback
from authguard.identity.web.link_cookie import callback_query
from authguard.identity.web.messages import (
    caller_of,
    json_response,
    page_path,
    query_of,
    read_json,
    see_other,
)
from authguard.identity.web.parts import Web
from authguard.identity.web.pending_owner import PendingOwner
from authguard.identity.web.sign_in import MAX_NEXT, REAUTHENTICATION_PARAMETERS

# The guard opens only the paths of configured providers; paths of other providers require a caller.
_UNKNOWN = (NotFoundError, *Access.PERSON.refusals)
_SOCIAL = (
    SocialSignInError,
    InsufficientUserAuthenticationError,
    EmailNotVerifiedError,
    NoAddressError,
    LinkRefusedError,
    SimilarAddressError,
    InvalidCredentialsError,
    ProviderSetUpError,
    RateLimitedError,
)
_TEXT = {"type": "string"}
_AUTHORIZE = (
    Parameter(
        "next", "The path for the redirect after the sign-in; a path of another site is ignored.", _TEXT
    ),
    Parameter("max_age", "The maximum number of seconds since the sign-in at the provider.", _TEXT),
)
_CALLBACK = (
    Parameter("code", "The code of the provider.", _TEXT),
    Parameter("state", "The state of the attempt, which this browser has begun.", _TEXT),
    Parameter("iss", "The issuer of the answer (RFC 9207).", _TEXT),
    Parameter("error", "The error code of the provider.", _TEXT),
)
_SECONDS = re.compile(r"[0-9]{1,9}")
_SKEW = 30  # seconds by which the clock of a provider may differ
#: The last segment of the paths to which providers redirect browsers back.
CALLBACK = "/callback"
#: The paths below each prefix, which need no caller.
PUBLIC_PATHS = "/auth/{name}/authorize", "/auth/{name}" + CALLBACK


class SocialEndpoints:
    """Answer at the endpoints of the providers under one prefix.

    Args:
        web: the service and its threads.
        prefix: the beginning of the paths.
        providers: the providers to sign in with.
        on_refused: returns the answer for a browser whose sign-in failed.
    """

    def __init__(
        self,
        web: Web,
        prefix: str,
        providers: Iterable[Provider],
        on_refused: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self._service, self._workers = web.service, web.workers
        self._browser_sessions = web.browser_sessions
        self._prefix = prefix
        self._providers = {provider.name: provider for provider in providers}
        self._on_refused = on_refused
        self._settings = web.settings
        self._pending = PendingOwner(web.service)
        self._attempts = AttemptCookies(web.settings, web.service.clock)

    def routes(self) -> list[BaseRoute]:
        """Return all routes.

        Raises:
            ConfigurationError: if a provider may not redirect to them.
        """
        for provider in self._providers.values():
            url = self._callback_url(provider)
            if url not in provider.redirect_uris:
                raise ConfigurationError(
                    f"redirect_uris of {provider.name} must name {url}, got {got(provider.redirect_uris)}"
                )
        callback = Route(self._prefix + "/auth/{provider}" + CALLBACK, self.callback, methods=["GET"])
        # The framework adds HEAD, which must not sign in: previews and scanners of links send it.
        callback.methods = {"GET"}
        routes = [
            Route(callback.path, self.exchange_code, methods=["POST"]),
            callback,
            Route(self._prefix + "/auth/{provider}/authorize", self.authorize, methods=["GET"]),
        ]
        names = "|".join(map(re.escape, self._providers)) or "(?!)"
        for route in routes:
            # The path of another provider, such as a mistyped one, is an unknown path.
            route.path_regex = re.compile(route.path_regex.pattern.replace("[^/]+", names))
        return list(routes)

    @operation(json=SocialCallback, answers={200: SocialToken}, refused=(*_SOCIAL, *_UNKNOWN))
    async def exchange_code(self, request: Request) -> Response:
        """Sign in with a code that an application received in its own browser flow."""
        provider, caller = self._provider(request), caller_of(request)
        try:
            body = await read_json(request, SocialCallback)
        except RefusedError as error:
            await self._record(provider, caller, error, SocialReason.INVALID_FIELDS)
            raise
        tokens = await self._exchange(
            provider,
            caller,
            body.code.get_secret_value(),
            body.redirect_uri,
            code_verifier=body.code_verifier.get_secret_value() if body.code_verifier else None,
        )
        with_refresh = self._settings.social_refresh_tokens
        return json_response(social_token_document(provider.name, tokens, with_refresh=with_refresh))

    @operation(
        answers={303: None},
        fields={"Location": "The page of the provider."},
        parameters=_AUTHORIZE,
        refused=(RateLimitedError, ProviderSetUpError, *_UNKNOWN),
        pages=True,
    )
    async def authorize(self, request: Request) -> Response:
        """Redirect a browser to the provider, with a state that only this browser has."""
        provider, caller = self._provider(request), caller_of(request)
        query = query_of(request)
        target = safe_next(query.get("next", ""), "/")
        max_age = _max_age(query)
        state = self._attempts.new_state()
        attempt = {
            "provider": provider.name,
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "next": target if len(target) <= MAX_NEXT else "/",
        }
        recency: dict[str, int] = {}
        if max_age is not None:
            recency["max_age"] = max_age
            attempt |= {"since": str(int(self._service.clock())), "max_age": str(max_age)}
        await self._workers.count(self._service.admit_to_provider, caller)

        def prepare() -> tuple[str, bool]:
            url = provider.authorize_url(
                state=state,
                nonce=attempt["nonce"],
                redirect_uri=self._callback_url(provider),
                code_challenge=sha256_base64url(attempt["verifier"]),
                **recency,
            )
            return url, provider.names_issuer()

        try:
            url, names_issuer = await self._workers.ask_remote(provider.name, prepare)
        except RefusedError as error:
            await self._record(provider, caller, error)
            raise
        if names_issuer:
            attempt["names_issuer"] = "yes"
        response = see_other(url)
        for field in self._attempts.begin(request, state, attempt):
            response.headers.append("set-cookie", field)
        return response

    @operation(
        answers={303: None},
        fields={"Location": "The page to which the browser is redirected."},
        parameters=_CALLBACK,
        refused=(*_SOCIAL, *_UNKNOWN),
        pages=True,
    )
    async def callback(self, request: Request) -> Response:
        """Sign in a browser that returns from the provider, and redirect it.

        The cookie of the attempt is deleted with any result. The service also remembers the state of a
        sign-in until the attempt expires, for a browser or a program that keeps the cookie.
        """
        provider, query = self._provider(request), callback_query(request)
        state = "".join(query.getlist("state"))  # a cookie that was sent twice counts as missing
        attempt = self._attempts.take(request, state)
        try:
            code = code_of(provider, query, attempt)
        except (SocialSignInError, ProviderUnavailableError) as error:
            response = await self._refuse(request, provider, error, attempt or {})
        else:
            response = await self._finish(request, provider, code, attempt or {})
        for field in [] if attempt is None else self._attempts.end(state):
            response.headers.append("set-cookie", field)
        response.headers["referrer-policy"] = "no-referrer"
        return response

    async def _finish(
        self, request: Request, provider: Provider, code: str, attempt: Mapping[str, str]
    ) -> Response:
        """Sign in a browser with the code of its callback."""
        try:
            tokens = await self._exchange(
                provider,
                caller_of(request),
                code,
                self._callback_url(provider),
                code_verifier=attempt["verifier"],
                nonce=attempt["nonce"],
                since=int(attempt["since"]) if "since" in attempt else None,
                state=attempt["state"],
            )
            response = see_other(safe_next(attempt["next"], "/"))
            await self._browser_sessions.sign_in(request, response, tokens)
        except RefusedError as error:
            response = await self._on_refused(request, error)
            if isinstance(error, EmailNotVerifiedError) and self._settings.pages:
                self._pending.store(response, error.user_id)
        return response

    async def _refuse(
        self,
        request: Request,
        provider: Provider,
        error: SocialSignInError | ProviderUnavailableError,
        attempt: Mapping[str, str],
    ) -> Response:
        """Answer a browser whose callback has no code for its own attempt.

        A signed-in user has reloaded the callback, and is redirected. A user who cancelled at the provider is
        redirected to the sign-in page.
        """
        caller = caller_of(request)
        visitor = None
        if error.why is SocialReason.STATE_UNKNOWN:
            try:
                visitor = await self._browser_sessions.find_visitor(request)
            except RefusedError as outage:
                await self._record(provider, caller, outage)
                return await self._on_refused(request, outage)
        await self._record(provider, caller, error, None if visitor is None else SocialReason.REPEATED)
        if visitor is not None:
            response = see_other(self._page(request, "/account") if self._settings.pages else "/")
            return self._browser_sessions.renew(response, visitor)
        if isinstance(error, SocialCancelledError) and self._settings.pages:
            query = {"notice": "provider-cancelled", "next": safe_next(attempt.get("next"), "/")}
            if "max_age" in attempt:
                query["max_age"] = attempt["max_age"]
            return see_other(self._page(request, f"/login?{urlencode(query)}"))
        return await self._on_refused(request, error)

    def _page(self, request: Request, path: str) -> str:
        return page_path(request, self._settings.pages_path, path)

    async def _exchange(
        self,
        provider: Provider,
        caller: Caller,
        code: str,
        redirect_uri: str,
        *,
        code_verifier: str | None = None,
        nonce: str | None = None,
        since: int | None = None,
        state: str | None = None,
    ) -> Tokens:
        """Exchange a code for tokens.

        Each sign-in is counted for the caller's address, and in addition each wrong code, and each sign-in
        that creates or links an account. If a new sign-in was requested, the provider must confirm that it
        was made after `since`.
        """
        service = self._service
        is_known = False  # from here on, the use case records failures

        @given_back_on_outage()
        def exchange() -> Tokens:
            nonlocal is_known
            service.limiter.hit("login_address", address=caller.address)
            service.limiter.check("secret_address", address=caller.address)
            try:
                identity = provider.exchange(code, redirect_uri, code_verifier=code_verifier, nonce=nonce)
            except SocialSignInError:
                service.limiter.hit("secret_address", address=caller.address)
                raise
            if since is not None and (identity.auth_time or 0) < since - _SKEW:
                raise InsufficientUserAuthenticationError("the provider does not show a new sign-in")
            service.social_sign_in.count_first(identity, caller)
            is_known = True
            return service.social_sign_in.sign_in_with(identity, caller, state=state)

        try:
            return await self._workers.ask_remote(provider.name, exchange)
        except RefusedError as error:
            if not is_known:
                await self._record(provider, caller, error)
            raise
        except Exception:
            await self._record(provider, caller, UnexpectedError())
            raise

    async def _record(
        self, provider: Provider, caller: Caller, error: RefusedError, why: SocialReason | None = None
    ) -> None:
        """Record a sign-in that failed before the user was known."""
        record = self._service.social_sign_in.failures.record
        try:
            # The event is recorded in a thread, because the hook of the application may block.
            await self._workers.count(record, provider.name, caller, error, why)
        except StoreUnavailableError:  # too many requests wait
            record(provider.name, caller, error, why)

    def _provider(self, request: Request) -> Provider:
        provider = self._providers.get(request.path_params["provider"])
        if provider is None:
            raise NotFoundError
        return provider

    def _callback_url(self, provider: Provider) -> str:
        """Return the callback URL at the provider, independent of the Host field."""
        return f"{self._service.settings.issuer}{self._prefix}/auth/{provider.name}/callback"


def browser_paths(prefixes: Iterable[str], providers: Iterable[Provider]) -> list[str]:
    """Return the paths of the providers under each prefix, which browsers request without a token."""
    names = [provider.name for provider in providers]
    return [prefix + path.format(name=name) for prefix in prefixes for name in names for path in PUBLIC_PATHS]


def _max_age(query: QueryParams) -> int | None:
    """Return the greatest accepted age of a sign-in; None for any age."""
    if REAUTHENTICATION_PARAMETERS.isdisjoint(query):
        return None
    seconds = query.get("max_age", "")
    return int(seconds) if _SECONDS.fullmatch(seconds) else 0
