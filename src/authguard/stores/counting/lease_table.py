"""Manage the leases of one process, up to a number of counters."""

from collections import OrderedDict
from collections.abc import Sequence

from authguard._core.quota_store import CounterKey, QuotaState, Take
from authguard.stores.counting.backend import Rest
from authguard.stores.counting.lease import Lease

_LOOKED_AT = 2  # leases examined for each new one, so that unused ones are dropped
_MAX_BATCH = 500  # rests given back by one call


class LeaseTable:
    """Store leases by counter, and note which of them have rests to give back.

    It is not thread-safe.

    Args:
        max_counters: the greatest number of leases; beyond it, the least recently used lease is dropped.

    Attributes:
        leases: the leases, by counter.
    """

    def __init__(self, max_counters: int) -> None:
        self.leases: OrderedDict[CounterKey, Lease] = OrderedDict()
        self._unreturned: OrderedDict[Lease, None] = OrderedDict()  # roughly in the order in which they end
        self._max_counters = max_counters

    def lease_for(self, take: Take, now: float) -> Lease:
        """Return the lease of a counter. A missing one is created, and one with another limit is replaced."""
        leases = self.leases
        lease = leases.get(take.key)
        if lease is not None and lease.limit == take.quota.count:
            leases.move_to_end(take.key)
            return lease
        for _ in range(min(_LOOKED_AT, len(leases))):
            oldest = next(iter(leases.values()))
            if oldest.is_in_use(now) and len(leases) < self._max_counters:
                break
            leases.popitem(last=False)  # its unspent amount is given back
        lease = leases[take.key] = Lease(take)
        return lease

    def refused_states(self, takes: Sequence[Take], now: float) -> list[QuotaState]:
        """Return the states of the quotas if the store has just refused them; otherwise an empty list."""
        states, is_refused = [], False
        for key, quota, cost in takes:
            lease = self.leases.get(key)
            if lease is None or lease.limit != quota.count:
                return []
            is_refused = is_refused or (quota.enforce and lease.is_refused(cost, now))
            states.append(lease.state(cost, now))
        return states if is_refused else []

    def note_unreturned(self, lease: Lease) -> None:
        """Note that a lease may have something to give back later."""
        self._unreturned.pop(lease, None)
        self._unreturned[lease] = None
        while len(self._unreturned) > self._max_counters:
            self._unreturned.popitem(last=False)  # the amount stays taken in the store

    @property
    def has_unreturned(self) -> bool:
        """Return whether a lease may have something to give back."""
        return bool(self._unreturned)

    def collect(self, now: float) -> list[Rest]:
        """Return some of the rests to give back; an empty list if none are left."""
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
