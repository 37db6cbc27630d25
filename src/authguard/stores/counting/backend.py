"""Define what a store that counts quotas for several processes must offer."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from authguard.stores.log import StoreDownError


class StoreConnectionLostError(StoreDownError):
    """Report that a call has failed on a connection that may have been closed since the last one.

    The call may have been carried out. It is made once more, without the rests of leases: to give them back
    twice would give away what others have taken. A cost may be counted twice so, which is safe.
    """


class Rest(NamedTuple):
    """Name a part of a lease that was not spent.

    Attributes:
        owner: a digest of whom it was counted for; all quotas of a request have one owner.
        key: a digest of what is counted, and for whom.
        window: in seconds.
        is_daily: whether the quota is for the calendar day.
        epoch: the life of the counter that has lent it.
        slot: in which it was lent.
        amount: how much.
    """

    owner: str
    key: str
    window: int
    is_daily: bool
    epoch: int
    slot: int
    amount: int


class Ask(NamedTuple):
    """Ask for a part of one quota.

    Attributes:
        key: a digest of what is counted, and for whom.
        limit: how much there is.
        window: in seconds.
        is_daily: whether the quota is for the calendar day.
        cost: how much to take, at least 1.
        enforce: whether the request is refused if there is too little.
        wants: how much to lend beyond the cost, at most; 0 for nothing.
        rests: of leases of this counter, which are given back before anything else is done.
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
    """Tell how one quota stands after a step. Times are in whole microseconds.

    Attributes:
        used: how much counts now, with all that is lent.
        reset: until less counts; 0 if nothing does.
        wait: until the cost fits; 0 if it did, -1 for never.
        epoch: the life of the counter. It changes when the counter is made, and when its clock goes back.
        slot: the current one.
        ends_in: until what was lent in this step may be spent no more.
        lent: how much was lent, beyond the cost.
    """

    used: int
    reset: int
    wait: int
    epoch: int
    slot: int
    ends_in: int
    lent: int


class Backend(Protocol):
    """Keep counters, by the arithmetic of `authguard.stores.counting.blocks` and the clock of the store.

    A method raises `StoreDownError`, whose text may be logged, if the store does not answer in time or
    answers with an error. Several threads may call it at once.
    """

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        """Take from all quotas in one step; from none if one that is enforced has too little.

        The rests are given back in any case. A counter of a step that is refused, and brings no rests of it,
        is not written.

        Args:
            owner: a digest of whom is counted for.
            asks: each of another counter.
            live: how many processes use the store, which share what is left.

        Returns:
            whether the request may pass, and the answer to each ask, in order.
        """
        ...

    def give_back(self, rests: Sequence[Rest]) -> None:
        """Give back rests, which may be of several owners; each owner's in a step of its own or together."""
        ...

    def beat(self, process: str) -> int:
        """Note that a process is alive, and return how many were in the last `ALIVE_SECONDS`, at least 1.

        Also forget counters that hold nothing any more, if the store does not do so by itself.
        """
        ...

    def close(self) -> None:
        """Close the connections; a later call opens others."""
        ...

    def forget(self) -> None:
        """Set the connections of the parent process aside, without closing them: this is a child."""
        ...


#: Seconds after its last `beat` for which a process counts as alive.
ALIVE_SECONDS = 30
