"""Count quotas in Redis, for several machines."""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from authguard._core.options import Duration, named_options
from authguard.stores.counting import redis_script
from authguard.stores.counting.backend import ALIVE_SECONDS, Answer, Ask, Rest, StoreConnectionLostError
from authguard.stores.counting.leases import LeasedQuotas
from authguard.stores.counting.outage import QuotasDown
from authguard.stores.late_lock import LateLock
from authguard.stores.log import StoreDownError
from authguard.stores.redis import check_prefix, check_redis_url
from authguard.stores.redis_options import redis_options, redis_reason

if TYPE_CHECKING:
    from redis import Redis, RedisCluster

_NUMBERS = re.compile(r"-?[0-9]{1,16}(?: -?[0-9]{1,16})*")


@named_options
class RedisQuotas(LeasedQuotas):
    """Count quotas in Redis 6.2 or later, or a Redis Cluster, for processes on several machines.

    Configure Redis to keep all keys when its memory is full (`maxmemory-policy noeviction`) and to write its
    data to disk (`appendonly yes`): lost counts are given twice.

    Args:
        url: `redis://`, `rediss://` or `unix://`; for a cluster, that of any of its servers.
        quotas_down: the behaviour while Redis does not answer: `"deny"` answers with 503, `"local"` counts in
            each process, which gets its share of each quota.
        processes: the number of processes on all machines, for `"local"`.
        timeout: seconds to wait for a connection, and for an answer, 0.05 to 30.
        max_counters: the greatest number of counters (callers times quotas) for which this process borrows at
            once.
        prefix: the beginning of each key: letters, digits, and `_.:-`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        quotas_down: QuotasDown = "deny",
        processes: int | None = None,
        timeout: float | Duration = 1.0,
        max_counters: int = 100_000,
        prefix: str = "authguard",
    ) -> None:
        check_prefix(prefix)
        super().__init__(
            lambda seconds: RedisCounters(url, seconds, prefix),
            check_redis_url(url, prefix),
            quotas_down=quotas_down,
            processes=processes,
            timeout=timeout,
            max_counters=max_counters,
        )


class RedisCounters:
    """Count in hashes, using the scripts of `redis_script`.

    All counters of one owner have the same hash tag, so that a cluster stores them on one server. A cluster
    is recognised by its first redirection.

    A call without an answer is not repeated: Redis may have carried it out, and rests must not be given back
    twice.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout: seconds to wait for a connection, and for an answer.
        prefix: the beginning of the names of all keys.
    """

    def __init__(self, url: str, timeout: float, prefix: str) -> None:
        self._url, self._timeout, self._prefix = url, timeout, prefix
        self._client: Redis | None = None
        self._cluster: RedisCluster | None = None
        self._of_parent: list[Redis | RedisCluster | None] = []
        self.forget()

    def forget(self) -> None:
        """Drop the connections of the parent process, without using or closing them."""
        self._of_parent += [self._client, self._cluster]
        self._client, self._cluster = _connect(self._url, self._timeout), None
        self._lock = LateLock()

    def take(self, owner: str, asks: Sequence[Ask], live: int) -> tuple[bool, Sequence[Answer]]:
        """Take from all quotas in one step, or from none if an enforced quota has too little."""
        keys = [self._key(owner, ask.key) for ask in asks]
        return read_answer(self._run(redis_script.TAKE, keys, take_arguments(asks, live)), len(asks))

    def give_back(self, rests: Sequence[Rest]) -> None:
        """Give back rests, in one step for each owner."""
        for owner, of_owner in groupby(sorted(rests), lambda rest: rest.owner):
            keys: list[str] = []
            arguments: list[int] = []
            for (key, window, is_daily), of_counter in groupby(of_owner, lambda rest: rest[1:4]):
                keys.append(self._key(owner, key))
                arguments += (window, int(is_daily), *_numbers(list(of_counter)))
            self._run(redis_script.GIVE_BACK, keys, arguments)

    def beat(self, process: str) -> int:
        """Note that a process is alive, and return the number of live processes."""
        key = self._key("processes", "seen")
        return int(self._run(redis_script.BEAT, [key], (process, ALIVE_SECONDS)))

    def close(self) -> None:
        """Close the connections; a later call opens others."""
        with self._lock:
            cluster, self._cluster = self._cluster, None
        for client in (self._client, cluster):
            if client is not None:
                client.close()

    def _key(self, owner: str, key: str) -> str:
        return f"{self._prefix}:quota:{{{owner}}}:{key}"

    def _run(self, script: redis_script.Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a script on the server that stores the keys."""
        try:
            return self._following(lambda client: _evaluate(client, script, keys, arguments))
        except Exception as error:
            # All exceptions are caught, because the client for clusters also raises errors that are not
            # errors of Redis.
            from redis.exceptions import ConnectionError as LostError

            is_lost = type(error) is LostError  # no subclass reports a broken connection
            raise (StoreConnectionLostError if is_lost else StoreDownError)(
                f"Redis: {redis_reason(error)}"
            ) from error

    def _following(self, run: Callable[[Any], Any]) -> Any:
        """Run with the client for one server, or with the one for a cluster if the server is in a cluster."""
        from redis.exceptions import AskError, ResponseError

        if self._cluster is None:
            try:
                return run(self._client)
            except ResponseError as error:
                # redis-py 5 handles these two answers only in its client for clusters. Nothing has been
                # executed.
                if not isinstance(error, AskError) and not str(error).startswith(("MOVED ", "ASK ")):
                    raise
        with self._lock:
            cluster = self._cluster = self._cluster or _connect_cluster(self._url, self._timeout)
        return run(cluster)


def take_arguments(asks: Sequence[Ask], live: int) -> list[str]:
    """Return the argument of `redis_script.TAKE`."""
    numbers = [live]
    for ask in asks:
        numbers += (ask.limit, ask.window, int(ask.is_daily), ask.cost, int(ask.enforce), ask.wants)
        numbers += _numbers(ask.rests)
    return [" ".join(map(str, numbers))]


def read_answer(answer: object, size: int) -> tuple[bool, Sequence[Answer]]:
    """Return the answers of `redis_script.TAKE` to a number of asks.

    Raises:
        StoreDownError: if the answer has another form.
    """
    fields = len(Answer._fields)
    text = answer.decode("ascii", "replace") if isinstance(answer, bytes) else answer
    if not isinstance(text, str) or not _NUMBERS.fullmatch(text) or text.count(" ") != fields * size:
        raise StoreDownError("Redis: an answer of another form")
    admitted, *rest = map(int, text.split(" "))
    return bool(admitted), [Answer(*rest[at : at + fields]) for at in range(0, len(rest), fields)]


def _evaluate(
    client: "Redis | RedisCluster",
    script: redis_script.Script,
    keys: Sequence[str],
    arguments: Sequence[str | int],
) -> Any:
    from redis.exceptions import NoScriptError

    try:
        return client.evalsha(script.digest, len(keys), *keys, *arguments)
    except NoScriptError:
        # Nothing has been executed. Unlike SCRIPT LOAD, EVAL asks only the server that stores the keys.
        return client.eval(script.text, len(keys), *keys, *arguments)


def _numbers(rests: Sequence[Rest]) -> list[int]:
    return [len(rests), *(number for rest in rests for number in (rest.epoch, rest.slot, rest.amount))]


def _connect(url: str, timeout: float) -> "Redis":
    from redis import Redis

    return Redis.from_url(url, **redis_options(timeout, retries=0))


def _connect_cluster(url: str, timeout: float) -> "RedisCluster":
    from redis import RedisCluster

    client = RedisCluster.from_url(url, **redis_options(timeout, retries=0), require_full_coverage=False)
    cast("Any", client).cluster_error_retry_attempts = 0  # its name in redis-py 5
    return client
