"""Sign browsers in and out of a Flask application that checks passwords itself."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from flask import Response, request
from werkzeug.exceptions import Forbidden, ServiceUnavailable

from authguard._core.answer.redirect import local_prefix
from authguard._core.credential.cookies import AccessCookie
from authguard._core.guard import Guard
from authguard._core.model import Credential, Principal, session_of
from authguard._core.options import (
    Duration,
    FixedOptions,
    check_flag,
    check_mapping,
    check_moment,
    check_object,
    check_plain_function,
    check_whole_seconds,
    is_async_function,
    named_options,
)
from authguard._core.policy.patterns import local_path
from authguard._core.verifier import Verified
from authguard._flask.handled import current_auth, handled_request
from authguard._logs import logger
from authguard.errors import (
    ConfigurationError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MalformedTokenError,
    RefusedError,
    VerificationUnavailableError,
)
from authguard.issuing import TokenIssuer
from authguard.issuing.issuer import MAX_TTL
from authguard.issuing.remember import MAX_LIFETIME

#: Returns the arguments of `TokenIssuer.issue` for a subject, such as its scopes; None if the user no longer
#: exists.
Grants: TypeAlias = Callable[[str], Mapping[str, Any] | None]

# seconds for which a revocation is stored after its tokens expire; the leeway of verifiers is shorter
_LEEWAY = 3600
_MIN_REMEMBER = 3600  # seconds; 30 is probably a number of days
_REMEMBERED = "remembered"  # the claim of an access token whose session has a remember token
# The parameter that a guard adds to the login page if the user must sign in again.
_ANEW = ("max_age", "acr_values")


#: The error for a token of an issuer that the verifier does not expect.
_MISTAKES = (MalformedTokenError, InvalidSignatureError, InvalidIssuerError, InvalidAudienceError)


@named_options
class BrowserSessions(FixedOptions):
    """Start, resume and end the sessions of browsers, using the cookie of a guard.

    A session lasts as long as its access token, and ends when the browser is closed. A remembered session is
    resumed: a second cookie names the user, and the login page starts a new session from it without a form.
    Ending a session revokes all of its tokens.

    Args:
        guard: a guard with a cookie, a login page, and a writable store of revocations.
        tokens: issues the access tokens; the guard must have its verifier.
        remember: seconds, or a timedelta, for which a browser is remembered if the user wants it.
        home: the path of the redirect after signing out, and after signing in if no other page was requested.

    Raises:
        ConfigurationError: if the guard lacks one of these or refuses the tokens, or an option has the wrong
            type or is out of range: below an hour, `remember` is probably a number of days.
    """

    def __init__(
        self,
        guard: Guard,
        tokens: TokenIssuer,
        *,
        remember: float | Duration = timedelta(days=30),
        home: str = "/",
    ) -> None:
        write = (
            "Guard(tokens.verifier(), cookie=AccessCookie(), login_path=…, revocations=MemoryRevocations())"
        )
        check_object(guard, "guard", Guard, write, or_none=False)
        check_object(tokens, "tokens", TokenIssuer, "TokenIssuer(key, issuer=…, audience=…)", or_none=False)
        lacks = {
            "a cookie": guard.cookie is None,
            "a login page": not guard.policy.login_paths,
            "writable revocations": not callable(getattr(guard.revocations, "revoke", None)),
        }
        if missing := [name for name, is_missing in lacks.items() if is_missing]:
            raise ConfigurationError(
                f"guard of BrowserSessions must have {missing[0]}, got one without: write {write}"
            )
        if is_async_function(guard.revocations.revoke):  # type: ignore[union-attr]  # which was checked
            raise ConfigurationError(
                f"guard of BrowserSessions must have a plain revoke, got an async one: write {write}"
            )
        self._guard = guard
        self._cookie: AccessCookie = guard.cookie  # type: ignore[assignment]  # which was checked
        self._revocations: Any = guard.revocations
        self._tokens = tokens
        self._home = local_path(home, "home")
        seconds = check_whole_seconds(remember, "remember", MAX_LIFETIME, least=_MIN_REMEMBER)
        self._remember = tokens.remember_tokens(seconds)
        self._remember_cookie = self._cookie.beside("remember")
        if refusal := _refusal_of(guard, tokens, self._remember.now()):
            raise ConfigurationError(
                "guard of BrowserSessions must take what tokens issues, got one that refuses it "
                f"({refusal}): write {write}"
            )
        self._remembered = Guard(self._remember.verifier(), revocations=guard.revocations)

    def begin(
        self,
        subject: str,
        *,
        remember: bool = False,
        auth_time: float | datetime | None = None,
        **grants: Any,
    ) -> Response:
        """Return the response that signs the browser in, and redirects it to the page that it requested.

        Call it in the view of the login page when the password was correct. If another site started the
        request, the answer is 403 and no session starts; `trusted_origins` of the cookie lists exceptions.

        Args:
            subject: the user's subject; see `TokenIssuer.issue`.
            remember: whether to remember the browser.
            auth_time: the time of the sign-in, which `max_age` of rules is compared with: seconds since the
                epoch, or a datetime with a time zone; None for now, and 0 for an unknown time.
            grants: further arguments of `TokenIssuer.issue`, such as `scopes`.
        """
        check_flag(remember, "remember")
        now = self._remember.now()
        signed_in_at = now if auth_time is None else min(int(check_moment(auth_time, "auth_time")), now)
        if self._cookie.is_cross_site(handled_request().request):  # the guard checks only login pages
            raise Forbidden("a request from another site must not sign in a user")
        session = secrets.token_urlsafe(16)
        own = {"auth_time": signed_in_at, _REMEMBERED: remember}
        response = self._signed_in(self._issue(subject, session, own, grants))
        if remember:
            token = self._remember.issue(subject, session, auth_time=signed_in_at)
            _set(response, self._remember_cookie.issue(token, max_age=self._remember.lifetime))
        else:  # another user may have been remembered in this browser
            _set(response, self._remember_cookie.clear())
        return response

    def resume(self, grants: Grants) -> Response | None:
        """Return the response that signs a remembered browser in; None if the form must be shown.

        Call it in the view of the login page, before it shows the form. If a rule requires a recent sign-in,
        the form must be shown.

        Args:
            grants: returns further arguments of `TokenIssuer.issue` for a subject, such as `{"scopes":
                [...]}`; None if the user no longer exists.
        """
        check_plain_function(grants, "grants", "return the arguments", "subject")
        if request.method not in ("GET", "HEAD") or any(name in request.args for name in _ANEW):
            return None
        try:
            principal = self._find_remembered()
        except VerificationUnavailableError:  # the form is shown
            return None
        if principal is None or (granted := grants(principal.subject)) is None:
            return None
        granted = check_mapping(granted, "what grants returns", 'return {"scopes": […]}')
        claims = principal.claims
        own = {"auth_time": claims["auth_time"], _REMEMBERED: True}
        token = self._issue(principal.subject, str(claims["sid"]), own, granted)
        try:
            # Otherwise the browser would be redirected in a loop.
            self._guard.verify(token, now=self._remember.now())
        except RefusedError:
            return None
        return self._signed_in(token)

    def end(self) -> Response:
        """Return the response that signs the browser out, and revoke all tokens of the session.

        Call it in a view for POST. If another site started the request, or the origin is unknown, the answer
        is 403 and the session continues. While the store of revocations or a key source is down, the answer
        is 503, because a copy of a token would still be valid.
        """
        if request.method in ("GET", "HEAD"):
            raise ConfigurationError(
                "the view that signs out must accept only POST, got GET, which any link sends: write "
                "@app.post(…)"
            )
        if self._cookie.is_cross_site(handled_request().request) is not False:
            raise Forbidden("the request may come from another site, so the session is not ended")
        try:
            for principal in self._find_all():
                self._revoke(principal)
        except VerificationUnavailableError as error:
            logger.warning("a session cannot be ended: %s", error.reason)
            raise ServiceUnavailable(retry_after=error.retry_after) from error
        response = _redirect(self._home_page())
        _set(response, self._cookie.clear())
        _set(response, self._remember_cookie.clear())
        return response

    def _find_all(self) -> Iterator[Principal]:
        """Yield the signed-in and the remembered principal; raise an error if a dependency is down."""
        error = handled_request().error
        if isinstance(error, VerificationUnavailableError):  # on an open path, the caller is then anonymous
            raise error
        principal = current_auth().principal
        if principal.is_authenticated:
            yield principal
        if (remembered := self._find_remembered()) is not None:
            yield remembered

    def _issue(self, subject: str, session: str, own: Mapping[str, Any], grants: Mapping[str, Any]) -> str:
        claims = {**(grants.get("claims") or {}), **own}
        return self._tokens.issue(subject, **{**grants, "session": session, "claims": claims})

    def _signed_in(self, token: str) -> Response:
        target = self._guard.safe_next(request.values.get("next"), self._home_page())
        response = _redirect(target)
        _set(response, self._cookie.issue(token, max_age=None))
        return response

    def _home_page(self) -> str:
        return (local_prefix(request.script_root) or "") + self._home

    def _find_remembered(self) -> Principal | None:
        """Return the remembered user of this browser, unless the session was signed out.

        Raises:
            VerificationUnavailableError: if a store is down.
        """
        try:
            token = self._remember_cookie.read(handled_request().request)
            return None if token is None else self._remembered.verify(token, now=self._remember.now())
        except VerificationUnavailableError:
            raise
        except RefusedError:  # duplicates are not from a normal browser
            return None

    def _revoke(self, principal: Principal) -> None:
        session, issuer = session_of(principal.claims), principal.issuer
        remembered = principal.claims.get(_REMEMBERED) is not False
        # Each token may have its own `ttl`.
        lasts = max(self._remember.lifetime, MAX_TTL) if remembered else MAX_TTL
        until = self._remember.now() + lasts + _LEEWAY
        named = {"session": session} if session else {"token_id": principal.token_id}
        if any(named.values()):  # otherwise it is a token of another issuer without an id
            self._revocations.revoke(**named, issuer=issuer, until=until)


def _refusal_of(guard: Guard, tokens: TokenIssuer, now: float) -> str | None:
    """Return the reason why no verifier of a guard accepts the tokens of an issuer; None if one may.

    Otherwise users would be redirected to the login page in a loop.
    """
    credential = Credential(tokens.issue("somebody"), "cookie")
    reason: str | None = "no verifier accepts tokens"
    for verifier in guard.verifiers:
        if verifier.token_header or not verifier.accepts(credential):
            continue
        try:
            outcome = verifier.flow(credential, now)
        except RefusedError as error:
            if not isinstance(error, _MISTAKES):
                return None
            reason = error.reason
            continue
        if not isinstance(outcome, Verified):  # the check would send a request, and may block
            outcome.close()
        return None
    return reason


def _redirect(target: str) -> Response:
    return Response(status=303, headers={"Location": target, "Cache-Control": "no-store"})


def _set(response: Response, field: str) -> None:
    response.headers.add("Set-Cookie", field)
