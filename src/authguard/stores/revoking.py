"""Revoke tokens, keys, sessions and subjects, as all stores do."""

from abc import ABC, abstractmethod
from functools import partial
from typing import Required, TypedDict, Unpack

from authguard._core.options import Moment, check_flag
from authguard.stores.marks import Mark, make_mark
from authguard.stores.receipt import Receipt


class Revocation(TypedDict, total=False):
    """Hold the arguments of `revoke`."""

    token_id: str | None
    key_id: str | None
    subject: str | None
    session: str | None
    issuer: str | None
    issued_before: float | Moment | None
    until: Required[float | Moment]
    wait: bool


class Revoking(ABC):
    """Take revocations. A store says how their marks are kept."""

    def revoke(
        self,
        *,
        token_id: str | None = None,
        key_id: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        issuer: str | None = None,
        issued_before: float | Moment | None = None,
        until: float | Moment,
        wait: bool = False,
    ) -> Receipt:
        """Refuse a token, an API key, a session, the tokens of a subject, or all tokens.

        Args:
            token_id: the `jti` of the token, which is `Principal.token_id`.
            key_id: the public name of an API key, which is `Principal.key_id`; tokens, whose `key_id` is the
                `kid` of their issuer's key, are not affected.
            subject: whose tokens.
            session: the `sid` claim of the tokens of one session.
            issuer: of any of these; None for all issuers.
            issued_before: seconds since the epoch, or a datetime with a time zone; tokens of the subject that
                were issued (`iat`) later are not affected. None is now, by the clock of the store. Without a
                subject: all tokens.
            until: seconds since the epoch, or a datetime with a time zone, when what is revoked has expired
                anyway, leeway included; `math.inf` for an API key that does not expire.
            wait: return when every living process knows, or the bound has passed.

        Raises:
            ConfigurationError: if the arguments name several things or none.
            VerificationUnavailableError: if a shared store does not answer. The revocation may have been
                written.
        """
        check_flag(wait, "wait")
        mark = make_mark(
            token_id=token_id,
            key_id=key_id,
            session=session,
            subject=subject,
            issuer=issuer,
            issued_before=issued_before,
            until=until,
        )
        return self._keep(mark, wait=wait)

    async def arevoke(self, **revocation: Unpack[Revocation]) -> Receipt:
        """Do as `revoke` does, for callers in an event loop: a worker thread waits for the store.

        Args:
            revocation: the arguments of `revoke`.

        Raises:
            ConfigurationError: as `revoke` does.
            VerificationUnavailableError: as `revoke` does.
        """
        from anyio import to_thread  # under trio, too; imported here, since most never need it

        return await to_thread.run_sync(partial(self.revoke, **revocation), abandon_on_cancel=True)

    @abstractmethod
    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        """Keep a mark, and return its receipt."""
