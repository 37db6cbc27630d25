"""Share calls among the turns of an event loop, so that many callers do not block other tasks."""

import asyncio
from collections import deque
from typing import Any

from authguard._core.flow import Later
from authguard.drivers.pool import outcome_of, settle

MAX_IN_TURN = 128  # units of a `Pace`: 32 signatures by public keys


class Turns:
    """Queue the calls of one event loop, in the order of their arrival."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[Any], Later[Any]]] = deque()

    def answer(self, question: Later[Any], loop: asyncio.AbstractEventLoop) -> "asyncio.Future[Any]":
        """Return a future of the answer, without a task for each caller."""
        if not self._waiting:
            loop.call_soon(self._work)
        waiter: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((waiter, question))
        return waiter

    def _work(self) -> None:
        """Answer some callers, and leave the others to the next turns."""
        budget = MAX_IN_TURN
        while budget > 0 and self._waiting:
            waiter, question = self._waiting.popleft()
            budget -= question.cost
            if not waiter.done():  # otherwise the request has been cancelled
                settle(waiter, outcome_of(question.work))
            if not self._waiting:
                question.pace.begin()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._work)


_turns: dict[asyncio.AbstractEventLoop, Turns] = {}


def answer_later(question: Later[Any]) -> "asyncio.Future[Any]":
    """Answer a question in one of the next turns of this event loop."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        for other in list(_turns):
            if other.is_closed():
                _turns.pop(other, None)
        turns = _turns[loop] = Turns()
    return turns.answer(question, loop)
