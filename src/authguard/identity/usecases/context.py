"""Share settings, database, tokens, clock and the recording of events among use cases."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from authguard._core.model import Principal
from authguard.errors import RefusedError
from authguard.identity.audit import Audit, Event
from authguard.identity.errors import OAuthError
from authguard.identity.limits import Limiter
from authguard.identity.model import NO_CALLER, Caller, User
from authguard.identity.passwords.breaches import BreachedPasswords
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.settings import Settings
from authguard.identity.storage.database import Database
from authguard.identity.tokens.issue import AccessTokens, RefreshTokens
from authguard.identity.usecases.mails.queue import MailQueue

P = ParamSpec("P")
Result = TypeVar("Result")
Refusal = TypeVar("Refusal", RefusedError, OAuthError)
#: In the dictionary of an error: whether it has left an event.
_RECORDED = "authguard_recorded"


@dataclass(frozen=True, slots=True)
class Base:
    """Hold the parts that all use cases share.

    Attributes:
        settings: how the service is to behave.
        database: where everything is stored.
        access_tokens: makes access tokens.
        refresh_tokens: makes and reads refresh tokens.
        hasher: hashes passwords.
        policy: which passwords are accepted.
        breaches: tells which passwords are known from breaches; None for not asking.
        limiter: counts attempts.
        mails: keeps what mails are to be made, and sends them.
        audit: takes events.
        clock: seconds since the epoch.
    """

    settings: Settings
    database: Database
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    hasher: PasswordHasher
    policy: PasswordPolicy
    breaches: BreachedPasswords | None
    limiter: Limiter
    mails: MailQueue
    audit: Audit
    clock: Callable[[], float]

    def password_problems(self, password: str, email: str, name: str) -> list[str]:
        """Return the rules that a new password breaks; empty if it is accepted.

        Args:
            password: as it was sent.
            email: the address of its owner, which it must not be, nor its local part.
            name: the name of its owner, which it must not be; may be empty.
        """
        names = [email, email.partition("@")[0], name]
        problems = self.policy.check(password, names=filter(None, names))
        if not problems and self.breaches is not None and self.breaches.is_breached(password):
            problems = ["Use another password: this one is known from a breach."]
        return problems

    def must_verify(self, user: User) -> bool:
        """Return whether the owner of an account has to verify its address before signing in."""
        settings = self.settings
        return (settings.enumeration_safe or settings.require_verified_email) and not user.email_verified

    def succeeded(
        self,
        name: str,
        caller: Caller,
        *,
        reason: str = "",
        user_id: str | None = None,
        session_id: str | None = None,
        key_id: str | None = None,
        actor_key_id: str | None = None,
    ) -> None:
        """Record that a flow did what was asked for.

        Args:
            name: the flow.
            caller: the origin of the request.
            reason: what is worth noting about it, as a code.
            user_id: the account that it is about.
            session_id: the session that it is about.
            key_id: the API key that it is about.
            actor_key_id: the API key that has done it.
        """
        event = Event(
            name,
            True,
            self.clock(),
            reason,
            user_id,
            session_id,
            caller.address,
            key_id,
            actor_key_id,
        )
        self.audit.record(event)

    def failed(
        self, name: str, caller: Caller, error: Refusal, *, reason: str = "", user_id: str | None = None
    ) -> Refusal:
        """Record that a flow failed, and return the error to raise.

        Args:
            name: the flow.
            caller: the origin of the request.
            error: the error for the caller.
            reason: the reason, if it has more detail than the error.
            user_id: the account that it is about, if that is known.
        """
        code = error.error if isinstance(error, OAuthError) else error.code
        self.record_failure(name, caller, reason or code, user_id=user_id)
        vars(error)[_RECORDED] = True
        return error

    def record_failure(self, name: str, caller: Caller, reason: str, *, user_id: str | None = None) -> None:
        """Record that a flow failed."""
        event = Event(name, False, self.clock(), reason, user_id=user_id, address=caller.address)
        self.audit.record(event)

    def wrong_secret(self, flow: str, caller: Caller) -> None:
        """Count a wrong token or secret. Right ones are never refused for it.

        Raises:
            RateLimitedError: if the caller has sent too many.
        """
        self.limited(flow, caller, self.limiter.hit, "secret_address", address=caller.address)

    def limited(
        self, flow: str, caller: Caller, count: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Count an attempt, and record it if it was one too many.

        Raises:
            RateLimitedError: if it was.
        """
        try:
            return count(*args, **kwargs)
        except RefusedError as error:
            raise self.failed(flow, caller, error) from None


Case = TypeVar("Case", bound=Any)


def records(
    flow: str,
) -> Callable[[Callable[Concatenate[Case, P], Result]], Callable[Concatenate[Case, P], Result]]:
    """Record each refusal and each outage of a use case that has left no event by itself.

    Args:
        flow: the name of the event. The use case may be given a caller and a principal, which are in it.
    """

    def decorate(
        use_case: Callable[Concatenate[Case, P], Result],
    ) -> Callable[Concatenate[Case, P], Result]:
        @wraps(use_case)
        def recorded(self: Case, /, *args: P.args, **kwargs: P.kwargs) -> Result:
            try:
                return use_case(self, *args, **kwargs)
            except (RefusedError, OAuthError) as error:
                if _RECORDED not in vars(error):
                    given = (*args, *kwargs.values())
                    caller = next((each for each in given if isinstance(each, Caller)), NO_CALLER)
                    user_id = next((each.subject for each in given if isinstance(each, Principal)), None)
                    self._base.failed(flow, caller, error, user_id=user_id)
                raise

        return recorded

    return decorate
