"""Social sign-in over HTTP: the code that an application hands in, and the whole flow of a browser."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import Field, SecretStr
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from authguard._core.answer.redirect import safe_next
from authguard._core.credential.cookies import AccessCookie
from authguard.asgi import handled_by_guard
from authguard.errors import ConfigurationError, InsufficientUserAuthenticationError, RefusedError
from authguard.identity.errors import NotFoundError, SocialSignInError
from authguard.identity.model import Caller, Tokens
from authguard.identity.service import IdentityService
from authguard.identity.social.provider import Provider
from authguard.identity.tokens.derive import derive_seal
from authguard.identity.web.bodies import Body
from authguard.identity.web.browser_session import PageSessions
from authguard.identity.web.link_cookie import callback_query
from authguard.identity.web.messages import Workers, answer, caller_of, query_of, read_json, refused

#: With these a guard says that somebody who is signed in has to do it again (RFC 9470 section 4).
SIGN_IN_AGAIN = frozenset({"acr_values", "max_age"})
_SECONDS = re.compile(r"[0-9]{1,9}")
_SKEW = 30  # seconds by which the clock of a provider may differ
_STATE_SECONDS = 600  # for signing in at the provider
_MAX_NEXT = 2048  # characters when encoded, as on the pages; the sealed cookie has room for them
_PICTURES = {"github": "avatar_url"}  # as the documents call it; everywhere else `picture`
#: How the paths end to which providers send browsers back.
CALLBACK = "/callback"
#: What the guard has to open, under each prefix.
PUBLIC = "/auth/{name}/authorize", "/auth/{name}" + CALLBACK


class SocialCallback(Body):
    """`auth/{provider}/callback`; `code_verifier` for applications that use PKCE."""

    code: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2048)]
    code_verifier: Annotated[SecretStr, Field(min_length=43, max_length=128)] | None = None


class SocialRoutes:
    """The endpoints of the providers, to be put under each prefix.

    Args:
        service: what signs in with a social account.
        workers: where it and the providers are asked.
        providers: what there is to sign in with.
        sessions: the sessions of browsers.
        on_refused: makes the answer for a browser whose sign-in did not succeed.
    """

    def __init__(
        self,
        service: IdentityService,
        workers: Workers,
        providers: Iterable[Provider],
        sessions: PageSessions,
        on_refused: Callable[[Request, Exception], Awaitable[Response]] = refused,
    ) -> None:
        self._service = service
        self._sessions = sessions
        self._workers = workers
        self._providers = {provider.name: provider for provider in providers}
        settings = service.settings
        self._on_refused = on_refused
        self._cookie = AccessCookie("authguard-social", secure=settings.is_https)
        self._seal = MultiFernet([derive_seal(secret, "social sign-in") for secret in settings.secrets])

    def routes(self, prefix: str) -> list[BaseRoute]:
        """All endpoints under a prefix; none for a provider that is not configured."""
        for provider in self._providers.values():
            if self._callback(prefix, provider) not in provider.redirect_uris:
                raise ConfigurationError(
                    f"{provider.name}: redirect_uris lacks {self._callback(prefix, provider)}"
                )
        return [
            Route(prefix + path, partial(endpoint, prefix=prefix), methods=[method])
            for method, path, endpoint in (
                ("POST", "/auth/{provider}/callback", self.hand_in),
                ("GET", "/auth/{provider}/callback", self.come_back),
                ("GET", "/auth/{provider}/authorize", self.authorize),
            )
        ]

    async def hand_in(self, request: Request, prefix: str) -> Response:
        """Sign in with a code that an application got in its own browser flow."""
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
        return answer(token_document(provider, tokens))

    async def authorize(self, request: Request, prefix: str) -> Response:
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
            "next": target if len(target) <= _MAX_NEXT else "/",
        }
        more: dict[str, int] = {}
        if max_age is not None:
            more["max_age"] = max_age
            state["since"] = str(int(self._service.clock()))
        await self._workers.count(self._service.admit_to_provider, caller_of(request))
        url = await self._workers.ask_remote(
            provider.name,
            provider.authorize_url,
            state=state["state"],
            nonce=state["nonce"],
            redirect_uri=self._callback(prefix, provider),
            code_challenge=create_s256_code_challenge(state["verifier"]),
            **more,
        )
        response = _see_other(url)
        sealed = self._seal.encrypt_at_time(json.dumps(state).encode(), int(self._service.clock()))
        # Lax: the browser comes back from another site.
        field = self._cookie.issue(sealed.decode(), scheme="https", max_age=_STATE_SECONDS)
        response.headers.append("set-cookie", field)
        return response

    async def come_back(self, request: Request, prefix: str) -> Response:
        """Sign a browser in that comes back from the provider, and send it on.

        The state is good once: whatever comes of it, its cookie is deleted.
        """
        provider = self._provider(request)
        try:
            state = self._state(request, provider)
            tokens = await self._exchange(
                provider,
                caller_of(request),
                _one(request, "code"),
                self._callback(prefix, provider),
                code_verifier=state["verifier"],
                nonce=state["nonce"],
                since=int(state["since"]) if "since" in state else None,
            )
            response = _see_other(safe_next(state["next"], "/"))
            await self._sessions.begin(request, response, tokens)
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
        """Tokens for a code; wrong codes are counted against the address they come from.

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
        """What the cookie says, if this browser was sent to this provider a short time ago."""
        _, view, _ = handled_by_guard(request.scope)
        try:
            sealed = (self._cookie.read(view) or "").encode()
            opened = self._seal.decrypt_at_time(sealed, _STATE_SECONDS, int(self._service.clock()))
        except InvalidToken:
            raise SocialSignInError("no state in the cookie, or an old one") from None
        state: dict[str, str] = json.loads(opened)
        if state["provider"] != provider.name:
            raise SocialSignInError("a state of another provider")
        if not secrets.compare_digest(_one(request, "state").encode(), state["state"].encode()):
            raise SocialSignInError("another state than that of the cookie")
        query = callback_query(request)
        issuer = query.get("iss")  # RFC 9207 section 2.4
        if issuer is not None and issuer != getattr(provider, "issuer", issuer):
            raise SocialSignInError("an answer of another issuer")
        if "error" in query:
            raise SocialSignInError("the provider said no")
        return state

    def _callback(self, prefix: str, provider: Provider) -> str:
        """Where the provider sends browsers back to: by configuration, never by the Host field."""
        return f"{self._service.settings.issuer}{prefix}/auth/{provider.name}/callback"


def doors(prefixes: Iterable[str], providers: Iterable[Provider]) -> list[str]:
    """The paths of the providers, under each prefix, which need no caller."""
    names = [provider.name for provider in providers]
    return [prefix + path.format(name=name) for prefix in prefixes for name in names for path in PUBLIC]


def token_document(provider: Provider, tokens: Tokens) -> dict[str, Any]:
    """The answer of the documents."""
    user = tokens.user
    return {
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
        "user": {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            _PICTURES.get(provider.name, "picture"): user.picture,
        },
    }


def _max_age(query: QueryParams) -> int | None:
    """Return for how long a sign-in is recent enough; None if one of any age will do."""
    if SIGN_IN_AGAIN.isdisjoint(query):
        return None
    given = query.get("max_age", "")
    return int(given) if _SECONDS.fullmatch(given) else 0


def _one(request: Request, name: str) -> str:
    """The one value of a parameter of the query."""
    values = callback_query(request).getlist(name)
    if len(values) != 1 or not values[0]:
        raise SocialSignInError(f"not exactly one {name}")
    return values[0]


def _see_other(url: str) -> Response:
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(url, 303, headers)
