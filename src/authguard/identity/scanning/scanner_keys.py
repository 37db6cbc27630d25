"""Manage the public keys of a secret scanner: fetch them, and track how long they are trusted."""

import logging
import random
from collections.abc import Callable, Mapping
from math import ceil
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from authguard._core.flow import Channel, Fetch, FetchFailedError, Flow, Response, Shared
from authguard._core.remote.http import Backoff, Budget, freshness, read_json, retry_after
from authguard._core.strict_json import JSONError
from authguard.drivers.blocking import run
from authguard.errors import VerificationUnavailableError
from authguard.identity.scanning.signatures import read_public_key

logger = logging.getLogger("authguard")

#: Seconds for which the keys are fresh, unless the answer names a longer time; a request without a token may
#: be made sixty times an hour.
TTL = 300.0
#: The longest time in seconds for which they are fresh.
MAX_TTL = 3_600.0
#: Seconds for which they are still trusted while the list cannot be fetched.
MAX_STALE = 86_400.0
#: Seconds between two fetches for unknown identifiers.
UNKNOWN_SECONDS = 60.0
MAX_KEYS = 64
_MAX_IDENTIFIER = 200
_TIMEOUT, _CONNECT_TIMEOUT, _MAX_BYTES = 3.0, 1.0, 64 * 1024
# `now` of overlapping requests may run backwards a little; more means that the clock was set back.
_JUMP = 5.0


class ScannerKeys:
    """Find public keys by their identifiers. All methods block, and are thread-safe.

    The list is fetched when it is not fresh, by one request for all simultaneous callers, with its ETag. In
    an outage the keys are used for another day. For unknown identifiers, it is fetched at most once a minute.

    Args:
        url: of the list.
        token: a Bearer token for the request; empty for none.
        clock: seconds since the epoch.
        random: gives numbers from 0 to 1, for the pauses after failures.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        clock: Callable[[], float],
        random: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._token = token
        self._clock = clock
        self._channel = Channel()
        self._backoff = Backoff(random)
        self._budget = Budget(1, UNKNOWN_SECONDS)
        self._lock = Lock()
        self._keys: Mapping[str, EllipticCurvePublicKey] = {}
        self._etag = ""
        self._attempts = 0
        self._fetched_at = self._fresh_until = float("-inf")

    def find(self, identifier: str) -> EllipticCurvePublicKey | None:
        """Return the key with an identifier; None if the scanner has none.

        Raises:
            VerificationUnavailableError: if the list is needed and cannot be fetched.
        """
        return run(self._find(identifier, self._clock()))

    def _find(self, identifier: str, now: float) -> Flow[EllipticCurvePublicKey | None]:
        with self._lock:
            is_due, attempts = self._is_due(identifier, now), self._attempts
        if is_due:
            yield from Shared(self._channel, "keys", lambda: self._fetch(now, attempts))
        key = self._keys.get(identifier) if now < self._fresh_until + MAX_STALE else None
        if key is None and (self._backoff.failures or not self._is_fresh(now)):
            wait = self._backoff.remaining(now)
            raise VerificationUnavailableError(
                "the keys of the scanner of secrets cannot be fetched", retry_after=max(1, ceil(wait))
            )
        return key

    def _is_due(self, identifier: str, now: float) -> bool:
        """Return whether to fetch the list for a request; the lock is held."""
        if self._backoff.remaining(now) > 0:
            return False
        if not self._is_fresh(now):
            return True
        return identifier not in self._keys and self._budget.take(now)

    def _is_fresh(self, now: float) -> bool:
        return self._fetched_at - _JUMP <= now < self._fresh_until

    def _fetch(self, now: float, attempts: int) -> Flow[None]:
        """Fetch the list, unless another attempt was just made; a failure is recorded, and raises nothing."""
        if self._attempts != attempts:
            return
        pause = 0.0
        try:
            response = yield from Fetch(
                self._channel,
                "GET",
                self._url,
                headers=self._headers(),
                timeout=_TIMEOUT,
                connect_timeout=_CONNECT_TIMEOUT,
                max_bytes=_MAX_BYTES,
            )
            pause = retry_after(response.headers, now) or 0.0
            self._take(response, now)
        except (FetchFailedError, JSONError, ValueError) as error:
            with self._lock:
                self._backoff.failed(now)
                self._backoff.pause(now, pause)
            logger.warning("the keys of the scanner of secrets cannot be fetched: %s", error)
        finally:
            self._attempts += 1

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        if self._etag:
            headers["if-none-match"] = self._etag
        return headers

    def _take(self, response: Response, now: float) -> None:
        """Store an answer.

        Raises:
            ValueError: if an answer has no key; its text contains nothing of the answer.
        """
        keys, etag = self._keys, self._etag
        if response.status == 200:
            keys, etag = read_keys(read_json(response)), _etag(response.headers)
        elif response.status != 304 or not etag:
            raise ValueError(f"status {response.status}")
        seconds = min(MAX_TTL, max(TTL, freshness(response.headers, TTL)))
        with self._lock:
            if not keys:  # the scanner no longer lists any of the known keys
                self._keys, self._etag = {}, ""
                self._fetched_at = self._fresh_until = float("-inf")
                raise ValueError("the list has no key on P-256")
            self._keys, self._etag = keys, etag
            self._fetched_at, self._fresh_until = now, now + seconds
            self._backoff.succeeded()

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        for opened in list(self._channel.opened.values()):
            opened.close()

    def __repr__(self) -> str:
        return f"ScannerKeys({self._url!r})"


def read_keys(document: Mapping[str, Any]) -> dict[str, EllipticCurvePublicKey]:
    """Return the usable keys of a list, by identifier; if two have the same identifier, neither is used.

    Raises:
        ValueError: if it is not a list of keys.
    """
    members = document.get("public_keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise ValueError(f"public_keys must be a list of at most {MAX_KEYS} keys")
    keys: dict[str, EllipticCurvePublicKey | None] = {}
    for member in members:
        identifier = member.get("key_identifier") if isinstance(member, dict) else None
        text = member.get("key") if isinstance(member, dict) else None
        if isinstance(identifier, str) and isinstance(text, str) and len(identifier) <= _MAX_IDENTIFIER:
            keys[identifier] = read_public_key(text) if identifier not in keys else None
    return {identifier: key for identifier, key in keys.items() if key is not None}


def _etag(headers: Mapping[str, str]) -> str:
    """Return the ETag of an answer, if it can be sent again."""
    etag = headers.get("etag", "").strip()
    return etag if len(etag) <= _MAX_IDENTIFIER and etag.isascii() and etag.isprintable() else ""
