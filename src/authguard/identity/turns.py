"""Turns for what is asked too often at a time, such as the password of one account.

Guesses that come in parallel would otherwise all be checked before the first delay is over. The newest
comes first: a flood has many requests and the owner of an account one, which must not wait behind them.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop, wait_for
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from authguard.errors import VerificationUnavailableError

Key: TypeAlias = tuple[str, ...]
_Waiting: TypeAlias = tuple[AbstractEventLoop, "Future[bool]"]

#: Requests that have a turn at the same time, for each key: as many tabs and devices as sign in at a time.
MAX_TURNS = 4
#: Requests that wait for a turn, for each key; beyond that the oldest is refused.
MAX_WAITING = 64
#: Seconds for which a request waits for a turn.
MAX_WAIT_SECONDS = 5.0


@dataclass(slots=True)
class _Queue:
    busy: int = 0
    waiting: deque[_Waiting] = field(default_factory=deque)


class Turns:
    """Turns by key, for whichever event loops ask.

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
    async def take(self, key: Key) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the block.

        Raises:
            VerificationUnavailableError: if there is none in time.
        """
        loop = get_running_loop()
        turn: Future[bool] = loop.create_future()
        self._enter(key, (loop, turn))
        try:
            has_turn = await wait_for(turn, self._seconds)
        except BaseException as error:
            self._give_up(key, (loop, turn))
            if not isinstance(error, TimeoutError):
                raise
            has_turn = False
        if not has_turn:
            raise VerificationUnavailableError("too many tries for one account at a time")
        try:
            yield
        finally:
            self._leave(key)

    def _enter(self, key: Key, one: _Waiting) -> None:
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.busy < MAX_TURNS:
                queue.busy += 1
                one[1].set_result(True)
                return
            queue.waiting.append(one)
            oldest = queue.waiting.popleft() if len(queue.waiting) > MAX_WAITING else None
        if oldest is not None:
            _call(oldest[0], self._settle, key, oldest[1], False)

    def _give_up(self, key: Key, one: _Waiting) -> None:
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None and one in queue.waiting:
                queue.waiting.remove(one)
                return
        turn = one[1]
        if turn.done() and not turn.cancelled() and turn.result():
            self._leave(key)

    def _leave(self, key: Key) -> None:
        """Hand a turn on to the newest request that waits."""
        while True:
            with self._lock:
                queue = self._queues[key]
                if not queue.waiting:
                    queue.busy -= 1
                    if not queue.busy:
                        del self._queues[key]
                    return
                loop, turn = queue.waiting.pop()
            if _call(loop, self._settle, key, turn, True):
                return

    def _settle(self, key: Key, turn: "Future[bool]", has_turn: bool) -> None:
        if not turn.done():
            turn.set_result(has_turn)
        elif has_turn:  # it was given up meanwhile
            self._leave(key)


def _call(loop: AbstractEventLoop, function: Callable[..., None], *args: object) -> bool:
    """Call a function in an event loop; False if the loop has ended."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return False
    return True
