"""Define what counts the quotas of callers: the port that stores implement."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from authguard._core.quota import Quota

#: What is counted, and whom it is counted for.
CounterKey: TypeAlias = tuple[str | None, ...]


class Take(NamedTuple):
    """Ask a store for a part of one quota.

    Attributes:
        key: what is counted, and whom it is counted for.
        quota: how much there is.
        cost: the amount to take, at least 1.
    """

    key: CounterKey
    quota: Quota
    cost: int


class QuotaState(NamedTuple):
    """Tell how much of one quota a caller has.

    Attributes:
        remaining: how much may be taken now.
        reset: seconds until more may be.
        wait: seconds until the cost that was asked for may be taken; 0 if it could be, infinity if never.
    """

    remaining: int
    reset: float
    wait: float


class Taken(NamedTuple):
    """Answer a `QuotaStore`'s `take`.

    Attributes:
        admitted: whether all quotas that are enforced had enough.
        states: of each quota, in order, after what was taken.
        receipt: what `give_back` needs to know.
    """

    admitted: bool
    states: Sequence[QuotaState]
    receipt: Any = None


class QuotaStore(Protocol):
    """Count what callers take.

    Its methods may be `async`; if not, they run in a worker thread, unless the store says of itself, by
    `in_memory = True`, that it never waits for anything. A `ConnectionError` or `TimeoutError` is answered
    with 503, anything else with 500. It may also have `health() -> QuotaHealth`.

    If it may have to wait, it may also have a plain method `take_at_once(takes) -> Taken | None` that never
    does. It is called first, also by an event loop; `take` is called only if it returns None. If it holds a
    part of quotas in advance, it may have `give_back_unused()`, for when an ASGI application shuts down.
    """

    def take(self, takes: Sequence[Take]) -> Taken | Awaitable[Taken]:
        """Take from all quotas in one step, or from none if an enforced quota has too little.

        A quota that is not enforced and has too little is left alone, as if it had refused.
        """
        ...

    def give_back(self, taken: Taken) -> Awaitable[None] | None:
        """Undo a `take` that was admitted, because its request was refused for another reason."""
        ...


@dataclass(frozen=True, slots=True)
class QuotaHealth:
    """Tell how a store of quotas is doing; see `Guard.health`.

    Attributes:
        name: the store.
        counters: how many quotas of how many callers it counts, times each other; of a store that processes
            share, those that this process holds a part of.
        max_counters: how many it can.
        admitted: how many requests it has let through.
        refused: how many it has refused.
        would_refuse: how many it would have refused, by quotas that are not enforced.
        reason: why it refuses callers, all or those that it does not count yet; empty if it does not.
        unavailable: how many requests were answered with 503, since the store was down.
        by_share: how many were decided by the share of this process, while the store was down.
    """

    name: str
    counters: int
    max_counters: int
    admitted: int
    refused: int
    would_refuse: int
    reason: str = ""
    unavailable: int = 0
    by_share: int = 0

    @property
    def state(self) -> Literal["unused", "fresh", "failing"]:
        """Return it in the words of `RemoteHealth`."""
        if self.reason:
            return "failing"
        return "fresh" if self.admitted or self.refused else "unused"


#: What a request takes that nothing is counted for.
NOTHING = Taken(admitted=True, states=())
