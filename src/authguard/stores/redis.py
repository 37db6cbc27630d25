"""Share revocations and DPoP proofs by Redis, for several machines."""

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from authguard.errors import ConfigurationError
from authguard.stores.downtime import Down, check_down
from authguard.stores.follower import Follower
from authguard.stores.redis_log import RedisLog, answering
from authguard.stores.replays import Replays
from authguard.stores.revocations import SharedRevocations

if TYPE_CHECKING:
    from redis import Redis


class RedisStore:
    """Keeps revocations and used proofs in Redis 6.2 or later.

    Redis should keep its data on disk (`appendonly yes`). If it loses them, living processes write back what
    they hold, and requests are refused with 503 meanwhile, for about the bound.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        bound: seconds within which a revocation holds in every process, 0.1 to 60.
        revocations_down: what happens when Redis has not answered for the bound: `"deny"` answers with 503,
            `("stale", seconds)` trusts what is known for that much longer.
        replays_down: the same for DPoP proofs: `"deny"` only.
        prefix: what the names of all keys begin with.

    Attributes:
        revocations: for `Guard(revocations=…)`.
        replays: for `DPoP(replays=…)`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        bound: float = 1.0,
        revocations_down: Down = "deny",
        replays_down: Down = "deny",
        prefix: str = "authguard",
    ) -> None:
        stale = check_down(bound, revocations_down, replays_down)
        name = _check_url(url)
        log = RedisLog(partial(_connect, url, bound), prefix)
        self.revocations = SharedRevocations(log, Follower(log, name, bound=bound, stale=stale))
        self.replays = Replays(partial(_use_proof, log, prefix))
        self._name = name

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self.revocations.close()

    def __repr__(self) -> str:
        return f"RedisStore({self._name!r})"


def _check_url(url: object) -> str:
    """Return what may be shown of a URL."""
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigurationError('url must be the URL of a Redis server: write "redis://localhost:6379/0"')
    try:
        import redis  # noqa: F401
    except ImportError as error:
        raise ConfigurationError('RedisStore must have redis-py: pip install "authguard[redis]"') from error
    return f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")


def _connect(url: str, timeout: float) -> "Redis":
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # One more try: a pooled connection may have been closed by the server. Every script may run twice.
    return Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 1)
    )


@answering
def _use_proof(log: RedisLog, prefix: str, digest: str, seconds: int) -> bool:
    answer: Any = log.client.set(f"{{{prefix}}}:proof:{digest}", b"", nx=True, ex=seconds)
    return bool(answer)
