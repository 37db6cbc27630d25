"""Send requests to a provider in attempts that are limited in time and number.

An attempt runs in a separate thread, because only then can a slow server or resolver be abandoned.
"""

import random
from collections.abc import Callable
from concurrent.futures import Future
from math import ceil
from threading import BoundedSemaphore, Lock, Thread, local
from time import monotonic
from typing import Any, TypeVar

from authguard._core.remote.http import Breaker
from authguard.identity.errors import ProviderUnavailableError

Result = TypeVar("Result")

#: Simultaneous attempts, including abandoned ones.
MAX_ATTEMPTS = 64
#: The longest pause in seconds between two attempts at a provider that does not answer.
MAX_PAUSE = 5.0


class Attempts:
    """Allow attempts to ask one provider. After one that took too long, only one at a time tries again.

    Args:
        name: of the provider.
        seconds: for one attempt, with all its requests.
        clock: seconds of a monotonic clock.
    """

    def __init__(self, name: str, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._breaker = Breaker(random.random, threshold=1, max_pause=MAX_PAUSE)
        self._lock = Lock()
        self._room = BoundedSemaphore(MAX_ATTEMPTS)
        self._inside = local()
        self._shared: dict[str, tuple[float, Future[Any]]] = {}

    def run(self, function: Callable[[], Result]) -> Result:
        """Return the result of the function; inside an attempt, it becomes part of that attempt.

        Raises:
            ProviderUnavailableError: if it takes too long, or the last attempt did.
        """
        if getattr(self._inside, "yes", False):
            return function()
        with self._lock:
            began = self._clock()
            blocked = self._breaker.blocked(began, self._seconds)
        if blocked:
            reason = f"{self._name} did not answer a short time ago"
            raise ProviderUnavailableError(reason, retry_after=ceil(blocked))
        if not self._room.acquire(blocking=False):
            raise ProviderUnavailableError(f"{self._name}: {MAX_ATTEMPTS} attempts are under way")
        outcome: Future[Result] = Future()
        try:
            Thread(target=self._attempt, args=(outcome, function), daemon=True).start()
        except RuntimeError:  # the system has no more threads for now
            self._room.release()
            raise ProviderUnavailableError(f"{self._name}: no thread can start") from None
        try:
            result = outcome.result(self._seconds)
        except (TimeoutError, NoAnswerError):
            raise self._no_answer(began) from None
        except Exception:
            self._answered()
            raise
        self._answered()
        return result

    def _attempt(self, outcome: "Future[Result]", function: Callable[[], Result]) -> None:
        self._inside.yes = True
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 (raised where it is awaited)
            outcome.set_exception(error)
        finally:
            self._room.release()

    def _answered(self) -> None:
        with self._lock:
            self._breaker.succeeded()

    def _no_answer(self, began: float) -> ProviderUnavailableError:
        with self._lock:
            self._breaker.failed(began, self._clock())
            blocked = self._breaker.backoff.remaining(self._clock())
        reason = f"{self._name} gave no answer within {self._seconds:g} seconds"
        return ProviderUnavailableError(reason, retry_after=ceil(blocked))

    def share(self, name: str, function: Callable[[], Result]) -> Result:
        """Return the result of the function, which is called once for all simultaneous callers.

        A call that takes too long is abandoned; the next caller calls the function again.

        Args:
            name: of the function.
            function: asks the provider.
        """
        mine: Future[Result] = Future()
        now = self._clock()
        with self._lock:
            started, flight = self._shared.get(name, (now, mine))
            if now - started >= self._seconds:
                started, flight = now, mine
            self._shared[name] = started, flight
        if flight is not mine:
            shared: Result = flight.result(self._seconds)
            return shared
        try:
            mine.set_result(function())
        except BaseException as error:  # noqa: BLE001 (raised by `result`)
            mine.set_exception(error)
        with self._lock:
            if self._shared[name][1] is mine:
                del self._shared[name]
        return mine.result()


class NoAnswerError(ProviderUnavailableError):
    """Report that a request within an attempt got no answer in time."""
