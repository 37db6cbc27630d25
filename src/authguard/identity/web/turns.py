"""Queue requests with the same key, such as those for the password of one account.

Without the queue, parallel guesses would all be checked before the first delay is over. The network whose
first request is the newest has the next turn, so that the owner's single request does not wait behind those
of a flood. Requests of one network have their turns in order.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop, wait_for
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from authguard.errors import VerificationUnavailableError

Key: TypeAlias = tuple[str, ...]
_Waiter: TypeAlias = tuple[str, AbstractEventLoop, "Future[bool]"]  # the waiting request with its network

#: Requests that have a turn at the same time, for each key, because several tabs and devices may sign in
#: together.
MAX_TURNS = 4
#: Requests that wait for a turn, for each key; beyond this number, a request of the network with the most is
#: refused.
MAX_WAITING = 256
#: Seconds for which a request waits for a turn.
MAX_WAIT_SECONDS = 5.0


@dataclass(slots=True)
class _Queue:
    busy: int = 0
    waiting: list[_Waiter] = field(default_factory=list)

    def take_next(self) -> _Waiter:
        """Take the first request of the network that has arrived last."""
        first = {network: index for index, (network, _, _) in reversed(list(enumerate(self.waiting)))}
        return self.waiting.pop(max(first.values()))

    def take_surplus(self) -> _Waiter:
        """Take the last request of the network with the most; of several such networks, of the first."""
        counts = Counter(network for network, _, _ in self.waiting)
        largest = max(counts, key=counts.__getitem__)
        last = max(index for index, (network, _, _) in enumerate(self.waiting) if network == largest)
        return self.waiting.pop(last)


class Turns:
    """Give turns by key, to requests of any event loop.

    Args:
        seconds: for which a request waits.
    """

    def __init__(self, seconds: float = MAX_WAIT_SECONDS) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._queues: dict[Key, _Queue] = {}

    def is_full(self, key: Key) -> bool:
        """Return whether the next request would have to wait."""
        queue = self._queues.get(key)
        return queue is not None and queue.busy >= MAX_TURNS

    @asynccontextmanager
    async def take(self, key: Key, network: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the block.

        Args:
            key: the key, such as an account.
            network: the network of the request.

        Raises:
            VerificationUnavailableError: if it gets no turn in time.
        """
        loop = get_running_loop()
        turn: Future[bool] = loop.create_future()
        waiter = network, loop, turn
        self._enter(key, waiter)
        try:
            has_turn = await wait_for(turn, self._seconds)
        except BaseException as error:
            self._give_up(key, waiter)
            if not isinstance(error, TimeoutError):
                raise
            has_turn = False
        if not has_turn:
            raise VerificationUnavailableError("too many tries for one account at a time")
        try:
            yield
        finally:
            self._leave(key)

    def _enter(self, key: Key, waiter: _Waiter) -> None:
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.busy < MAX_TURNS:
                queue.busy += 1
                waiter[2].set_result(True)
                return
            queue.waiting.append(waiter)
            surplus = queue.take_surplus() if len(queue.waiting) > MAX_WAITING else None
        if surplus is not None:
            _, loop, turn = surplus
            _call(loop, self._settle, key, turn, False)

    def _give_up(self, key: Key, waiter: _Waiter) -> None:
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None and waiter in queue.waiting:
                queue.waiting.remove(waiter)
                return
        turn = waiter[2]
        if turn.done() and not turn.cancelled() and turn.result():
            self._leave(key)

    def _leave(self, key: Key) -> None:
        """Pass a turn to the next request."""
        while True:
            with self._lock:
                queue = self._queues[key]
                if not queue.waiting:
                    queue.busy -= 1
                    if not queue.busy:
                        del self._queues[key]
                    return
                _, loop, turn = queue.take_next()
            if _call(loop, self._settle, key, turn, True):
                return

    def _settle(self, key: Key, turn: "Future[bool]", has_turn: bool) -> None:
        if not turn.done():
            turn.set_result(has_turn)
        elif has_turn:  # the request was cancelled meanwhile
            self._leave(key)


def _call(loop: AbstractEventLoop, function: Callable[..., None], *args: object) -> bool:
    """Call a function in an event loop; False if the loop has ended."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return False
    return True
