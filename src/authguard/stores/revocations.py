"""Revocations that processes and machines share, answered from memory."""

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import final

from authguard._core.logouts import StoreHealth
from authguard._core.model import Principal
from authguard._core.options import Moment
from authguard.errors import VerificationUnavailableError
from authguard.stores.follower import Follower
from authguard.stores.log import Log, StoreDownError
from authguard.stores.marks import Mark, keys_of, make_mark, revokes
from authguard.stores.receipt import Receipt

_FIRST_PAUSE = 0.002  # seconds between two looks at those who have confirmed
_MAX_PAUSE = 0.05


@final
class SharedRevocations:
    """The revocations of a store, for `Guard(revocations=…)`.

    A request is answered from the memory of its process, as long as the log has been confirmed within the
    bound; otherwise the log is read first.

    Args:
        log: the log of the store.
        follower: follows it in this process.
        clock: seconds since the epoch.
        monotonic: a clock that never goes back.
    """

    def __init__(
        self,
        log: Log,
        follower: Follower,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._follower = follower
        self._clock = clock
        self._monotonic = monotonic
        #: Returns a number that changes with each revocation that this process learns of; None while
        #: `is_revoked` has to read the log first. A call less for each request than a method.
        self.revision = follower.revision

    def revoke(
        self,
        *,
        token_id: str | None = None,
        key_id: str | None = None,
        session: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        issued_before: float | Moment | None = None,
        until: float | Moment,
        wait: bool = False,
    ) -> Receipt:
        """Refuse a token, an API key, a session, the tokens of a subject, or all tokens.

        Args:
            token_id: the `jti` of the token, which is `Principal.token_id`.
            key_id: the public name of an API key, which is `Principal.key_id`.
            session: the `sid` claim of the tokens of one session.
            subject: whose tokens.
            issuer: of any of these; None for all issuers.
            issued_before: seconds since the epoch; tokens of the subject that were issued (`iat`) later are
                not affected. None is now, by the clock of the store. Without a subject: all tokens.
            until: seconds since the epoch, or a datetime with a time zone, when what is revoked has expired
                anyway, leeway included; `math.inf` for an API key that does not expire.
            wait: return when every living process knows, or the bound has passed.

        Raises:
            ConfigurationError: if the arguments name several things or none.
            VerificationUnavailableError: if the store does not answer. The revocation may have been written.
        """
        mark = make_mark(
            token_id=token_id,
            key_id=key_id,
            session=session,
            subject=subject,
            issuer=issuer,
            issued_before=issued_before,
            until=until,
        )
        return self.publish([mark], wait=wait)

    def publish(self, marks: Sequence[Mark], *, wait: bool = False) -> Receipt:
        """Write marks that have been made before; see `revoke`.

        Raises:
            VerificationUnavailableError: if the store does not answer.
        """
        bound = self._follower.bound
        try:
            sequence = self._log.append(marks)
            receipt = Receipt(sequence, self._clock() + bound)
            if wait:
                self._wait(sequence, self._monotonic() + bound)
        except StoreDownError as error:
            raise VerificationUnavailableError(str(error), retry_after=1) from error
        return receipt

    def _wait(self, sequence: int, end: float) -> None:
        pause = _FIRST_PAUSE
        while (left := end - self._monotonic()) > 0 and not self._follower.is_known_everywhere(sequence):
            Event().wait(min(pause, left))
            pause = min(2 * pause, _MAX_PAUSE)

    def is_current(self) -> bool:
        """Return whether `is_revoked` answers from memory now."""
        return self._follower.is_current()

    @property
    def sequence(self) -> int:
        """Return the number of the last revocation that this process knows."""
        return self._follower.sequence

    def is_known_revoked(self, principal: Principal) -> bool:
        """Return what `is_revoked` does, by memory alone, which may be old: see `revision`."""
        return self._follower.marks.is_revoked(principal, self._clock())

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked.

        Raises:
            VerificationUnavailableError: if the store does not answer, and memory may not be trusted.
        """
        follower = self._follower
        if follower.is_current():
            return follower.marks.is_revoked(principal, self._clock())
        try:
            follower.catch_up()
            if follower.is_overfull:
                return revokes(self._log.find(list(keys_of(principal))), principal, self._clock())
        except StoreDownError as error:
            raise VerificationUnavailableError(str(error), retry_after=1) from error
        return follower.marks.is_revoked(principal, self._clock())

    def health(self) -> StoreHealth:
        """Tell how this process follows the store."""
        return self._follower.health()

    def close(self) -> None:
        """End the thread and close the connections; a later request opens new ones."""
        self._follower.close()
