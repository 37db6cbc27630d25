"""Define the part that all stores share: followed revocations, and used proofs."""

from collections.abc import Callable

from authguard._core.options import Duration
from authguard.stores.downtime import Down, check_bound, check_replays_down, check_revocations_down
from authguard.stores.follower import Follower
from authguard.stores.log import Log
from authguard.stores.replays import Replays
from authguard.stores.revocations import SharedRevocations


class Store:
    """Store revocations and used proofs in a log that processes share.

    Args:
        open_log: opens the log, given the bound, which is also the timeout of a call in seconds.
        name: of the store, without secrets.
        bound: seconds after which a revocation applies in every process.
        revocations_down: the behaviour when the store has not answered for the bound.
        replays_down: the same for DPoP proofs.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range.
    """

    def __init__(
        self,
        open_log: Callable[[float], Log],
        name: str,
        *,
        bound: float | Duration,
        revocations_down: Down,
        replays_down: Down,
    ) -> None:
        seconds, stale = check_bound(bound), check_revocations_down(revocations_down)
        check_replays_down(replays_down)
        log = open_log(seconds)
        self._name = name
        self.revocations = SharedRevocations(log, Follower(log, name, bound=seconds, stale=stale))
        self.replays = Replays(log.use_proof, name, pause=seconds)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self.revocations.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"
