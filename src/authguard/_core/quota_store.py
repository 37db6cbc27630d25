"""Define the interface of stores that count the quotas of callers."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from authguard._core.quota import Quota

#: The name of a counter: the quota, and the caller.
CounterKey: TypeAlias = tuple[str | None, ...]


class Take(NamedTuple):
    """Describe a request for a part of one quota.

    Attributes:
        key: the name of the counter: the quota, and the caller.
        quota: the quota.
        cost: the amount to take, at least 1.
    """

    key: CounterKey
    quota: Quota
    cost: int


class QuotaState(NamedTuple):
    """Describe how much of one quota a caller has left.

    Attributes:
        remaining: the amount that may be taken now.
        reset: seconds until the amount increases.
        wait: seconds until the requested cost may be taken; 0 if it was available, infinity for never.
    """

    remaining: int
    reset: float
    wait: float


class Taken(NamedTuple):
    """Answer a `QuotaStore`'s `take`.

    Attributes:
        admitted: whether all enforced quotas had enough.
        states: the state of each quota, in order, after the step.
        receipt: the argument of `give_back`.
    """

    admitted: bool
    states: Sequence[QuotaState]
    receipt: Any = None


class QuotaStore(Protocol):
    """Count the requests of callers.

    Its methods may be `async`; if not, they run in a worker thread, unless the store declares with `in_memory
    = True` that it never blocks. A `ConnectionError` or `TimeoutError` is answered with 503, anything else
    with 500. It may also have `health() -> QuotaHealth`.

    If it may block, it may also have a plain method `take_at_once(takes) -> Taken | None` that never does. It
    is called first, also by an event loop; `take` is called only if it returns None. If it borrows a part of
    quotas in advance, it may have `give_back_unused()`, which is called when an ASGI application shuts down.
    """

    def take(self, takes: Sequence[Take]) -> Taken | Awaitable[Taken]:
        """Take from all quotas in one step, or from none if an enforced quota has too little.

        Nothing is taken from a quota that is not enforced and has too little, as if it had refused.
        """
        ...

    def give_back(self, taken: Taken) -> Awaitable[None] | None:
        """Undo a `take` that was admitted, because its request was refused for another reason."""
        ...


@dataclass(frozen=True, slots=True)
class QuotaHealth:
    """Describe the state of a store of quotas; see `Guard.health`.

    Attributes:
        name: the store.
        counters: the number of counters (callers times quotas); for a shared store, those of which this
            process has borrowed a part.
        max_counters: the greatest number of counters.
        admitted: the number of admitted requests.
        refused: the number of refused requests.
        would_refuse: the number of requests that quotas without enforcement would have refused.
        reason: the reason why it refuses all or new callers; empty if it refuses none.
        unavailable: the number of requests answered with 503 because the store was down.
        by_share: the number of requests decided by the share of this process while the store was down.
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
        """Return the state in the words of `RemoteHealth`."""
        if self.reason:
            return "failing"
        return "fresh" if self.admitted or self.refused else "unused"


#: The result for a request that is not counted.
NOTHING = Taken(admitted=True, states=())
