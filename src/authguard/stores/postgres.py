"""Share revocations and DPoP proofs by PostgreSQL."""

from urllib.parse import urlsplit

from authguard.errors import ConfigurationError
from authguard.stores.downtime import Down, check_down
from authguard.stores.follower import Follower
from authguard.stores.postgres_connections import PostgresConnections
from authguard.stores.replays import Replays
from authguard.stores.revocations import SharedRevocations
from authguard.stores.sql_log import SQLLog


class PostgresStore:
    """Keeps revocations and used proofs in PostgreSQL, in tables that it makes for itself.

    Args:
        url: `postgresql://…`, as libpq reads it.
        bound: seconds within which a revocation holds in every process, 0.1 to 60.
        revocations_down: what happens when the database has not answered for the bound: `"deny"` answers with
            503, `("stale", seconds)` trusts what is known for that much longer.
        replays_down: the same for DPoP proofs: `"deny"` only.

    Attributes:
        revocations: for `Guard(revocations=…)`.
        replays: for `DPoP(replays=…)`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or psycopg is not installed.
    """

    def __init__(
        self, url: str, *, bound: float = 1.0, revocations_down: Down = "deny", replays_down: Down = "deny"
    ) -> None:
        stale = check_down(bound, revocations_down, replays_down)
        self._name = _check_url(url)
        log = SQLLog(PostgresConnections(url.replace("postgresql+psycopg:", "postgresql:", 1), bound))
        self.revocations = SharedRevocations(log, Follower(log, self._name, bound=bound, stale=stale))
        self.replays = Replays(log.use_proof)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self.revocations.close()

    def __repr__(self) -> str:
        return f"PostgresStore({self._name!r})"


def _check_url(url: object) -> str:
    """Return what may be shown of a URL."""
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigurationError('url must be the URL of a database: write "postgresql://localhost/app"')
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            'PostgresStore must have psycopg: pip install "authguard[postgres]"'
        ) from error
    return f"postgresql://{parts.hostname or 'localhost'}{parts.path}"
