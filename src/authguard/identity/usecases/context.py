"""Share settings, database, tokens, clock and the recording of events among use cases."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from authguard._core.model import Principal
from authguard._core.options import unusable_answer, yes_or_no
from authguard.errors import RefusedError
from authguard.identity.audit import Audit, Event, limit_of
from authguard.identity.errors import OAuthError
from authguard.identity.limits import Limiter
from authguard.identity.limits.taken import given_back_on_outage
from authguard.identity.model import NO_CALLER, Caller, User
from authguard.identity.passwords.breaches import BreachedPasswords
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.settings import Settings
from authguard.identity.storage.database import Database
from authguard.identity.tokens.issue import AccessTokens, RefreshTokens
from authguard.identity.usecases.mails.queue import MailQueue

P = ParamSpec("P")
Result = TypeVar("Result")
Refusal = TypeVar("Refusal", bound=RefusedError | OAuthError)
#: The key in the dictionary of an error that tells whether an event was recorded for it.
_RECORDED = "authguard_recorded"


@dataclass(frozen=True, slots=True)
class Base:
    """Hold the parts that all use cases share.

    Attributes:
        settings: the settings of the service.
        database: the database.
        access_tokens: makes access tokens.
        refresh_tokens: makes and reads refresh tokens.
        hasher: hashes passwords.
        policy: the rules for passwords.
        breaches: recognises passwords from breaches; None for no check.
        limiter: counts attempts.
        mails: stores waiting mails, and sends them.
        audit: records events.
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
            email: the address of its owner; the password must be neither the address nor its local part.
            name: the name of its owner, which the password must not be; may be empty.
        """
        names = [email, email.partition("@")[0], name]
        problems: object = self.policy.check(password, names=filter(None, names))
        if not isinstance(problems, list | tuple) or not all(isinstance(each, str) for each in problems):
            raise unusable_answer("check() of policy", "a list of texts", problems)
        if problems or self.breaches is None:
            return list(problems)
        is_breached = yes_or_no("is_breached() of breaches", self.breaches.is_breached(password))
        return ["Use another password: this one is known from a breach."] if is_breached else []

    def is_password(self, password_hash: str, password: str) -> bool:
        """Return whether a password matches a hash.

        Args:
            password_hash: the stored hash.
            password: as it was sent.
        """
        return yes_or_no("verify() of hasher", self.hasher.verify(password_hash, password))

    def must_verify(self, user: User) -> bool:
        """Return whether the owner of an account must verify its address before signing in."""
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
        """Record that a flow succeeded.

        Args:
            name: the flow.
            caller: the origin of the request.
            reason: a remark about the success, as a code.
            user_id: the affected account.
            session_id: the affected session.
            key_id: the affected API key.
            actor_key_id: the API key that made the request.
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
            user_id: the affected account, if it is known.
        """
        code = error.error if isinstance(error, OAuthError) else error.code
        event = Event(
            name,
            False,
            self.clock(),
            reason or code,
            user_id=user_id,
            address=caller.address,
            limit=limit_of(error),
        )
        self.audit.record(event)
        vars(error)[_RECORDED] = True
        return error

    def failed_once(self, name: str, caller: Caller, error: RefusedError | OAuthError) -> None:
        """Record that a flow failed, unless an event was recorded for the error; see `failed`."""
        if _RECORDED not in vars(error):
            self.failed(name, caller, error)

    def wrong_secret(self, flow: str, caller: Caller) -> None:
        """Count a wrong token or secret. Right ones are never refused because of this count.

        Raises:
            RateLimitedError: if the caller has sent too many.
        """
        self.limited(flow, caller, self.limiter.hit, "secret_address", address=caller.address)

    def limited(
        self, flow: str, caller: Caller, count: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Count an attempt, and record an event if the limit is exceeded.

        Raises:
            RateLimitedError: if the limit is exceeded.
        """
        try:
            return count(*args, **kwargs)
        except RefusedError as error:
            raise self.failed(flow, caller, error) from None


Case = TypeVar("Case", bound=Any)


def records(
    flow: str,
) -> Callable[[Callable[Concatenate[Case, P], Result]], Callable[Concatenate[Case, P], Result]]:
    """Record each refusal and each outage of a use case that has not recorded an event itself.

    After an outage, remove the counts of the use case from limits.

    Args:
        flow: the name of the event. A caller and a principal among the arguments of the use case are in the
            event.
    """

    def decorate(
        use_case: Callable[Concatenate[Case, P], Result],
    ) -> Callable[Concatenate[Case, P], Result]:
        @wraps(use_case)
        def recorded(self: Case, /, *args: P.args, **kwargs: P.kwargs) -> Result:
            try:
                with given_back_on_outage():
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
