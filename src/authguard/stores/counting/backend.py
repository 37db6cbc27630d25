"""Define the interface of a store that counts quotas for several processes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from authguard.stores.log import StoreDownError


class StoreConnectionLostError(StoreDownError):
    """Report that a call failed on a connection that the server may have closed since the previous call.

    The server may have carried out the call. The caller repeats it once, without the rests of leases: giving
    rests back twice would free quota that other requests have taken. The cost may be counted twice, which is
    safe.
    """


class Rest(NamedTuple):
    """Describe the unspent part of a lease.

    Attributes:
        owner: a digest of the caller; all quotas of one request have one owner.
        key: a digest of the quota and the caller.
        window: in seconds.
        is_daily: whether the quota is for the calendar day.
        epoch: the epoch of the counter that lent it.
        slot: the slot in which it was lent.
        amount: the unspent amount.
    """

    owner: str
    key: str
    window: int
    is_daily: bool
    epoch: int
    slot: int
    amount: int


class Ask(NamedTuple):
    """Describe a request for a part of one quota.

    Attributes:
        key: a digest of the quota and the caller.
        limit: the size of the quota.
        window: in seconds.
        is_daily: whether the quota is for the calendar day.
        cost: the amount to take, at least 1.
        enforce: whether the request is refused if too little is left.
        wants: the greatest amount to lend beyond the cost; 0 for none.
        rests: unspent parts of leases of this counter; the store gives them back first.
    """

    key: str
    limit: int
    window: int
    is_daily: bool
    cost: int
    enforce: bool
    wants: int = 0
    rests: Sequence[Rest] = ()


class Answer(NamedTuple):
    """Describe the state of one quota after a step. Times are whole microseconds.

    Attributes:
        used: the amount that counts now, including the amounts that are lent.
        reset: time until less counts; 0 if nothing counts.
        wait: time until the cost fits; 0 if it fits now, -1 if it never fits.
        epoch: the epoch of the counter. A new counter, and a counter whose clock was set back, has a new one.
        slot: the number of the current slot.
        ends_in: time for which the amount lent in this step may be spent.
        lent: the amount that was lent beyond the cost.
    """

    used: int
    reset: int
    wait: int
    epoch: int
    slot: int
    ends_in: int
    lent: int


class Backend(Protocol):
    """Store counters, using the arithmetic of `authguard.stores.counting.blocks` and the clock of the store.

    A method raises `StoreDownError` if the store does not answer in time, or answers with an error. The text
    of the error may be logged. Methods are thread-safe.
    """

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        """Take from all quotas in one step, or from none if an enforced quota has too little.

        The rests are given back in any case. A counter is not written if the step is refused and brings no
        rests for it.

        Args:
            owner: a digest of the caller.
            asks: one for each counter.
            live: the number of processes that use the store and share the free part of the quota.

        Returns:
            whether the request is admitted, and one answer for each ask, in the same order.
        """
        ...

    def give_back(self, rests: Sequence[Rest]) -> None:
        """Give back rests of one or more owners, in one step for each owner or in one step for all."""
        ...

    def beat(self, process: str) -> int:
        """Note that a process is alive, and return the number of live processes, at least 1.

        Also delete expired counters, if the store does not expire them itself.
        """
        ...

    def close(self) -> None:
        """Close the connections; a later call opens others."""
        ...

    def forget(self) -> None:
        """Drop the connections of the parent process without closing them.

        Call this in a child after a fork.
        """
        ...


#: Seconds after its last `beat` for which a process counts as alive.
ALIVE_SECONDS = 30
