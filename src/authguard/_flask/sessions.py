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
from authguard._core.model import Credential, Principal
from authguard._core.options import (
    Duration,
    check_flag,
    check_function,
    check_mapping,
    check_moment,
    check_object,
    check_whole_seconds,
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

#: From a subject to the arguments of `TokenIssuer.issue` for it, such as its scopes; None if it is gone.
Grants: TypeAlias = Callable[[str], Mapping[str, Any] | None]

_LEEWAY = 3600  # seconds for which a revocation outlives what is revoked; the leeway of verifiers is shorter
_REMEMBERED = "remembered"  # the claim of an access token whose session has a token to be remembered by
_ANEW = ("max_age", "acr_values")  # what a guard adds to the login page for somebody who has to sign in anew


#: How a token is refused that is not of the issuer whom the verifier expects.
_MISTAKES = (MalformedTokenError, InvalidSignatureError, InvalidIssuerError, InvalidAudienceError)


class BrowserSessions:
    """Begin, resume and end the sessions of browsers, by the cookie of a guard.

    A session lasts as long as its access token, and ends when the browser is closed. One that is to be
    remembered comes back: a second cookie says who has signed in, and the login page begins a session
    by it without a form. Ending a session revokes all of its tokens.

    Args:
        guard: with a cookie, a login page, and revocations that can be written.
        tokens: issues the access tokens, whose verifier the guard has.
        remember: seconds, or a timedelta, for which a browser is remembered that wants to be.
        home: where to go after signing out, and after signing in if the browser did not want to go elsewhere.

    Raises:
        ConfigurationError: if the guard lacks one of these, or refuses the tokens, or an option is of another
            type or out of range.
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
            "revocations that can be written": not callable(getattr(guard.revocations, "revoke", None)),
        }
        if missing := [name for name, is_missing in lacks.items() if is_missing]:
            raise ConfigurationError(
                f"guard of BrowserSessions must have {missing[0]}, got one without: write {write}"
            )
        self._guard = guard
        self._cookie: AccessCookie = guard.cookie  # type: ignore[assignment]  # which was checked
        self._revocations: Any = guard.revocations
        self._tokens = tokens
        self._home = local_path(home, "home")
        seconds = check_whole_seconds(remember, "remember", MAX_LIFETIME, least=1)
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
        """Return the response that signs the browser in, and sends it on to where it wanted to go.

        Call it in the view of the login page when the password was right. Where another site has started the
        request, nobody is signed in, and the answer is 403; `trusted_origins` of the cookie names those that
        may.

        Args:
            subject: who has signed in; see `TokenIssuer.issue`.
            remember: whether the browser is to be remembered.
            auth_time: when the user has signed in, by which `max_age` of rules goes: seconds since the
                epoch, or a datetime with a time zone; None for now, and 0 where it is not known.
            grants: other arguments of `TokenIssuer.issue`, such as `scopes`.
        """
        check_flag(remember, "remember")
        now = self._remember.now()
        signed_in_at = now if auth_time is None else min(int(check_moment(auth_time, "auth_time")), now)
        if self._cookie.is_cross_site(handled_request().request):  # the guard looks on login pages alone
            raise Forbidden("another site must not sign its visitors in here")
        session = secrets.token_urlsafe(16)
        own = {"auth_time": signed_in_at, _REMEMBERED: remember}
        response = self._signed_in(self._issue(subject, session, own, grants))
        if remember:
            token = self._remember.issue(subject, session, auth_time=signed_in_at)
            _set(response, self._remember_cookie.issue(token, max_age=self._remember.lifetime))
        else:  # another user may have been remembered here
            _set(response, self._remember_cookie.clear())
        return response

    def resume(self, grants: Grants) -> Response | None:
        """Return the response that signs a remembered browser in; None if there must be a form.

        Call it in the view of the login page, before it shows the form. A browser that has to sign in anew,
        since a rule asks for a recent sign-in, gets the form.

        Args:
            grants: from the subject to the other arguments of `TokenIssuer.issue`, such as
                `{"scopes": [...]}`; None from it means that the user is gone.
        """
        check_function(grants, "grants", "resume(lambda subject: {…})", or_none=False, takes="subject")
        if request.method not in ("GET", "HEAD") or any(name in request.args for name in _ANEW):
            return None
        try:
            principal = self._find_remembered()
        except VerificationUnavailableError:  # there is the form
            return None
        if principal is None or (granted := grants(principal.subject)) is None:
            return None
        granted = check_mapping(granted, "what grants returns", 'return {"scopes": […]}')
        claims = principal.claims
        own = {"auth_time": claims["auth_time"], _REMEMBERED: True}
        token = self._issue(principal.subject, str(claims["sid"]), own, granted)
        try:
            # Else the browser would come back at once, and again.
            self._guard.verify(token, now=self._remember.now())
        except RefusedError:
            return None
        return self._signed_in(token)

    def end(self) -> Response:
        """Return the response that signs the browser out; all tokens of the session are revoked.

        Call it in a view for POST. Where another site has started the request, or nothing shows that this one
        has, nobody is signed out, and the answer is 403. While a store of revocations or what the guard asks
        is down, the answer is 503: a copy of a token would still be good.
        """
        if request.method in ("GET", "HEAD"):
            raise ConfigurationError(
                "the view that signs out must be for POST, got GET, which any link sends: write @app.post(…)"
            )
        if self._cookie.is_cross_site(handled_request().request) is not False:
            raise Forbidden("nothing shows that this site started the request, and nobody is signed out")
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
        """Yield who is signed in, and who is remembered; raise where that cannot be found out now."""
        error = handled_request().error
        if isinstance(error, VerificationUnavailableError):  # on an open path, the caller is then nobody
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
        """Return who has signed in in this browser, if it is remembered and nobody has signed out.

        Raises:
            VerificationUnavailableError: if a store is down.
        """
        try:
            token = self._remember_cookie.read(handled_request().request)
            return None if token is None else self._remembered.verify(token, now=self._remember.now())
        except VerificationUnavailableError:
            raise
        except RefusedError:  # also two of them: somebody plays with it
            return None

    def _revoke(self, principal: Principal) -> None:
        session, issuer = principal.claims.get("sid"), principal.issuer
        remembered = principal.claims.get(_REMEMBERED) is not False
        # Each token may have a `ttl` of its own.
        lasts = max(self._remember.lifetime if remembered else 0, MAX_TTL)
        until = self._remember.now() + lasts + _LEEWAY
        named = {"session": session} if isinstance(session, str) else {"token_id": principal.token_id}
        if any(named.values()):  # else it is a token that cannot be named, of another issuer
            self._revocations.revoke(**named, issuer=issuer, until=until)


def _refusal_of(guard: Guard, tokens: TokenIssuer, now: float) -> str | None:
    """Return why no verifier of a guard takes the tokens of an issuer; None if one does, or may.

    Who signs in would be sent back to the login page for ever.
    """
    credential = Credential(tokens.issue("somebody"), "cookie")
    reason: str | None = "no verifier takes tokens"
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
        if not isinstance(outcome, Verified):  # it would ask, and perhaps wait
            outcome.close()
        return None
    return reason


def _redirect(target: str) -> Response:
    return Response(status=303, headers={"Location": target, "Cache-Control": "no-store"})


def _set(response: Response, field: str) -> None:
    response.headers.add("Set-Cookie", field)
