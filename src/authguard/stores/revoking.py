"""Revoke tokens, keys, sessions and subjects, in any store."""

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import Required, TypedDict, Unpack

from authguard._core.options import MAX_LEEWAY, Moment, check_flag, named_options
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
    """Accept revocations. A subclass stores their marks."""

    @named_options
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
            subject: the `sub` claim; all tokens of this subject are revoked.
            session: the `sid` claim of the tokens of one session.
            issuer: the issuer of the token, key, session or subject; None for all issuers.
            issued_before: seconds since the epoch, or a datetime with a time zone; tokens of the subject that
                were issued (`iat`) later are not affected. None for the current time of the store. Without a
                subject, all tokens issued before are revoked.
            until: seconds since the epoch, or a datetime with a time zone, when the token, key or session
                expires; the revocation lasts longer by the greatest leeway of a verifier. `math.inf` for an
                API key that does not expire.
            wait: return only when every running process has the revocation, or the bound has passed.

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
        # A guard may accept the token for its leeway after it has expired.
        return self._keep(replace(mark, until=mark.until + MAX_LEEWAY), wait=wait)

    async def arevoke(self, **revocation: Unpack[Revocation]) -> Receipt:
        """Revoke like `revoke`, for callers in an event loop; a worker thread waits for the store.

        Args:
            revocation: the arguments of `revoke`.

        Raises:
            ConfigurationError: as `revoke` does.
            VerificationUnavailableError: as `revoke` does.
        """
        from anyio import to_thread  # supports trio, too; imported here, because few applications need it

        return await to_thread.run_sync(partial(self.revoke, **revocation), abandon_on_cancel=True)

    @abstractmethod
    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        """Store a mark, and return its receipt."""
