"""Store a log of revocations in Redis, using redis-py."""

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from authguard.stores import redis_scripts
from authguard.stores.log import KEEP_SECONDS, MAX_PAGE, MAX_TIPS, Page, Position, StoreDownError
from authguard.stores.marks import Key, Kind, Mark
from authguard.stores.redis_options import redis_reason

if TYPE_CHECKING:
    from redis import Redis

P = ParamSpec("P")
Result = TypeVar("Result")


def answering(method: Callable[P, Result]) -> Callable[P, Result]:
    """Raise `StoreDownError` if Redis does not answer."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        from redis.exceptions import RedisError

        try:
            return method(*args, **kwargs)
        except (RedisError, OSError) as error:
            raise StoreDownError(f"Redis: {redis_reason(error)}") from error

    return call


class RedisLog:
    """Store the log in keys with one hash tag; see `redis_scripts`.

    Args:
        connect: returns a client of redis-py that answers in bytes.
        prefix: the beginning of each key.
    """

    def __init__(self, connect: Callable[[], "Redis"], prefix: str) -> None:
        self._connect = connect
        self._keys = [f"{{{prefix}}}:{name}" for name in redis_scripts.KEYS]
        self._channel = f"{{{prefix}}}:written"
        self._proof = f"{{{prefix}}}:proof:"
        self.forget_connections()

    def forget_connections(self) -> None:
        """Drop the connections of the parent process."""
        client = self._connect()
        self.client = client
        self._read, self._append, self._confirmed = (
            cast("Any", client.register_script(script))
            for script in (redis_scripts.READ, redis_scripts.APPEND, redis_scripts.CONFIRMED)
        )
        self._listening: Any = None

    @answering
    def read(self, process: str, position: Position, alive: float) -> Page:
        """Read after a position, and note that the process has read up to it."""
        arguments = (process, position.epoch, position.sequence, position.tip, MAX_PAGE, alive, MAX_TIPS)
        state, epoch, sequence, tip, age, is_last, *marks = self._read(
            keys=self._keys, args=(*arguments, secrets.token_hex(8))
        )
        reached = Position(epoch.decode(), int(sequence), (tip or b"").decode())
        return Page(
            state.decode(), reached, float(age), [_parse(mark) for mark in marks if mark], bool(is_last)
        )

    @answering
    def append(self, marks: Sequence[Mark], *, lost_epoch: str = "") -> int:
        """Write marks, and return the number of the last one."""
        head = (lost_epoch, secrets.token_hex(8), secrets.token_hex(8), MAX_TIPS, KEEP_SECONDS, self._channel)
        sequence = 0
        pages = [marks[start : start + MAX_PAGE] for start in range(0, len(marks), MAX_PAGE)] or [marks]
        for page in pages:
            arguments = [argument for mark in page for argument in _arguments(mark)]
            sequence = int(self._append(keys=self._keys, args=(*head, *arguments)))
            head = ("", *head[1:])
        return sequence

    @answering
    def find(self, keys: Sequence[Key]) -> list[Mark]:
        """Return the marks of some keys."""
        values = cast(
            "Iterable[bytes | None]", self.client.hmget(self._keys[1], [_name(key) for key in keys])
        )
        return [_parse(value) for value in values if value]

    @answering
    def count(self, now: float, most: int) -> int:
        """Return how many marks end after a time."""
        return min(most, int(cast("Any", self.client.zcount(self._keys[3], f"({now!r}", "+inf"))))

    @answering
    def is_confirmed(self, sequence: int, alive: float) -> bool:
        """Return whether every living process has read up to a number."""
        return bool(self._confirmed(keys=self._keys, args=(sequence, alive)))

    @answering
    def epoch(self) -> str:
        """Return the name of the log's epoch; empty before the first read or write."""
        epoch = cast("bytes | None", self.client.hget(self._keys[0], "epoch"))
        return "" if epoch is None else epoch.decode()

    @answering
    def wait(self, seconds: float) -> None:
        """Return when something has been written, or when the time has passed."""
        listening = self._listening
        if listening is None:
            listening = cast("Any", self.client).pubsub()
            listening.subscribe(self._channel)
            self._listening = listening
            return  # read marks that were written before the subscription
        try:
            message = listening.get_message(timeout=seconds)
            # The confirmation of the subscription is a message, too, and others may be waiting.
            while message is not None:
                message = listening.get_message(timeout=0)
        except BaseException:
            self._listening = None
            listening.close()
            raise

    @answering
    def use_proof(self, digest: str, seconds: int) -> bool:
        """Note that a DPoP proof is used; return False if it was used before."""
        return bool(self.client.set(self._proof + digest, b"", nx=True, ex=seconds))

    def close(self) -> None:
        """Close the connections."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self.client.close()


def _name(key: Key) -> str:
    return json.dumps(key, ensure_ascii=False, separators=(",", ":"))


def _arguments(mark: Mark) -> tuple[str, str, str, str]:
    before = "" if mark.issued_before is None else repr(float(mark.issued_before))
    if mark.issued_before is None and mark.kind not in ("subject", "all"):
        before = "-"
    return _name(mark.key), before, repr(float(mark.until)), _name(mark.key)


def _parse(value: bytes) -> Mark:
    what, before, until = json.loads(value)
    kind, issuer, name = json.loads(what)
    return Mark(cast("Kind", kind), issuer, name, None if before == "-" else float(before), float(until))
