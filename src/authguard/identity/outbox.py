"""What happens after the answer: mails, sent by a thread of their own and tried again.

Nobody can tell by the time of an answer whether a mail was sent.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event
from typing import Protocol

from authguard.identity.audit import Audit
from authguard.identity.audit import Event as AuditEvent
from authguard.identity.mail import Mail, MailError


class Mailer(Protocol):
    """Anything that sends a mail, and raises MailError if it cannot."""

    def send(self, mail: Mail) -> None:
        """Send a mail, in this thread."""
        ...


logger = logging.getLogger("authguard")

_WAITING = 1000  # mails; each is about 2 KB
_PAUSES = (1.0, 10.0, 60.0)  # seconds before a mail is tried again


class Outbox:
    """Sends mails after the answer.

    Args:
        mailer: how mails are sent.
        audit: told about mails that could not be sent.
        clock: seconds since the epoch.
    """

    def __init__(self, mailer: Mailer, audit: Audit, clock: Callable[[], float]) -> None:
        self._mailer = mailer
        self._audit = audit
        self._clock = clock
        self._room = BoundedSemaphore(_WAITING)
        self._closing = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="authguard-outbox")

    def submit(self, make: Callable[[], Mail | None]) -> None:
        """Make a mail and send it, later; it may turn out that there is none to send."""
        if not self._room.acquire(blocking=False):
            self._failed("outbox_full")
            return
        self._thread.submit(self._run, make)

    def _run(self, make: Callable[[], Mail | None]) -> None:
        try:
            mail = make()
            if mail is not None:
                self._send(mail)
        except Exception as error:
            # The text of the error may hold an address.
            logger.error("a mail could not be made: %s", type(error).__name__)
            self._failed("not_made")
        finally:
            self._room.release()

    def _send(self, mail: Mail) -> None:
        for pause in (*_PAUSES, None):
            try:
                self._mailer.send(mail)
            except MailError as error:
                logger.warning("a mail was not sent: %s", type(error).__name__)
                if pause is None or self._closing.wait(pause):
                    break
            else:
                self._audit.record(AuditEvent("mail", True, self._clock()))
                return
        self._failed("not_sent")

    def _failed(self, reason: str) -> None:
        self._audit.record(AuditEvent("mail", False, self._clock(), reason))

    def flush(self) -> None:
        """Wait until everything submitted so far was sent or given up."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        """Send what is waiting, without trying again, and stop."""
        self._closing.set()
        self._thread.shutdown()
