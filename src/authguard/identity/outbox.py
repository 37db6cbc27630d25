"""The outbox: mails are sent behind the request, so that nobody can tell by the time whether one is sent."""

import heapq
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Condition, Thread

from authguard.errors import ConfigurationError
from authguard.identity.mail import Mail, Mailer, MailError

logger = logging.getLogger("authguard.identity")


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What became of the mails so far.

    Attributes:
        sent: handed to the mail server.
        retried: tries that failed and will be, or were, made again.
        failed: given up.
        dropped: not taken, as the outbox was full or closed.
        waiting: still to be sent.
    """

    sent: int = 0
    retried: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    number: int
    mail: Mail = field(compare=False)
    tries: int = field(default=0, compare=False)


class Outbox:
    """Mails to be sent by a thread of its own, which tries again what failed for the moment.

    They wait in memory: what has not been sent when the process dies is not sent, and whoever
    waits for it asks for another. A failure is logged once it is final, without the mail's text.

    Args:
        mailer: what sends.
        size: how many may wait; more are dropped, which is logged and counted.
        tries: how often to try to send one.
        backoff: seconds before the second try; doubled for each further one.
        clock: seconds, for the tries.

    Raises:
        ConfigurationError: for numbers under 1.
    """

    def __init__(
        self,
        mailer: Mailer,
        *,
        size: int = 1000,
        tries: int = 6,
        backoff: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if size < 1 or tries < 1 or backoff <= 0:
            raise ConfigurationError("an outbox has a size, a number of tries and a backoff over 0")
        self._mailer, self._size, self._tries, self._backoff = mailer, size, tries, backoff
        self._clock = clock
        self._changed = Condition()
        self._waiting: list[_Waiting] = []
        self._stats = OutboxStats()
        self._number = 0
        self._busy = self._closing = False
        self._worker: Thread | None = None

    def put(self, mail: Mail) -> bool:
        """Take a mail to be sent; never blocks, and False if it was dropped.

        The worker is started by the first one, so that it runs in the process that serves.
        """
        with self._changed:
            if self._closing or len(self._waiting) >= self._size:
                self._count(dropped=1)
                logger.error("outbox is %s: mail dropped", "closed" if self._closing else "full")
                return False
            self._push(_Waiting(self._clock(), self._number, mail))
            if self._worker is None or not self._worker.is_alive():
                self._worker = Thread(target=self._run, name="authguard-outbox", daemon=True)
                self._worker.start()
            return True

    @property
    def stats(self) -> OutboxStats:
        """What became of the mails so far."""
        with self._changed:
            return replace(self._stats, waiting=len(self._waiting) + self._busy)

    def flush(self, timeout: float) -> bool:
        """Wait until nothing waits; False if that takes more than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Take no more, try once more to send what waits, and end the worker.

        Args:
            timeout: seconds for all of it; what has not been sent by then is logged as failed.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(timeout)
        with self._changed:
            if left := len(self._waiting) + self._busy:
                self._count(failed=left)
                logger.error("outbox closed: %d mails not sent", left)
                self._waiting.clear()

    def _push(self, entry: _Waiting) -> None:
        heapq.heappush(self._waiting, entry)
        self._number += 1
        self._changed.notify_all()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            error: MailError | None = None
            try:
                self._mailer.send(entry.mail)
            except MailError as failure:
                error = failure
            except Exception as failure:  # noqa: BLE001 (a mailer of somebody's own; the worker goes on)
                error = MailError(type(failure).__name__, temporary=False)
            with self._changed:
                self._busy = False
                self._settle(entry, error)
                self._changed.notify_all()

    def _next(self) -> _Waiting | None:
        """The mail that is due, once there is one; None to end."""
        with self._changed:
            while True:
                if not self._waiting:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                wait = self._waiting[0].due - self._clock()
                if wait <= 0 or self._closing:
                    self._busy = True
                    return heapq.heappop(self._waiting)
                self._changed.wait(wait)

    def _settle(self, entry: _Waiting, error: MailError | None) -> None:
        tries = entry.tries + 1
        if error is None:
            self._count(sent=1)
        elif error.temporary and tries < self._tries and not self._closing:
            self._count(retried=1)
            due = self._clock() + self._backoff * 2 ** (tries - 1)
            self._push(_Waiting(due, self._number, entry.mail, tries))
            logger.warning("mail %r: try %d failed: %s", entry.mail.subject, tries, error)
        else:
            self._count(failed=1)
            logger.error("mail %r: given up after %d tries: %s", entry.mail.subject, tries, error)

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self._stats, name) + number for name, number in more.items()}
        self._stats = replace(self._stats, **counts)

    def __repr__(self) -> str:
        return f"Outbox({self._mailer!r})"
