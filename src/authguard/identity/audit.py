"""Record an event for each flow that succeeds or fails, without secrets.

Events go to the log `authguard.audit`, to counters, and to a hook of the application.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TypeAlias

from authguard._core.options import check_plain_function
from authguard.errors import RateLimitedError

logger = logging.getLogger("authguard.audit")


@dataclass(frozen=True, slots=True)
class Event:
    """Describe a flow that succeeded or failed.

    Attributes:
        name: the flow, one of `reasons.Flow`.
        succeeded: whether the flow succeeded.
        at: seconds since the epoch.
        reason: the reason of a failure, or a remark about a success: one of `reasons.Reason`, or for
            `api_key_exposed` the kind of place where the key was found.
        user_id: the affected account, if known. Addresses of accounts are never in an event.
        session_id: the affected session, if any.
        address: the network address of the request.
        key_id: the public id of the affected API key, if any.
        actor_key_id: the public id of the API key that made the request, if any.
        provider: the provider of the sign-in, if any.
        provider_error: its own error code, if it sent one.
        limit: the exceeded limit of the reason `rate_limited`, such as `login_address`.
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
    limit: str = ""


def limit_of(error: Exception) -> str:
    """Return the name of the limit that an error is about; empty for another error."""
    return error.policy if isinstance(error, RateLimitedError) else ""


Hook: TypeAlias = Callable[[Event], None]


def check_hook(hook: object) -> None:
    """Check a hook; None is allowed.

    Raises:
        ConfigurationError: if it is not a plain function of an event: nothing would await another one.
    """
    if hook is not None:
        check_plain_function(hook, "audit_hook", "put the event into a queue that a task reads", "event")


class Audit:
    """Record events; thread-safe.

    Args:
        hook: called with each event, in the thread in which it happened, so it should be fast. Its exceptions
            are logged, and the flow continues.
    """

    def __init__(self, hook: Hook | None = None) -> None:
        check_hook(hook)
        self._hook = hook
        self._lock = Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def record(self, event: Event) -> None:
        """Write an event to the log, count it, and call the hook."""
        outcome = event.reason or ("success" if event.succeeded else "failure")
        with self._lock:
            self._counts[event.name, outcome] += 1
        if logger.isEnabledFor(logging.INFO):
            fields = {name: value for name, value in asdict(event).items() if value not in (None, "")}
            # JSON in ASCII, so that no line break or escape sequence can forge a log line.
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
