"""Serve sign-in with providers: the code that an application sends, and the whole flow of a browser."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.fernet import InvalidToken, MultiFernet
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard._core.answer.redirect import safe_next
from authguard._core.credential.cookies import AccessCookie
from authguard._core.options import got
from authguard.asgi import handled_by_guard
from authguard.errors import ConfigurationError, InsufficientUserAuthenticationError, RefusedError
from authguard.identity.api.documents import social_token_document
from authguard.identity.errors import NotFoundError, SocialSignInError
from authguard.identity.model import Caller, Tokens
from authguard.identity.social.provider import Provider
from authguard.identity.tokens.derive import derive_fernet
from authguard.identity.web.bodies import SocialCallback
from authguard.identity.web.link_cookie import callback_query
from authguard.identity.web.messages import caller_of, json_response, query_of, read_json, see_other
from authguard.identity.web.parts import Web
from authguard.identity.web.sign_in import MAX_NEXT, REAUTHENTICATION_PARAMETERS

_SECONDS = re.compile(r"[0-9]{1,9}")
_SKEW = 30  # seconds by which the clock of a provider may differ
_STATE_SECONDS = 600  # for signing in at the provider
#: The end of the paths to which providers send browsers back.
CALLBACK = "/callback"
#: The paths below each prefix, which need no caller.
PUBLIC_PATHS = "/auth/{name}/authorize", "/auth/{name}" + CALLBACK


class SocialEndpoints:
    """Answer at the endpoints of the providers under one prefix.

    Args:
        web: the service and its threads.
        prefix: the beginning of the paths.
        providers: the providers to sign in with.
        on_refused: makes the answer for a browser whose sign-in did not succeed.
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
        settings = web.settings
        self._cookie = AccessCookie("authguard-social", secure=settings.is_https)
        self._fernet = MultiFernet([derive_fernet(secret, "social sign-in") for secret in settings.secrets])

    def routes(self) -> list[BaseRoute]:
        """Return all routes.

        Raises:
            ConfigurationError: if a provider may not send browsers back to them.
        """
        for provider in self._providers.values():
            url = self._callback_url(provider)
            if url not in provider.redirect_uris:
                raise ConfigurationError(
                    f"redirect_uris of {provider.name} must name {url}, got {got(provider.redirect_uris)}"
                )
        return [
            Route(self._prefix + path, endpoint, methods=[method])
            for method, path, endpoint in (
                ("POST", "/auth/{provider}" + CALLBACK, self.exchange_code),
                ("GET", "/auth/{provider}" + CALLBACK, self.callback),
                ("GET", "/auth/{provider}/authorize", self.authorize),
            )
        ]

    async def exchange_code(self, request: Request) -> Response:
        """Sign in with a code that an application has got in its own browser flow."""
        provider = self._provider(request)
        body = await read_json(request, SocialCallback)
        caller = caller_of(request)
        tokens = await self._exchange(
            provider,
            caller,
            body.code.get_secret_value(),
            body.redirect_uri,
            code_verifier=body.code_verifier.get_secret_value() if body.code_verifier else None,
        )
        return json_response(social_token_document(provider.name, tokens))

    async def authorize(self, request: Request) -> Response:
        """Send a browser to the provider, with a state that only this browser has."""
        provider = self._provider(request)
        query = query_of(request)
        target = safe_next(query.get("next", ""), "/")
        max_age = _max_age(query)
        state = {
            "provider": provider.name,
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "next": target if len(target) <= MAX_NEXT else "/",
        }
        recency: dict[str, int] = {}
        if max_age is not None:
            recency["max_age"] = max_age
            state["since"] = str(int(self._service.clock()))
        await self._workers.count(self._service.admit_to_provider, caller_of(request))
        url = await self._workers.ask_remote(
            provider.name,
            provider.authorize_url,
            state=state["state"],
            nonce=state["nonce"],
            redirect_uri=self._callback_url(provider),
            code_challenge=create_s256_code_challenge(state["verifier"]),
            **recency,
        )
        response = see_other(url)
        sealed = self._fernet.encrypt_at_time(json.dumps(state).encode(), int(self._service.clock()))
        # Lax: the browser comes back from another site.
        field = self._cookie.issue(sealed.decode(), scheme="https", max_age=_STATE_SECONDS)
        response.headers.append("set-cookie", field)
        return response

    async def callback(self, request: Request) -> Response:
        """Sign a browser in that comes back from the provider, and send it on.

        The state is good once: whatever comes of it, its cookie is deleted.
        """
        provider = self._provider(request)
        try:
            state = self._state(request, provider)
            tokens = await self._exchange(
                provider,
                caller_of(request),
                _single_parameter(request, "code"),
                self._callback_url(provider),
                code_verifier=state["verifier"],
                nonce=state["nonce"],
                since=int(state["since"]) if "since" in state else None,
            )
            response = see_other(safe_next(state["next"], "/"))
            await self._browser_sessions.sign_in(request, response, tokens)
        except RefusedError as error:
            response = await self._on_refused(request, error)
        response.headers.append("set-cookie", self._cookie.clear(scheme="https"))
        response.headers["referrer-policy"] = "no-referrer"
        return response

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
    ) -> Tokens:
        """Exchange a code for tokens; wrong codes are counted against the address they come from.

        If a new sign-in was asked for, the provider has to show that it was made `since` then.
        """
        service = self._service

        def exchange() -> Tokens:
            service.limiter.check("secret_address", address=caller.address)
            try:
                identity = provider.exchange(code, redirect_uri, code_verifier=code_verifier, nonce=nonce)
            except SocialSignInError:
                service.limiter.hit("secret_address", address=caller.address)
                raise
            if since is not None and (identity.auth_time or 0) < since - _SKEW:
                service.record_stale_sign_in(caller)
                raise InsufficientUserAuthenticationError("the provider does not show a new sign-in")
            return service.sign_in_with(identity, caller)

        return await self._workers.ask_remote(provider.name, exchange)

    def _provider(self, request: Request) -> Provider:
        provider = self._providers.get(request.path_params["provider"])
        if provider is None:
            raise NotFoundError
        return provider

    def _state(self, request: Request, provider: Provider) -> dict[str, str]:
        """Return the content of the cookie, if this browser was sent to this provider a short time ago."""
        view = handled_by_guard(request.scope).request
        try:
            sealed = (self._cookie.read(view) or "").encode()
            opened = self._fernet.decrypt_at_time(sealed, _STATE_SECONDS, int(self._service.clock()))
        except InvalidToken:
            raise SocialSignInError("no state in the cookie, or an old one") from None
        state: dict[str, str] = json.loads(opened)
        if state["provider"] != provider.name:
            raise SocialSignInError("a state of another provider")
        if not secrets.compare_digest(_single_parameter(request, "state").encode(), state["state"].encode()):
            raise SocialSignInError("another state than that of the cookie")
        query = callback_query(request)
        issuer = query.get("iss")  # RFC 9207 section 2.4
        if issuer is not None and issuer != getattr(provider, "issuer", issuer):
            raise SocialSignInError("an answer of another issuer")
        if "error" in query:
            raise SocialSignInError("the provider said no")
        return state

    def _callback_url(self, provider: Provider) -> str:
        """Return the URL that the provider sends browsers back to, whatever the Host field says."""
        return f"{self._service.settings.issuer}{self._prefix}/auth/{provider.name}/callback"


def browser_paths(prefixes: Iterable[str], providers: Iterable[Provider]) -> list[str]:
    """Return the paths of the providers under each prefix, which browsers come to without a token."""
    names = [provider.name for provider in providers]
    return [prefix + path.format(name=name) for prefix in prefixes for name in names for path in PUBLIC_PATHS]


def _max_age(query: QueryParams) -> int | None:
    """Return for how long a sign-in is recent enough; None if one of any age will do."""
    if REAUTHENTICATION_PARAMETERS.isdisjoint(query):
        return None
    seconds = query.get("max_age", "")
    return int(seconds) if _SECONDS.fullmatch(seconds) else 0


def _single_parameter(request: Request, name: str) -> str:
    """Return the one value of a parameter of the query."""
    values = callback_query(request).getlist(name)
    if len(values) != 1 or not values[0]:
        raise SocialSignInError(f"not exactly one {name}")
    return values[0]
