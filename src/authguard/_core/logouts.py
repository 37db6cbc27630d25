"""Check a store of logouts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast

from authguard._core.callbacks import Callback, is_in_memory, note_source, says_in_memory
from authguard._core.flow import Call, Flow
from authguard._core.model import Auth, Principal, api_key_id
from authguard._core.options import check_method, yes_or_no
from authguard.errors import RevokedTokenError

Mode: TypeAlias = Literal["unused", "pushed", "checking", "stale", "down"]
_STATES: dict[str, Literal["unused", "fresh", "stale", "failing"]] = {
    "unused": "unused",
    "pushed": "fresh",
    "checking": "fresh",
    "stale": "stale",
    "down": "failing",
}

_EACH_TIME = -2  # different from every caller's revision, so that each request checks its caller


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Describe how a process follows a shared store of revocations; see `Guard.health`.

    Attributes:
        name: the store, without secrets.
        mode: `unused` before the first request; `pushed` while memory is used; `checking` while each request
            asks the store, because memory cannot hold all marks; `stale` while memory is used although the
            store is down; `down` while requests are refused.
        lag: seconds since the log was last read; None if never.
        sequence: the number of the last mark that is known.
        reconnects: the number of outages after which the store has answered again.
        reason: of the outage; empty without an outage.
    """

    name: str
    mode: Mode
    lag: float | None
    sequence: int
    reconnects: int
    reason: str

    @property
    def state(self) -> Literal["unused", "fresh", "stale", "failing"]:
        """Return the mode in the words of `RemoteHealth`."""
        return _STATES[self.mode]


class Revocations(Protocol):
    """Define a store of logouts.

    `is_revoked` may be `async`; if not, it runs in a worker thread, unless the store declares with `in_memory
    = True`, or the method with `@in_memory`, that it never blocks. A `ConnectionError` or `TimeoutError` that
    it raises is answered with 503, anything else with 500.

    A store may also have the methods of `SharedMemory`, and `health() -> StoreHealth`. A class that replaces
    `is_revoked` alone is asked by that, for each request.
    """

    def is_revoked(self, principal: Principal) -> bool | Awaitable[bool]:
        """Return whether the principal's token, API key, session or subject has been revoked."""
        ...


class SharedMemory(Protocol):
    """Answer from memory while the memory is current."""

    def revision(self) -> int | None:
        """Return a number that changes after each revocation that this process reads.

        None while the memory is not current, and `is_revoked` must ask the store. A caller that is not
        revoked is checked again only if the number has changed.
        """
        ...

    def is_known_revoked(self, principal: Principal) -> bool:
        """Return the result of `is_revoked` from memory."""
        ...


class RememberedCaller(Protocol):
    """Describe a verified caller for the check of logouts.

    Attributes:
        auth: has the principal.
        revision: the revision of the store at which the caller was last found not to be revoked.
    """

    auth: Auth
    revision: int


class Logouts:
    """Ask a store, on the straight path or in a flow.

    Args:
        store: the store.

    Attributes:
        store: the store.
        is_revoked: asks the store.
        revision: as that of `SharedMemory`; None for a store without a memory.
        is_memory: whether the straight path may ask the store, at least at times.
    """

    def __init__(self, store: Revocations) -> None:
        write = "store.revocations" if hasattr(store, "revocations") else "MemoryRevocations()"
        if isinstance(store, str):
            write = 'RedisStore("redis://…").revocations'
        check_method(store, "revocations", "is_revoked", f"revocations={write}", takes="principal")
        self.store = store
        memory = cast("SharedMemory | None", store if _answers_by_memory(store) else None)
        in_memory = says_in_memory(store, "revocations", "is_revoked") or is_in_memory(store.is_revoked)
        self.is_revoked: Callback[object] = Callback(store.is_revoked, "revocations")
        self.is_memory = in_memory or memory is not None
        self.revision: Callable[[], int | None] = _always if in_memory else _never
        self._is_known_revoked: Callable[[Principal], object] = store.is_revoked
        if memory is not None:
            self.revision, self._is_known_revoked = memory.revision, memory.is_known_revoked

    def clears(self, caller: RememberedCaller, revision: int | None) -> bool:
        """Return whether a caller is not revoked; False also if the memory is not current.

        Args:
            caller: the caller to check.
            revision: the result of `revision` before this call.
        """
        if revision is None:
            return False
        try:
            if self._is_known_revoked(caller.auth.principal) is not False:
                return False
        except Exception:
            return False  # `check` raises the same error again, and handles it
        if revision != _EACH_TIME:
            caller.revision = revision
        return True

    def clears_now(self, caller: RememberedCaller) -> bool:
        """Return the result of `clears`, without a look-up if the revision has not changed."""
        revision = self.revision()
        return caller.revision == revision or self.clears(caller, revision)

    def check(self, principal: Principal) -> Flow[None]:
        """Raise RevokedTokenError if the caller is revoked."""
        revoked: object
        if self.revision() is None:
            revoked = yield from Call(self.is_revoked, principal)
        else:
            try:
                revoked = self._is_known_revoked(principal)
            except Exception as error:
                note_source(error, "revocations", self._is_known_revoked)
                raise
        if yes_or_no("is_revoked()", revoked):
            raise RevokedTokenError("revoked", key_id=api_key_id(principal))

    def health(self) -> Sequence[StoreHealth]:
        """Return the state of the store, if it reports one."""
        health: Callable[[], StoreHealth] | None = getattr(self.store, "health", None)
        return () if health is None else (health(),)


def _answers_by_memory(store: object) -> bool:
    """Return whether the memory of a store has the same answers as its `is_revoked`.

    A class of an application, or an assignment to an attribute of the store, may have replaced `is_revoked`
    alone.
    """
    return hasattr(store, "is_known_revoked") and (
        _distance(store, "is_known_revoked") <= _distance(store, "is_revoked")
    )


def _distance(store: object, method: str) -> int:
    """Return how far from the store a method is defined: 0 on the object, 1 in its class, and so on."""
    defined = [getattr(store, "__dict__", {}), *map(vars, type(store).__mro__)]
    return next((n for n, names in enumerate(defined) if method in names), len(defined))


def _always() -> int:
    return _EACH_TIME


def _never() -> None:
    return None
