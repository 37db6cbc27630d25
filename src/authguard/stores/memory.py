"""Logouts, kept in the memory of one process."""

import time
from collections.abc import Callable
from threading import Lock

from authguard._core.model import Principal, api_key_id
from authguard._core.options import Moment, check_function, check_moment, is_numeric_date
from authguard.errors import ConfigurationError

_Mark = tuple[str, str | None, str]
_FIRST_PURGE = 1000  # marks; after that, whenever their number has doubled


class MemoryRevocations:
    """What has been revoked, for applications that run as one process.

    Several processes need a shared store: in this one, a logout that reached one worker is
    unknown to the next.

    Args:
        clock: seconds since the epoch.
    """

    in_memory = True

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        check_function(clock, "clock", "clock=time.time", or_none=False)
        self._clock = clock
        self._lock = Lock()
        self._until: dict[_Mark, tuple[float, float]] = {}
        self._kinds: frozenset[str] = frozenset()
        self._purge_at = _FIRST_PURGE

    def revoke(
        self,
        *,
        token_id: str | None = None,
        key_id: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        issuer: str | None = None,
        until: float | Moment,
    ) -> None:
        """Refuse a token, an API key, a session, or all tokens that a subject has been issued so far.

        Args:
            token_id: the `jti` of the token, which is `Principal.token_id`.
            key_id: the public name of an API key, which is `Principal.key_id`; tokens, whose
                `key_id` is the `kid` of their issuer's key, are not affected.
            subject: whose tokens; those issued (`iat`) after now are not affected.
            session: the `sid` claim of the tokens of one session.
            issuer: the issuer of any of these; None for all issuers.
            until: seconds since the epoch, or a datetime with a time zone, when what is revoked has expired
                anyway, leeway included; forgotten then. `math.inf` for an API key that does not expire.

        Raises:
            ConfigurationError: if it is not exactly one of the four.
        """
        until = check_moment(until, "until", infinite=True)
        named = {"token": token_id, "key": key_id, "subject": subject, "session": session}
        given = [(kind, name) for kind, name in named.items() if name]
        if len(given) != 1:
            raise ConfigurationError(
                f"exactly one of token_id, key_id, subject and session must be given, got {len(given)}"
            )
        ((kind, name),) = given
        now = self._clock()
        with self._lock:
            self._until[kind, issuer, name] = (until, now)
            self._kinds |= {kind}
            if len(self._until) >= self._purge_at:
                # Replaced as a whole: requests on other threads look it up meanwhile.
                self._until = {mark: times for mark, times in self._until.items() if times[0] > now}
                self._purge_at = max(_FIRST_PURGE, 2 * len(self._until))

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked."""
        if not self._kinds:
            return False
        if principal.token_id and self._find("token", principal.token_id, principal):
            return True
        if (
            "key" in self._kinds
            and (key_id := api_key_id(principal))
            and self._find("key", key_id, principal)
        ):
            return True
        if "subject" in self._kinds and (times := self._find("subject", principal.subject, principal)):
            issued = principal.claims.get("iat")
            if not is_numeric_date(issued) or issued <= times[1]:
                return True
        if "session" in self._kinds:
            session = principal.claims.get("sid")
            return isinstance(session, str) and self._find("session", session, principal) is not None
        return False

    def _find(self, kind: str, name: str, principal: Principal) -> tuple[float, float] | None:
        now = self._clock()
        for issuer in (principal.issuer, None):
            times = self._until.get((kind, issuer, name))
            if times is not None and now < times[0]:
                return times
        return None
