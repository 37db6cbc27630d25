"""Store revocations in the memory of one process."""

import time
from collections.abc import Callable

from authguard._core.model import Principal
from authguard._core.options import check_clock, named_options
from authguard.stores.marks import Mark, Marks
from authguard.stores.receipt import Receipt
from authguard.stores.revoking import Revoking


@named_options
class MemoryRevocations(Revoking):
    """Store revocations of an application that runs as one process.

    Several processes need a shared store, such as `authguard.stores.RedisStore`. With this class, other
    workers do not learn of a logout that one worker received.

    Args:
        clock: seconds since the epoch.
    """

    in_memory = True

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        check_clock(clock)
        self._clock = clock
        self._marks = Marks()
        #: The number of revocations so far.
        self.sequence = 0

    def _keep(self, mark: Mark, *, wait: bool) -> Receipt:
        now = self._clock()
        if mark.issued_before is None:
            mark = Mark(mark.kind, mark.issuer, mark.name, now, mark.until)
        self._marks.put(mark, now)
        self.sequence += 1
        return Receipt(self.sequence, now)

    def revision(self) -> int:
        """Return a number that changes with each revocation."""
        return self._marks.revision

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked."""
        return self.is_known_revoked(principal)

    def is_known_revoked(self, principal: Principal) -> bool:
        """Return the result of `is_revoked`, which the guard requests again after each revocation."""
        return self._marks.is_revoked(principal, self._clock())
