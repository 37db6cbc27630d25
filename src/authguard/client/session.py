"""Hold the tokens of an account: obtain, refresh and end them, without sending the requests."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite

import httpx

from authguard._core.strict_json import parse_object_bytes
from authguard.client.exchange import Flow
from authguard.client.waiting import MIN_PAUSE_SECONDS, named_pause
from authguard.errors import LoginError

#: The seconds before the expiry of a token at which it is refreshed, as in the AINative guide.
_REFRESH_AHEAD_SECONDS = 300.0
#: Seconds to wait after a refresh that failed because of an outage, while the token is valid.
_PAUSE_SECONDS = 30.0
#: Seconds for which a refused password is not sent again: three attempts in the 15 minutes in which the
#: identity service allows ten.
_REFUSAL_SECONDS = 300.0
#: The longest wait that the service may ask for, so that a wrong Retry-After does not disable a client until
#: its process ends.
_MAX_PAUSE_SECONDS = 3600.0
#: Seconds without a further renewal, if a renewed token was refused as well: a path that refuses every token
#: causes one renewal a minute.
_REFUSED_AGAIN_SECONDS = 60.0
_REMEDY = "base_url must have the prefix of the API, such as https://auth.example.com/v1"
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Hold the tokens of a login or refresh."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    refresh_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Period:
    """Hold a period, which a clock that is set back ends as well."""

    start: float
    seconds: float

    def has(self, now: float) -> bool:
        return self.start <= now < self.start + self.seconds


@dataclass(frozen=True, slots=True)
class _Failure:
    """Hold a failed login or refresh, for the requests of the next seconds."""

    reason: str
    status_code: int | None
    period: _Period

    def error(self) -> LoginError:
        # A new one for each request, because a raised error collects the places where it was raised.
        return LoginError(self.reason, self.status_code)


_NEVER = _Period(0.0, 0.0)


class Session:
    """Hold the tokens of an account, and the flows that obtain, refresh and end them.

    Args:
        base: the URL of the API, without a trailing slash.
        email: the address of the account.
        password: its password.
        clock: returns the seconds since the epoch.
    """

    def __init__(self, base: str, email: str, password: str, clock: Callable[[], float]) -> None:
        self._base = base
        self._email = email
        self._password = password
        self._clock = clock
        self._tokens: Tokens | None = None
        self._failure: _Failure | None = None
        self._refresh_pause = self._refused_again = _NEVER

    def is_own(self, field_value: str | None) -> bool:
        """Return whether the value of a field Authorization has the current token."""
        tokens = self._tokens
        return tokens is not None and field_value == f"Bearer {tokens.access}"

    def current(self, refused: str | None) -> str | None:
        """Return the token; None if it must be obtained or refreshed.

        Args:
            refused: the token that was refused; None if none was.

        Raises:
            LoginError: if the last attempt has failed, no time for another has come, and no token is valid.
        """
        tokens, failure, now = self._tokens, self._failure, self._clock()
        is_valid = tokens is not None and tokens.access != refused and now < tokens.expires_at
        has_failed = failure is not None and failure.period.has(now)
        if tokens is not None and is_valid:
            is_fresh = now < tokens.refresh_at or self._refresh_pause.has(now) or has_failed
            return tokens.access if is_fresh else None
        if failure is not None and has_failed:
            raise failure.error()
        return None

    def can_replace(self, refused: str) -> bool:
        """Return whether a refused token may be replaced; false soon after a replacement was refused too."""
        tokens = self._tokens
        return tokens is None or tokens.access != refused or not self._refused_again.has(self._clock())

    def note_refused_again(self) -> None:
        """Note that the service has refused a token that had just replaced a refused one."""
        self._refused_again = _Period(self._clock(), _REFUSED_AGAIN_SECONDS)

    def renew(self, refused: str | None) -> Flow:
        """Refresh the token or sign in; return the new token, or the old one while it is valid.

        Args:
            refused: the token that was refused; None if none was.
        """
        tokens = self._tokens
        if tokens is not None and tokens.refresh is not None:
            response = yield self._post("refresh", {"refresh_token": tokens.refresh})
            if response is None or response.status_code in (200, 429) or response.status_code >= 500:
                try:
                    return self._keep("refresh", response)
                except LoginError:
                    now = self._clock()
                    if tokens.access == refused or now >= tokens.expires_at:
                        raise
                    self._refresh_pause = _Period(now, _PAUSE_SECONDS)
                    return tokens.access
            self._tokens = None  # refused: the session has ended
        response = yield self._post("login", {"email": self._email, "password": self._password})
        return self._keep("login", response)

    def logout(self) -> Flow:
        """End the session at the service, and forget the tokens."""
        tokens = self._tokens
        if tokens is not None:
            request = self._post("logout", None)
            request.headers["Authorization"] = f"Bearer {tokens.access}"
            response = yield request
            # 401: the session had ended before.
            if response is None or response.status_code not in (200, 204, 401):
                raise _failure("logout", response)
        self._tokens = None
        return ""

    def _post(self, name: str, body: dict[str, str] | None) -> httpx.Request:
        # An uncompressed body is no larger than the bytes received.
        plain = {"Accept-Encoding": "identity"}
        return httpx.Request("POST", f"{self._base}/auth/{name}", json=body, headers=plain)

    def _keep(self, name: str, response: httpx.Response | None) -> str:
        """Store the tokens of an answer, and return the access token; remember the failure if it has none.

        Raises:
            LoginError: if the answer has none.
        """
        now = self._clock()
        try:
            tokens = _tokens_of(name, response, now)
        except LoginError as error:
            period = _Period(now, _seconds_until_next(response))
            self._failure = _Failure(str(error), error.status_code, period)
            raise
        self._tokens, self._failure, self._refresh_pause = tokens, None, _NEVER
        return tokens.access


def _tokens_of(name: str, response: httpx.Response | None, now: float) -> Tokens:
    """Return the tokens of an answer.

    Raises:
        LoginError: if it has none. The error shows nothing of the answer, which may contain a token.
    """
    if response is None or response.status_code != 200:
        raise _failure(name, response)
    try:
        data = parse_object_bytes(response.content)
    except ValueError:
        raise LoginError(f"{name}: the answer of the service is no JSON object: {_REMEDY}") from None
    access, refresh = data.get("access_token"), data.get("refresh_token")
    # The error of the library that refuses to send such text would contain it.
    if not isinstance(access, str) or not _VISIBLE.match(access):
        raise LoginError(f"{name}: the answer of the service has no access_token that a field can have")
    if not isinstance(refresh, str | None):
        raise LoginError(f"{name}: the answer of the service has a refresh_token that is no text")
    try:
        lifetime = float(data.get("expires_in"))  # type: ignore[arg-type]  # a TypeError for None, too
    except (ValueError, TypeError, OverflowError):
        lifetime = inf
    if not isfinite(lifetime):
        raise LoginError(f"{name}: the answer of the service has no expires_in with a number of seconds")
    # Half of a short lifetime, so that such tokens are not refreshed with each request.
    ahead = min(_REFRESH_AHEAD_SECONDS, lifetime / 2)
    return Tokens(access, refresh, now + lifetime - ahead, now + lifetime)


def _seconds_until_next(response: httpx.Response | None) -> float:
    """Return the seconds after a failed attempt until the next one."""
    if response is not None and response.status_code in (401, 403):
        return _REFUSAL_SECONDS
    named = None if response is None else named_pause(response.headers)
    return min(named or MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS)


def _failure(name: str, response: httpx.Response | None) -> LoginError:
    if response is None:
        return LoginError(f"{name}: the service cannot be reached, or its answer cannot be read")
    status = response.status_code
    return LoginError(
        f"{name}: the service answered {status}{f': {_REMEDY}' if status == 404 else ''}", status
    )
