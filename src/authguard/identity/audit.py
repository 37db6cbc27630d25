"""Record an event for each flow that succeeded or failed, without secrets.

Events go to the log `authguard.audit`, to counters, and to a hook of the application.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TypeAlias

from authguard._core.options import check_function

logger = logging.getLogger("authguard.audit")


@dataclass(frozen=True, slots=True)
class Event:
    """Describe a flow that succeeded or failed.

    Attributes:
        name: the flow, one of `reasons.Flow`.
        succeeded: whether it did what was asked for.
        at: seconds since the epoch.
        reason: why it failed, or what is worth noting about a success: one of `reasons.Reason`, or of
            `api_key_exposed` what the key was found in.
        user_id: whom it is about, if that is known. Addresses of accounts are never in an event.
        session_id: the session it is about, if there is one.
        address: where the request came from.
        key_id: the public id of the API key it is about, if there is one.
        actor_key_id: the public id of the API key that has done it, if one has.
        provider: the provider that was to sign somebody in, if one was.
        provider_error: its own code for what went wrong, if it sent one.
    """

    name: str
    succeeded: bool
    at: float
    reason: str = ""
    user_id: str | None = None
    session_id: str | None = None
    address: str = ""
    key_id: str | None = None
    actor_key_id: str | None = None
    provider: str | None = None
    provider_error: str = ""


Hook: TypeAlias = Callable[[Event], None]


class Audit:
    """Take events; safe to use from several threads.

    Args:
        hook: called with each event, in the thread in which it happened; it should be quick.
            What it raises is logged, and the flow goes on.
    """

    def __init__(self, hook: Hook | None = None) -> None:
        check_function(hook, "audit_hook", takes="event")
        self._hook = hook
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def record(self, event: Event) -> None:
        """Write an event to the log, count it and hand it on."""
        outcome = event.reason or ("success" if event.succeeded else "failure")
        with self._lock:
            self._counts[event.name, outcome] += 1
        if logger.isEnabledFor(logging.INFO):
            fields = {name: value for name, value in asdict(event).items() if value not in (None, "")}
            # JSON in ASCII: no line break or escape sequence can forge a line of the log.
            logger.info("%s", json.dumps(fields))
        if self._hook is not None:
            try:
                self._hook(event)
            except Exception as error:
                logger.error("the audit hook raised %s", type(error).__name__)

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return how often each flow had each outcome: a reason, `success` or `failure`."""
        with self._lock:
            return dict(self._counts)
