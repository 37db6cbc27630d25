"""Hold all that one process has borrowed, up to a number of counters."""

from collections import OrderedDict
from collections.abc import Sequence

from authguard._core.quota_store import CounterKey, QuotaState, Take
from authguard.stores.counting.backend import Rest
from authguard.stores.counting.lease import Lease

_LOOKED_AT = 2  # counters for each new one, so that those are forgotten that are not in use
_MAX_BATCH = 500  # rests that are given back by one call


class LeaseTable:
    """Hold leases by counter, and those of which something has to be given back.

    One thread at a time may use it.

    Args:
        max_counters: how many leases to hold; beyond, the one that was asked for longest ago goes.

    Attributes:
        leases: by counter.
    """

    def __init__(self, max_counters: int) -> None:
        self.leases: OrderedDict[CounterKey, Lease] = OrderedDict()
        self._unreturned: OrderedDict[Lease, None] = OrderedDict()  # in the order in which they end, nearly
        self._max_counters = max_counters

    def lease_for(self, take: Take, now: float) -> Lease:
        """Return the lease of a counter; a new one if there is none, or one for another limit."""
        leases = self.leases
        lease = leases.get(take.key)
        if lease is not None and lease.limit == take.quota.count:
            leases.move_to_end(take.key)
            return lease
        for _ in range(min(_LOOKED_AT, len(leases))):
            oldest = next(iter(leases.values()))
            if oldest.is_in_use(now) and len(leases) < self._max_counters:
                break
            leases.popitem(last=False)  # what is left of it is given back
        lease = leases[take.key] = Lease(take)
        return lease

    def refused_states(self, takes: Sequence[Take], now: float) -> list[QuotaState]:
        """Return how quotas stand that the store has refused just now; nothing if it has to be asked."""
        states, is_refused = [], False
        for key, quota, cost in takes:
            lease = self.leases.get(key)
            if lease is None or lease.limit != quota.count:
                return []
            is_refused = is_refused or (quota.enforce and lease.is_refused(cost, now))
            states.append(lease.state(cost, now))
        return states if is_refused else []

    def note_unreturned(self, lease: Lease) -> None:
        """Note that something of a lease will have to be given back, if it is not spent."""
        self._unreturned.pop(lease, None)
        self._unreturned[lease] = None
        while len(self._unreturned) > self._max_counters:
            self._unreturned.popitem(last=False)  # it stays taken

    @property
    def has_unreturned(self) -> bool:
        """Return whether something may have to be given back."""
        return bool(self._unreturned)

    def collect(self, now: float) -> list[Rest]:
        """Return some of what may be spent no more; nothing if there is no such."""
        rests: list[Rest] = []
        while self._unreturned and len(rests) < _MAX_BATCH:
            lease = next(iter(self._unreturned))
            if lease.amount and now < lease.ends:
                if not lease.rests:
                    break
                rests += lease.take_rests()
                self._unreturned.move_to_end(lease)
            else:
                rests += lease.let_go()
                del self._unreturned[lease]
        return rests
