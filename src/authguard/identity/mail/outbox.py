"""Send mails after the answer, in a thread of their own, and try again.

The time of an answer does not tell whether a mail is sent.
"""

import heapq
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from threading import Condition, Thread
from typing import Literal, TypeAlias

from authguard._core.options import check_function, check_method, check_seconds, check_whole
from authguard.identity.mail.mailer import Mail, Mailer, MailError, check_product_name

logger = logging.getLogger("authguard")

#: Seconds for which the service lets a mail wait at least, and at most twice as long. A mail for a known
#: address takes more work than none for an unknown one. That work would compete with the answer, which is
#: still being written, for the interpreter's lock and the database. The random part keeps callers who ask
#: again and again from timing the work of one mail by the answer of another.
PAUSE_SECONDS = 0.25

#: What became of a mail: `refused` for good, or `unsent` for now.
Outcome: TypeAlias = Literal["sent", "refused", "unsent"]
#: Takes the outcome of a mail, and why it was not sent.
Done: TypeAlias = Callable[[Outcome, str], None]


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Count of the mails so far.

    Attributes:
        sent: handed to the mail server.
        retried: tries that failed, and were or will be made again.
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
class _Entry:
    due: float
    number: int
    make: Callable[[], Mail | None] = field(compare=False)
    done: Done = field(compare=False)
    is_lasting: bool = field(default=False, compare=False)
    tries: int = field(default=0, compare=False)


def _ignore(*outcome: object) -> None:
    """Ignore the outcome of a mail."""


class Outbox:
    """Make and send mails after the answer; try again what failed for the moment.

    They wait in memory: what has to outlive the process is a row of a table, which the outcome is noted in. A
    failure is logged without the mail's text and address. A mail that is tried again does not hold up the
    others.

    Args:
        mailer: what sends.
        report: called in the worker with the outcome of each mail: whether it was sent, and if not,
            `not_made`, `not_sent` or `outbox_full`.
        size: how many may wait; more are dropped, which is logged and counted.
        tries: how often to try to send one.
        backoff: seconds before the second try; doubled for each further one.
        product_name: what the subject and the text of each mail name; empty for nothing.
        pause: seconds before the first try at least, and at most twice as many; see `PAUSE_SECONDS`.
        clock: seconds, for the tries.
        random: a random number from 0 to 1, for the pause.

    Raises:
        ConfigurationError: for numbers under 1, or a pause under 0.
    """

    def __init__(
        self,
        mailer: Mailer,
        report: Callable[[bool, str], None] = _ignore,
        *,
        size: int = 1000,
        tries: int = 6,
        backoff: float = 2.0,
        pause: float = 0.0,
        product_name: str = "",
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        check_method(mailer, "mailer", "send", "mailer=SMTPMailer(…)", or_none=False)
        check_function(report, "report", or_none=False)
        check_function(clock, "clock", "clock=time.monotonic", or_none=False)
        check_function(random, "random", "random=random.random", or_none=False)
        self._mailer, self._report, self._clock, self._random = mailer, report, clock, random
        self._size = check_whole(size, "size", unit="mails")
        self._tries = check_whole(tries, "tries")
        self._backoff = check_seconds(backoff, "backoff", inf, exclusive=True)
        self._pause = check_seconds(pause, "pause", inf)
        self._product_name = check_product_name(product_name)
        self._hurries = 0
        self._changed = Condition()
        self._waiting: list[_Entry] = []
        self._stats = OutboxStats()
        self._number = 0
        self._busy = self._closing = False
        self._worker: Thread | None = None

    def submit(
        self, make: Callable[[], Mail | None], done: Done = _ignore, *, is_lasting: bool = False
    ) -> None:
        """Make a mail and send it, after the pause; never blocks. It may turn out that there is none to send.

        The worker is started by the first one, so that it runs in the process that serves.

        Args:
            make: returns the mail, or None.
            done: called once with what became of a mail, in the worker or by `submit` and `close`.
            is_lasting: whether `done` sees to it that the mail is tried again, and tells of it; it is tried
                once here then.
        """
        with self._changed:
            if is_accepted := not self._closing and len(self._waiting) < self._size:
                pause = 0.0 if self._hurries else self._pause * (1 + self._random())
                self._push(_Entry(self._clock() + pause, self._number, make, done, is_lasting))
                if self._worker is None or not self._worker.is_alive():
                    self._worker = Thread(target=self._run, name="authguard-outbox", daemon=True)
                    self._worker.start()
            else:
                self._count(dropped=not is_lasting)
        if not is_accepted:
            if not is_lasting:
                logger.error("the outbox is full or closed: a mail was dropped")
                self._report(False, "outbox_full")
            done("unsent", "the outbox is full or closed")

    @property
    def is_open(self) -> bool:
        """Return whether it takes mails: until it is closed."""
        return not self._closing

    @property
    def has_room(self) -> bool:
        """Return whether it takes another mail."""
        return not self._closing and len(self._waiting) < self._size

    def stats(self) -> OutboxStats:
        """Return the counts of the mails so far."""
        with self._changed:
            return replace(self._stats, waiting=len(self._waiting) + self._busy)

    def flush(self, timeout: float = 10.0) -> bool:
        """Send what waits for its first try at once, and wait until nothing waits.

        Args:
            timeout: seconds for all of it.

        Returns:
            False if it takes longer.
        """
        with self._changed:
            now = self._clock()
            for entry in self._waiting:
                if not entry.tries:
                    entry.due = min(entry.due, now)
            heapq.heapify(self._waiting)
            self._hurries += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)
            finally:
                self._hurries -= 1

    def close(self, timeout: float = 5.0) -> None:
        """Take no more, try once more to send what waits, and end the worker.

        Args:
            timeout: seconds for all of it; what has not been sent by then is given up.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(timeout)
        with self._changed:
            unsent = list(self._waiting)
            self._waiting.clear()
            self._count(failed=sum(not entry.is_lasting for entry in unsent))
        for entry in unsent:
            if not entry.is_lasting:
                logger.error("the outbox was closed: a mail was not sent")
                self._report(False, "not_sent")
            entry.done("unsent", "the service was stopped")

    def _push(self, entry: _Entry) -> None:
        heapq.heappush(self._waiting, entry)
        self._number += 1
        self._changed.notify_all()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            outcome = self._try(entry)
            with self._changed:
                self._busy = False
                self._count(**{outcome: 1} if outcome else {})
                self._changed.notify_all()

    def _next(self) -> _Entry | None:
        """Wait for the mail that is due, and return it; None to end."""
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

    def _try(self, entry: _Entry) -> str:
        """Make and send a mail; return the name of the counter for the outcome."""
        reason, mail = "not_made", None
        outcome: Outcome = "refused"
        try:
            if (mail := entry.make()) is None:
                return ""
            reason = "not_sent"
            self._mailer.send(mail.of_product(self._product_name))
        except MailError as error:
            if mail is not None and error.temporary and self._retry(entry, mail):
                logger.warning("a mail was not sent, and will be tried again: %s", error)
                return "retried"
            outcome = "unsent" if error.temporary else "refused"
            words = str(error)
        except Exception as error:
            # The text of the error may hold an address.
            words = type(error).__name__
            outcome = "unsent" if entry.is_lasting else "refused"
        else:
            outcome, reason, words = "sent", "", ""
        return self._end(entry, outcome, reason, words)

    def _end(self, entry: _Entry, outcome: Outcome, reason: str, words: str) -> str:
        """Tell of an outcome; return the name of its counter."""
        if not entry.is_lasting:
            if outcome != "sent":
                logger.error("a mail was %s: %s", reason.replace("_", " "), words)
            self._report(outcome == "sent", reason)
        entry.done(outcome, words)
        if outcome == "sent":
            return "sent"
        return "retried" if entry.is_lasting and outcome == "unsent" else "failed"

    def _retry(self, entry: _Entry, mail: Mail) -> bool:
        """Let the mail wait for its next try, if there is one."""
        tries = entry.tries + 1
        with self._changed:
            if entry.is_lasting or tries >= self._tries or self._closing:
                return False
            due = self._clock() + self._backoff * 2 ** (tries - 1)
            self._push(_Entry(due, self._number, lambda: mail, entry.done, tries=tries))
            return True

    def _count(self, **increments: int) -> None:
        counts = {name: getattr(self._stats, name) + number for name, number in increments.items()}
        self._stats = replace(self._stats, **counts)

    def __repr__(self) -> str:
        return f"Outbox({self._mailer!r})"
