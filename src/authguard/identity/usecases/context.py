"""Share settings, database, tokens, clock and the recording of events among use cases."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from authguard.errors import RefusedError
from authguard.identity.audit import Audit, Event
from authguard.identity.limits import Limiter
from authguard.identity.mail.outbox import Outbox
from authguard.identity.model import Caller, User
from authguard.identity.passwords.breaches import BreachedPasswords
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.settings import Settings
from authguard.identity.storage.database import Database
from authguard.identity.tokens.issue import AccessTokens, RefreshTokens
from authguard.identity.usecases.mails.queue import MailQueue

P = ParamSpec("P")
Result = TypeVar("Result")


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
        outbox: sends mails.
        mails: keeps what mails are to be made.
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
    outbox: Outbox
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
            caller: where the request comes from.
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
        self, name: str, caller: Caller, error: RefusedError, *, reason: str = "", user_id: str | None = None
    ) -> RefusedError:
        """Record that a flow failed, and return the error to raise.

        Args:
            name: the flow.
            caller: where the request comes from.
            error: what the caller is told.
            reason: why, if that is more than the caller is told.
            user_id: the account that it is about, if that is known.
        """
        event = Event(
            name, False, self.clock(), reason or error.code, user_id=user_id, address=caller.address
        )
        self.audit.record(event)
        return error

    def record_failure(self, name: str, caller: Caller, reason: str) -> None:
        """Record that a flow failed for which another kind of error is raised."""
        self.audit.record(Event(name, False, self.clock(), reason, address=caller.address))

    def wrong_secret(self, flow: str, caller: Caller) -> None:
        """Count a wrong token or secret. Right ones are never refused for it.

        Raises:
            RateLimitedError: if there were too many.
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
