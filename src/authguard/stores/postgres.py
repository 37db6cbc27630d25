"""Share revocations and DPoP proofs by PostgreSQL."""

from authguard._core.options import Duration, named_options
from authguard._extras import MissingExtraError
from authguard.errors import ConfigurationError
from authguard.stores.downtime import Down
from authguard.stores.places import check_password_escaped, postgres_place, shown_url, split_url
from authguard.stores.sql.postgres_connections import PostgresConnections
from authguard.stores.sql.sql_log import SQLLog
from authguard.stores.store import Store
from authguard.stores.url_checks import check_database_url


@named_options
class PostgresStore(Store):
    """Store revocations and used proofs in PostgreSQL. The tables are created if missing.

    Args:
        url: `postgresql://…`, as libpq reads it.
        bound: seconds after which a revocation applies in every process, 0.1 to 60.
        revocations_down: the behaviour when the database has not answered for the bound: `"deny"` answers
            with 503; `("stale", seconds)` uses the known revocations for that many more seconds.
        replays_down: the same for DPoP proofs: `"deny"` only.

    Attributes:
        revocations: for `Guard(revocations=…)`.
        replays: for `DPoP(replays=…)`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or psycopg is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        bound: float | Duration = 1.0,
        revocations_down: Down = "deny",
        replays_down: Down = "deny",
    ) -> None:
        name = check_url(url)
        super().__init__(
            lambda timeout: SQLLog(PostgresConnections(for_libpq(url), timeout)),
            name,
            bound=bound,
            revocations_down=revocations_down,
            replays_down=replays_down,
        )


def check_url(url: object) -> str:
    """Return the part of a URL that may be shown.

    Raises:
        ConfigurationError: if it is not the URL of a PostgreSQL database, or psycopg is not installed.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _wrong_url(url)
    check_database_url(str(url), "url")
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:  # psycopg is missing, or is installed without libpq
        raise MissingExtraError("postgres", error) from error
    try:
        options = conninfo_to_dict(for_libpq(str(url)))
    except (ProgrammingError, ValueError):  # its text may contain a password
        raise _wrong_url(url) from None
    check_password_escaped(options.get("host"), options.get("dbname"), "url")
    return postgres_place(options)


def for_libpq(url: str) -> str:
    """Return a URL as libpq reads it."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


def _wrong_url(url: object) -> ConfigurationError:
    shown = shown_url(url, '"postgresql://localhost/app"')
    return ConfigurationError(f"url must be the URL of a PostgreSQL database, got {shown}")
