"""Decide about HTTP requests to remotes: when to ask again, and the meaning of an answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Literal

from authguard._core.flow import Response
from authguard._core.strict_json import JSONError, parse_object_bytes

_MAX_DEPTH = 8
_JSON = re.compile(r"application/(?:json|[a-z0-9.+-]+\+json)(?:\s*;.*)?\Z", re.IGNORECASE)
# The media types that servers, such as object stores and repository pages, give a file of unknown type.
_STATIC = re.compile(
    r"(?:application/(?:octet-stream|x-json|x-pem-file|pem-certificate-chain)|binary/octet-stream"
    r"|text/(?:plain|json|x-json))?"
    r"(?:\s*;.*)?\Z",
    re.IGNORECASE,
)
_KEY_SET = 'an object with this list as its member, {"keys": […]} (RFC 7517 section 5)'
_SECONDS = re.compile(r"[0-9]{1,9}\Z")
_MAX_AGE = re.compile(r'(?:\A|[,\s])max-age="?([0-9]{1,9})"?(?:\Z|[,\s])', re.IGNORECASE)
_NO_STORE = re.compile(r"(?:\A|[,\s])no-(?:store|cache)(?:\Z|[,\s])", re.IGNORECASE)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MIN_TTL = 60.0
MAX_TTL = 86400.0
MAX_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class RemoteHealth:
    """Describe the state of one remote; see `Guard.health`.

    Attributes:
        name: the URL, or the issuer.
        state: `unused` before the first request; `fresh`; `stale` while the last valid answer is still used
            in an outage; `failing` if credentials cannot be checked with it.
        failures: failed attempts since the last successful one.
        reason: the reason of the last failure, or the keys that were skipped; empty for none.
        fetched_at: the time of the last valid answer in seconds since the epoch, or None.
        fresh_until: the time until which that answer is fresh, or None.
    """

    name: str
    state: Literal["unused", "fresh", "stale", "failing"]
    failures: int = 0
    reason: str = ""
    fetched_at: float | None = None
    fresh_until: float | None = None


class Backoff:
    """Pause after failures: 1 second, 2, 4 … 30, each shortened at random by up to a half.

    Args:
        random: returns numbers from 0 to 1, so that many processes do not all retry at the same time.
        max_pause: seconds of the longest pause.
    """

    def __init__(self, random: Callable[[], float], max_pause: float = MAX_PAUSE) -> None:
        self._random = random
        self._max_pause = max_pause
        self.failures = 0
        #: The time of the last failure, in seconds since the epoch; None after a success.
        self.failed_at = float("-inf")
        self._until = float("-inf")

    def failed(self, now: float) -> None:
        """Note that an attempt has failed."""
        self.failures += 1
        self.failed_at = now
        longest = min(self._max_pause, 2.0 ** min(self.failures - 1, 10))
        self._until = now + longest * (1 - self._random() / 2)

    def pause(self, now: float, seconds: float) -> None:
        """Note that the server has asked for a pause."""
        self._until = max(self._until, now + min(seconds, MAX_PAUSE))

    def succeeded(self) -> None:
        """Note that an attempt has succeeded."""
        self.failures = 0
        self.failed_at = self._until = float("-inf")

    def remaining(self, now: float) -> float:
        """Return the seconds until the next attempt; 0 if it may be made now."""
        seconds = self._until - now
        # a longer pause means that the clock was set back
        return seconds if 0 < seconds <= MAX_PAUSE else 0.0


class Budget:
    """Count attempts: a few may be made at once, and they become available again one by one.

    With a plain pause, one useless request would block the useful request after it.

    Args:
        size: the greatest number of attempts.
        seconds: the seconds until one attempt becomes available again.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._attempts = float(size)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Take one attempt, if one is available."""
        gained = max(0.0, now - self._at) / self._seconds
        self._attempts = min(self._size, self._attempts + gained)
        self._at = now
        if self._attempts < 1:
            return False
        self._attempts -= 1
        return True

    def give_back(self) -> None:
        """Return an attempt to the budget, because it succeeded."""
        self._attempts = min(self._size, self._attempts + 1)

    def remaining(self) -> float:
        """Return the seconds, from the last call of `take`, until an attempt is available again."""
        return max(0.0, 1 - self._attempts) * self._seconds


class Breaker:
    """Stop asking a server that does not answer, and let one request try it after each pause.

    Args:
        random: see `Backoff`.
        threshold: failures in a row after which requests no longer wait.
        max_pause: see `Backoff`.
    """

    def __init__(self, random: Callable[[], float], threshold: int = 3, max_pause: float = MAX_PAUSE) -> None:
        self.backoff = Backoff(random, max_pause)
        self._threshold = threshold
        self._weight = 0
        #: The number of requests without an answer since the last answer.
        self.failures = 0
        self._trial_until = float("-inf")

    def blocked(self, now: float, trial: float) -> float:
        """Return the seconds until a request may ask the server; 0 lets this request ask.

        Args:
            now: seconds since the epoch.
            trial: the timeout of a request that tries a failed server again; other requests do not wait
                meanwhile.
        """
        seconds = self.backoff.remaining(now)
        if seconds or self._weight < self._threshold:
            return seconds
        if now < self._trial_until <= now + trial:
            return self._trial_until - now
        self._trial_until = now + trial
        return 0.0

    def failed(self, began: float, now: float, weight: int = 1) -> None:
        """Note that a request got no answer.

        The pause does not grow with the number of requests that fail together: only a request that began
        after the last failure tells that the server is still down.

        Args:
            began: the time of the request, in seconds since the epoch.
            now: the time of its failure.
            weight: the count of the failure; the threshold, if a single failure of this kind is enough.
        """
        self.failures += 1
        self._weight += weight
        # a later time of the last failure means that the clock was set back
        if self._weight >= self._threshold and not began < self.backoff.failed_at <= now:
            self.backoff.failed(now)
            self._trial_until = float("-inf")

    def succeeded(self) -> None:
        """Note that a request got an answer."""
        self._weight = self.failures = 0
        self._trial_until = float("-inf")
        self.backoff.succeeded()


def freshness(headers: Mapping[str, str], ttl: float) -> float:
    """Return for how many seconds an answer is fresh (RFC 9111 section 4.2.1), from a minute to a day.

    Args:
        headers: the fields of the answer.
        ttl: the seconds if the fields name none.
    """
    control = headers.get("cache-control", "")
    if _NO_STORE.search(control):
        return min(ttl, MIN_TTL)
    max_age = _MAX_AGE.search(control)
    if max_age is None:
        return ttl
    age = headers.get("age", "")
    spent = int(age) if _SECONDS.match(age) else 0
    return min(MAX_TTL, max(MIN_TTL, int(max_age[1]) - spent))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of a Retry-After field, given as a number or a date (RFC 9110 section 10.2.3).

    At most `MAX_PAUSE`, after which the server is asked again: callers are told the same time.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.match(text):
        return min(float(text), MAX_PAUSE)
    try:
        date = parsedate_tz(text)
        return None if date is None else min(max(0.0, mktime_tz(date) - now), MAX_PAUSE)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def read_json(response: Response, *, static: bool = False) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Args:
        response: the answer.
        static: whether it may be a static file, which servers may not label as JSON.

    Raises:
        JSONError: if it is not a JSON object, is labelled as another type, or nests too deeply.
    """
    kind = response.headers.get("content-type", "").strip()
    if not _JSON.match(kind) and not (static and _STATIC.match(kind)):
        raise JSONError("the answer is not of a JSON media type")
    document = parse_object_bytes(response.body.removeprefix(_BYTE_ORDER_MARK) if static else response.body)
    if _is_deeper(document, _MAX_DEPTH):
        raise JSONError(f"the answer nests deeper than {_MAX_DEPTH}")
    return document


def read_key_document(response: Response) -> dict[str, Any] | str:
    """Return the JSON object of an answer, or its text if that is PEM.

    Raises:
        JSONError: if it is neither; see `read_json`.
    """
    if b"-----BEGIN" in response.body and not response.body.lstrip().startswith(b"{"):
        if not _STATIC.match(response.headers.get("content-type", "").strip()):
            raise JSONError("the answer is PEM, but its media type is another")
        return response.body.decode("latin-1")
    if response.body.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"["):
        raise JSONError(f"the answer is a list: a key set is {_KEY_SET}")
    return read_json(response, static=True)


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    within = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in within)
