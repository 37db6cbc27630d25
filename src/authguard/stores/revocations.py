"""Check revocations that processes and machines share, from memory."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event

from authguard._core.logouts import StoreHealth
from authguard._core.model import Principal
from authguard.errors import VerificationUnavailableError
from authguard.stores.follower import Follower
from authguard.stores.log import Log, StoreDownError
from authguard.stores.marks import Mark, keys_of, revokes
from authguard.stores.receipt import Receipt
from authguard.stores.revoking import Revoking

_FIRST_PAUSE = 0.002  # seconds between two checks of the processes that have confirmed
_MAX_PAUSE = 0.05
_TRIAL = "a trial of readiness"  # no digest has this form


class SharedRevocations(Revoking):
    """Check revocations of a store, for `Guard(revocations=…)`.

    A request uses the memory of its process, as long as the log was read within the bound; otherwise the log
    is read first.

    Args:
        log: the log of the store.
        follower: the follower of the log in this process.
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
        #: Return a number that changes with each revocation that this process learns of; None while
        #: `is_revoked` must read the log first. An attribute, because a method would cost each request
        #: another call.
        self.revision = follower.revision

    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        return self.publish([mark], wait=wait)

    def publish(self, marks: Sequence[Mark], *, wait: bool = False) -> Receipt:
        """Write marks that were built before; see `revoke`.

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
            raise self._unavailable(error) from error
        if not self._follower.told_epoch:
            with suppress(VerificationUnavailableError):  # the marks are written
                self.check()
        return receipt

    def check(self) -> None:
        """Query the store, and log its name once, by which operators see which processes share it.

        Raises:
            VerificationUnavailableError: if the store does not answer.
        """
        self._follower.tell_epoch(self.epoch())

    def epoch(self) -> str:
        """Return the name of the log's epoch, which no other log has; empty if it has not begun.

        Raises:
            VerificationUnavailableError: if the store does not answer.
        """
        try:
            return self._log.epoch()
        except StoreDownError as error:
            raise self._unavailable(error) from error

    def check_writes(self) -> None:
        """Query the store, and write to it: one that is full or read-only still answers questions.

        The write is a DPoP proof of no caller, which is no revocation and ends after a second.

        Raises:
            VerificationUnavailableError: if the store does not answer, or refuses the write.
        """
        self.check()
        try:
            self._log.use_proof(_TRIAL, 1)
        except StoreDownError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: StoreDownError) -> VerificationUnavailableError:
        """Return the error for a store that does not answer."""
        return VerificationUnavailableError(f"{self._follower.name}: {error}", retry_after=1)

    def _wait(self, sequence: int, end: float) -> None:
        pause = _FIRST_PAUSE
        while (remaining := end - self._monotonic()) > 0 and not self._follower.is_known_everywhere(sequence):
            Event().wait(min(pause, remaining))
            pause = min(2 * pause, _MAX_PAUSE)

    def is_current(self) -> bool:
        """Return whether `is_revoked` answers from memory now."""
        return self._follower.is_current()

    @property
    def sequence(self) -> int:
        """Return the number of the last revocation that this process has read."""
        return self._follower.sequence

    def is_known_revoked(self, principal: Principal) -> bool:
        """Return the result of `is_revoked` from memory, which may be old: see `revision`."""
        return self._follower.marks.is_revoked(principal, self._clock())

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked.

        Raises:
            VerificationUnavailableError: if the store does not answer, and the copy in memory is too old.
        """
        follower = self._follower
        if follower.is_current():
            return follower.marks.is_revoked(principal, self._clock())
        try:
            follower.catch_up()
            if follower.is_overfull:
                return revokes(self._log.find(list(keys_of(principal))), principal, self._clock())
        except StoreDownError as error:
            raise self._unavailable(error) from error
        return follower.marks.is_revoked(principal, self._clock())

    def health(self) -> StoreHealth:
        """Return the state of this process's copy."""
        return self._follower.health()

    def close(self) -> None:
        """End the thread and close the connections; a later request opens new ones."""
        self._follower.close()
