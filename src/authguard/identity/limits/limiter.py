"""Limit logins, mails and registrations, to slow down guessing without account lock-out by third parties.

Requests are counted by network address, and failures for an account by the pair of account and address. An
account alone is never locked, because anyone who knows its e-mail address could lock out its owner. Failures
for an account from all addresses only delay further answers, by `DELAY` seconds. Mails to an account beyond
its limit are not sent, while the answer stays the same.
"""

import logging
import random
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from math import floor
from threading import Lock
from typing import Any

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.strategies import MovingWindowRateLimiter

from authguard._core.options import check_whole, check_whole_seconds, got
from authguard._core.remote.http import Breaker
from authguard._logs.by_reason import LineCounts
from authguard.errors import ConfigurationError, RateLimitedError, VerificationUnavailableError
from authguard.identity.limits.stores import STORE_SECONDS, open_counts
from authguard.identity.limits.taken import note
from authguard.identity.mail.addresses import canonical_key, mailbox_key
from authguard.stores.places import redis_place
from authguard.stores.redis_options import redis_reason

logger = logging.getLogger("authguard")

#: Seconds by which an answer is delayed while an account is under attack.
DELAY = 2.0
#: Seconds of the longest window of a limit: about 31 years.
MAX_SECONDS = 999_999_999

_TRIAL_SECONDS = 4 * STORE_SECONDS  # seconds for a command and its retry
_LOG_SECONDS = 10.0  # seconds in which one fault of the store is logged once
_MAX_PAUSE = 1.0  # seconds for which a failed store is not asked again
_PROBE = RateLimitItemPerSecond(1_000_000, 60, namespace="authguard:readiness")
_LIMIT = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")
# Prefix lengths of IPv6 networks that one customer may have, and the multiple of the limit for each. An
# address is counted in all of them; otherwise each of 2^16 networks of 64 bits would have its own limit.
_NETWORKS = {64: 1, 56: 2, 48: 4}


@dataclass(frozen=True, slots=True)
class Limit:
    """Allow a number of requests in a number of seconds.

    Raises:
        ConfigurationError: unless both are whole numbers of at least 1.
    """

    count: int
    seconds: int

    def __post_init__(self) -> None:
        check_whole(self.count, "count of a limit such as Limit(10, 900)")
        seconds = check_whole_seconds(
            self.seconds, "seconds of a limit such as Limit(10, 900)", MAX_SECONDS, least=1
        )
        object.__setattr__(self, "seconds", seconds)


#: The default limits. Keys: an address, an account, or both.
DEFAULT_LIMITS: Mapping[str, Limit] = {
    "login": Limit(10, 900),  # by account and address
    # By address, with passwords and with providers: many users may share one.
    "login_address": Limit(100, 900),
    "login_account": Limit(30, 3_600),  # by account: the limit only delays answers
    "mail": Limit(3, 900),  # by account and address
    "mail_address": Limit(30, 3_600),
    # By mailbox and kind of mail: further mails are not sent, and no request is refused.
    "mail_account": Limit(10, 3_600),
    "register_address": Limit(30, 3_600),  # also accounts that sign-ins with providers create or link
    "authorize_address": Limit(60, 900),  # browsers that are redirected to a provider
    "api_key": Limit(60, 3_600),  # by account: keys that are created or rotated
    "secret_address": Limit(60, 60),  # by address: wrong one-time tokens, client secrets, provider codes
}


def parse_limits(limits: Mapping[str, object]) -> dict[str, Limit]:
    """Return limits by name.

    Args:
        limits: for each name a `Limit`, a text such as `10/900` (10 in 900 seconds), or a table with
            `count` and `seconds`.

    Raises:
        ConfigurationError: if a name is no limit, or a value has another form.
    """
    if not isinstance(limits, Mapping):
        raise ConfigurationError(
            f'limits must be a table of names and limits, such as {{"login": "10/900"}}, got {got(limits)}'
        )
    if unknown := sorted(map(str, limits.keys() - DEFAULT_LIMITS.keys())):
        raise ConfigurationError(
            f"limits must be among {', '.join(DEFAULT_LIMITS)}, got {', '.join(unknown)}"
        )
    return {name: _parse_limit(name, value) for name, value in limits.items()}


def _parse_limit(name: str, value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    try:
        if isinstance(value, str) and (numbers := _LIMIT.fullmatch(value)):
            return Limit(int(numbers[1]), int(numbers[2]))
        if isinstance(value, Mapping) and value.keys() == {"count", "seconds"}:
            return Limit(value["count"], value["seconds"])
    except ConfigurationError:
        pass
    raise ConfigurationError(
        f"the limit {name} must be a count and seconds, both at least 1, such as 10/900, got {got(value)}"
    )


class Limiter:
    """Count by name and key in sliding windows, in the memory of this process or in Redis.

    Counting is atomic, so that parallel guesses cannot exceed a limit. While Redis is down, limited requests
    are refused with 503 at once, except for one request a second that tries it.

    Args:
        url: `memory://` for one process, `redis://…` or `rediss://…` for several.
        limits: limits that replace those of `DEFAULT_LIMITS`.

    Raises:
        ConfigurationError: if the URL is of another kind, or a limit does not exist.
    """

    def __init__(self, url: str = "memory://", *, limits: Mapping[str, Limit] | None = None) -> None:
        changed = parse_limits({} if limits is None else limits)
        self._limits = {
            (name, times): RateLimitItemPerSecond(
                limit.count * times, limit.seconds, namespace=f"authguard:{name}"
            )
            for name, limit in ({**DEFAULT_LIMITS, **changed}).items()
            for times in _NETWORKS.values()
        }
        # The library's memory has a lock for each key, and may replace one that a thread waits for.
        self._lock: AbstractContextManager[Any] = Lock() if url == "memory://" else nullcontext()
        self._storage = open_counts(url)
        self._place = url if url == "memory://" else redis_place(url, "authguard")
        self._outages = LineCounts(_LOG_SECONDS)
        self._breaker = Breaker(random.random, threshold=1, max_pause=_MAX_PAUSE)
        self._counter = MovingWindowRateLimiter(self._storage)

    def check_store(self) -> None:
        """Count a request of no caller: a Redis that is full or read-only still answers questions.

        Raises:
            VerificationUnavailableError: if the store is down.
        """
        self._ask(self._counter.hit, _PROBE, "")

    def hit(self, name: str, *key: str, address: str | None = None) -> None:
        """Count one request.

        Args:
            name: the limit.
            key: the key of the count, such as an account.
            address: the address of the request; counted for each network that it may belong to.

        Raises:
            RateLimitedError: if the limit is exceeded.
            VerificationUnavailableError: if the store is down.
        """
        for network, times in networks(address):
            if not self._count(name, (*key, *network), times):
                raise self._refusal(name, (*key, *network), times)

    def check(self, name: str, *key: str, address: str | None = None) -> None:
        """Refuse if nothing is left, without counting; for limits on failures, which are counted later.

        Args:
            name: the limit.
            key: as for `hit`.
            address: as for `hit`.

        Raises:
            RateLimitedError: if nothing is left.
            VerificationUnavailableError: if the store is down.
        """
        for network, times in networks(address):
            if not self._ask(self._counter.test, self._limits[name, times], _digest((*key, *network))):
                raise self._refusal(name, (*key, *network), times)

    def delay(self, name: str, *key: str) -> float:
        """Count one request, and return the delay of its answer: 0, or `DELAY` above the limit.

        Raises:
            VerificationUnavailableError: if the store is down.
        """
        return 0.0 if self._count(name, key) else DELAY

    def clear(self, name: str, *key: str, address: str | None = None) -> None:
        """Reset a count, such as that of wrong passwords after the right one.

        Args:
            name: the limit.
            key: as for `hit`.
            address: as for `hit`.

        Raises:
            VerificationUnavailableError: if the store is down.
        """
        for network, times in networks(address):
            self._ask(self._counter.clear, self._limits[name, times], _digest((*key, *network)))

    def count_login(self, email: str, address: str) -> float:
        """Count an attempt to sign in, before the password is checked.

        The network is counted before the e-mail address is parsed, because parsing costs more than counting.

        Args:
            email: the e-mail address as it was sent; known or not.
            address: the network address of the caller.

        Returns:
            seconds to wait before answering.

        Raises:
            RateLimitedError: if this address has made too many attempts.
            VerificationUnavailableError: if the store is down.
        """
        self.hit("login_address", address=address)
        account = canonical_key(email)
        self.hit("login", account, address=address)
        return self.delay("login_account", account)

    def clear_login(self, email: str, address: str) -> None:
        """Reset the attempts of this address for this account, after the right password.

        The attempts of the address for other accounts and those of others for this account stay counted.
        Otherwise an attacker could reset them by signing in to an account of their own.

        Raises:
            VerificationUnavailableError: if the store is down.
        """
        self.clear("login", canonical_key(email), address=address)

    def count_mail(self, email: str, address: str) -> None:
        """Count a requested mail, to a known account or not; the network first, as in `count_login`.

        Both limits are the caller's own. Requests of others never cause a refusal for the owner of an
        account.

        Raises:
            RateLimitedError: if the limit is exceeded.
            VerificationUnavailableError: if the store is down.
        """
        self.hit("mail_address", address=address)
        self.hit("mail", canonical_key(email), address=address)

    def may_send(self, kind: str, email: str) -> bool:
        """Count a mail that is about to be sent.

        Return False if its mailbox has reached the limit of this kind.

        All addresses of one mailbox count together: `ann+1@example.com` and `ann+2@example.com`.

        Args:
            kind: such as `reset`; each kind is counted separately.
            email: the address of an account.

        Raises:
            VerificationUnavailableError: if the store is down.
        """
        return self._count("mail_account", (kind, mailbox_key(email)))

    def _count(self, name: str, key: tuple[str, ...], times: int = 1) -> bool:
        limit, digest = self._limits[name, times], _digest(key)
        receipt = self._ask(self._take, limit, digest)
        if receipt is None:
            return False
        note(partial(self._give_back, limit, digest, receipt))
        return True

    def _take(self, limit: RateLimitItemPerSecond, key: str) -> object:
        return self._storage.take(limit.key_for(key), limit.amount, limit.get_expiry())

    def _give_back(self, limit: RateLimitItemPerSecond, key: str, receipt: object) -> None:
        """Remove a counted request, unless the store is down: then the count ends with its window."""

        def remove(limit: RateLimitItemPerSecond, key: str) -> None:
            self._storage.give_back(limit.key_for(key), receipt)

        with suppress(VerificationUnavailableError):
            self._ask(remove, limit, key)

    def _refusal(self, name: str, key: tuple[str, ...], times: int) -> RateLimitedError:
        limit = self._limits[name, times]
        reset, _ = self._ask(self._counter.get_window_stats, limit, _digest(key))
        # A count is still held in the last moment of its window.
        wait = floor(reset - time.time()) + 1
        return RateLimitedError(name, quota=limit.amount, window=limit.get_expiry(), retry_after=max(wait, 1))

    def _ask(self, question: Any, limit: RateLimitItemPerSecond, key: str) -> Any:
        began = time.monotonic()
        if self._breaker.blocked(began, _TRIAL_SECONDS):
            raise self._down()
        try:
            with self._lock:
                answer = question(limit, key)
        except StorageError as error:
            self._breaker.failed(began, time.monotonic())
            reason = redis_reason(error.storage_error)
            more = self._outages.take(reason)
            if more is not None:
                logger.warning(
                    "the store of limits cannot be asked: %s at %s; check it and the setting limits_url%s",
                    reason,
                    self._place,
                    more,
                )
            raise self._down() from error
        self._breaker.succeeded()
        return answer

    def _down(self) -> VerificationUnavailableError:
        error = VerificationUnavailableError(f"the store of limits is down: {self._place} (limits_url)")
        error.is_logged = True  # with the reason, by `_ask`
        return error

    def __repr__(self) -> str:
        return f"Limiter({self._place!r})"


def networks(address: str | None) -> Sequence[tuple[tuple[str, ...], int]]:
    """Return the keys by which an address is counted, each with its multiple of the limit.

    An IPv4 address is counted alone, an IPv6 address by its networks of 64, 56 and 48 bits (RFC 6177).
    Another peer, such as a Unix socket, is counted by its text.
    """
    if address is None:
        return [((), 1)]
    try:
        parsed = ip_address(address)
    except ValueError:
        return [((address,), 1)]
    if not isinstance(parsed, IPv6Address):
        return [((str(parsed),), 1)]
    if parsed.ipv4_mapped is not None:
        return [((str(parsed.ipv4_mapped),), 1)]
    number = int(parsed)
    return [
        ((f"{IPv6Address(number >> (128 - bits) << (128 - bits))}/{bits}",), times)
        for bits, times in _NETWORKS.items()
    ]


def _digest(key: tuple[str, ...]) -> str:
    """Return a digest of the parts of a key, so that the store does not learn addresses."""
    parts = (part.encode("utf-8", "surrogatepass") for part in key)
    return sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()[:32]
