"""Compute how long a client must wait: for the server's limits, and for its own."""

import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

_MINUTE_SECONDS = 60.0
#: The shortest pause between two attempts, so that `Retry-After: 0` does not cause a loop without pauses.
MIN_PAUSE_SECONDS = 1.0
_WHOLE_SECONDS = re.compile(r"[0-9]{1,9}\Z")
#: An item of the field RateLimit: a quoted name and its parameters.
_ITEM = re.compile(r'"(?:[^"\\]|\\.)*"((?:\s*;\s*[a-z*][a-z0-9_.*-]*(?:=[^;,"]*)?)*)')
_REMAINING = re.compile(r";\s*r=([0-9]{1,15})(?![0-9])")
_RESET = re.compile(r";\s*t=([0-9]{1,9})(?![0-9])")
_MAX_FIELD = 4096  # characters of RateLimit that are read


class RequestPacer:
    """Space the requests of all threads and tasks, so that no 60 seconds have too many.

    Args:
        per_minute: the greatest number of requests in 60 seconds.
        clock: seconds of a monotonic clock.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._starts: deque[float] = deque(maxlen=per_minute)

    def reserve(self) -> float:
        """Reserve the next start of a request, and return the seconds until then."""
        with self._lock:
            now = start = self._clock()
            if len(self._starts) == self._starts.maxlen:
                start = max(now, self._starts[0] + _MINUTE_SECONDS)
            self._starts.append(start)
        return start - now


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Return the seconds after which to send a refused request again; None if the server names no time.

    Only a 429 is sent again.
    """
    return named_pause(response.headers) if response.status_code == 429 else None


def named_pause(headers: httpx.Headers) -> float | None:
    """Return the seconds that an answer names for the next attempt, at least one; None if it names none.

    `Retry-After` (RFC 9110 section 10.2.3) takes precedence over `RateLimit`
    (draft-ietf-httpapi-ratelimit-headers section 4). All exhausted limits of `RateLimit` must have been
    reset.
    """
    seconds = _retry_after(headers)
    if seconds is None:
        seconds = _longest_reset(headers.get("ratelimit", "")[:_MAX_FIELD])
    return None if seconds is None else max(seconds, MIN_PAUSE_SECONDS)


def _retry_after(headers: httpx.Headers) -> float | None:
    text = headers.get("retry-after", "").strip()
    if _WHOLE_SECONDS.match(text):
        return float(text)
    until, sent = _date(text), _date(headers.get("date", ""))
    # Computed by the server's clock only, because the client's clock may differ.
    return None if until is None or sent is None else (until - sent).total_seconds()


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None


def _longest_reset(field: str) -> float | None:
    resets = []
    for item in _ITEM.finditer(field):
        remaining, reset = _REMAINING.search(item[1]), _RESET.search(item[1])
        if remaining and reset and int(remaining[1]) == 0:
            resets.append(float(reset[1]))
    return max(resets, default=None)
