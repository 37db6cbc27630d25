"""Create and send mails after the answer, in a separate thread.

The duration of an answer therefore does not disclose whether a mail is sent.
"""

import heapq
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf
from threading import Condition, Thread
from typing import Literal, TypeAlias

from authguard._core.options import (
    check_clock,
    check_function,
    check_list,
    check_plain_methods,
    check_seconds,
    check_whole,
    got,
)
from authguard.errors import ConfigurationError
from authguard.identity.mail.mailer import Mail, Mailer, MailError, check_product_name

#: The shortest waiting time of a mail in seconds; the longest is twice that. A mail for a known address takes
#: more work than no mail for an unknown one. That work would compete with the answer, which is still being
#: written, for the interpreter's lock and the database. The random part prevents repeated requests from
#: measuring the work for one mail in the answer of another.
PAUSE_SECONDS = 0.25
_LINK = '("Privacy", "https://example.com/privacy")'

#: The outcome of a mail: `refused` permanently, or `unsent` for now.
Outcome: TypeAlias = Literal["sent", "refused", "unsent"]
#: Called with the outcome of a mail, and the reason why it was not sent.
Done: TypeAlias = Callable[[Outcome, str], None]


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Count the mails so far.

    Attributes:
        sent: accepted by the mail server.
        unsent: not sent for now.
        refused: refused permanently.
        waiting: still to be tried.
    """

    sent: int = 0
    unsent: int = 0
    refused: int = 0
    waiting: int = 0


@dataclass(order=True, slots=True)
class _Entry:
    due: float
    number: int
    make: Callable[[], Mail | None] = field(compare=False)
    done: Done = field(compare=False)


class Outbox:
    """Create and send mails after the answer, each of them once.

    The mails wait in memory. A mail that must survive the process or be retried is a row of a table, in which
    its outcome is noted.

    Args:
        mailer: sends the mails.
        size: the greatest number of waiting mails; further mails are not accepted.
        product_name: the product name in the subject and text of each mail; empty for none.
        links: titles and addresses below the text of each mail.
        pause: the shortest time in seconds before a mail is created, at most twice that; see `PAUSE_SECONDS`.
        clock: seconds, for the pause.
        random: a random number from 0 to 1, for the pause.

    Raises:
        ConfigurationError: if the size is below 1, the pause is below 0, or a link is not a pair of texts.
    """

    def __init__(
        self,
        mailer: Mailer,
        *,
        size: int = 1000,
        pause: float = 0.0,
        product_name: str = "",
        links: Iterable[tuple[str, str]] = (),
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        check_plain_methods(mailer, "mailer", "send", "mailer=SMTPMailer(…)", or_none=False)
        check_clock(clock, "time.monotonic")
        check_function(random, "random", "random=random.random", or_none=False)
        self._mailer, self._clock, self._random = mailer, clock, random
        self._size = check_whole(size, "size", unit="mails")
        self._pause = check_seconds(pause, "pause", inf)
        self._product_name, self._links = check_product_name(product_name), _checked(links)
        self._hurries = 0
        self._changed = Condition()
        self._waiting: list[_Entry] = []
        self._stats = OutboxStats()
        self._number = 0
        self._busy = self._closing = False
        self._worker: Thread | None = None

    def submit(self, make: Callable[[], Mail | None], done: Done) -> None:
        """Create and send a mail after the pause; this never blocks. The maker may return no mail.

        The first mail starts the worker, so that it runs in the serving process.

        Args:
            make: returns the mail, or None.
            done: called once with the outcome of a mail, in the worker or by `submit` and `close`; it
                arranges a retry and reports the outcome.
        """
        with self._changed:
            if is_accepted := not self._closing and len(self._waiting) < self._size:
                pause = 0.0 if self._hurries else self._pause * (1 + self._random())
                heapq.heappush(self._waiting, _Entry(self._clock() + pause, self._number, make, done))
                self._number += 1
                self._changed.notify_all()
                if self._worker is None or not self._worker.is_alive():
                    self._worker = Thread(target=self._run, name="authguard-outbox", daemon=True)
                    self._worker.start()
        if not is_accepted:
            done("unsent", "the outbox is full or closed")

    @property
    def is_open(self) -> bool:
        """Return whether mails are accepted: until it is closed."""
        return not self._closing

    @property
    def has_room(self) -> bool:
        """Return whether another mail is accepted."""
        return not self._closing and len(self._waiting) < self._size

    def stats(self) -> OutboxStats:
        """Return the counts of the mails so far."""
        with self._changed:
            return replace(self._stats, waiting=len(self._waiting) + self._busy)

    def flush(self, timeout: float = 10.0) -> bool:
        """Send waiting mails at once, and wait until none are left.

        Args:
            timeout: seconds for all mails.

        Returns:
            False if the time was too short.
        """
        with self._changed:
            now = self._clock()
            for entry in self._waiting:
                entry.due = min(entry.due, now)
            heapq.heapify(self._waiting)
            self._hurries += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)
            finally:
                self._hurries -= 1

    def close(self, timeout: float = 5.0) -> None:
        """Accept no more mails, send the waiting ones, and end the worker.

        Args:
            timeout: seconds for all mails; the remaining ones are not sent.
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
        for entry in unsent:
            entry.done("unsent", "the service was stopped")

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            outcome = self._try(entry)
            with self._changed:
                self._busy = False
                if outcome is not None:
                    self._stats = replace(self._stats, **{outcome: getattr(self._stats, outcome) + 1})
                self._changed.notify_all()

    def _next(self) -> _Entry | None:
        """Wait for the next mail that is due, and return it; None to end."""
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

    def _try(self, entry: _Entry) -> Outcome | None:
        """Create and send a mail, and report the outcome; None without a mail to send."""
        outcome: Outcome
        try:
            if (mail := entry.make()) is None:
                return None
            self._mailer.send(mail.of_product(self._product_name, self._links))
        except MailError as error:
            outcome, words = "unsent" if error.temporary else "refused", str(error)
        except Exception as error:
            outcome, words = "unsent", type(error).__name__  # the text of the error may contain an address
        else:
            outcome, words = "sent", ""
        entry.done(outcome, words)
        return outcome

    def __repr__(self) -> str:
        return f"Outbox({self._mailer!r})"


def _checked(links: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the links, each a title and an address."""
    checked = check_list(links, "links", _LINK)
    for link in checked:
        if not (isinstance(link, tuple) and len(link) == 2 and all(isinstance(part, str) for part in link)):
            raise ConfigurationError(
                f"links must be pairs of a title and an address, got {got(link)}: write links=[{_LINK}]"
            )
    return tuple(checked)
