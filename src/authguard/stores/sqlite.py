"""Share revocations and DPoP proofs by SQLite, among the processes of one machine."""

import os
from pathlib import Path

from authguard._core.options import Duration, got, named_options
from authguard.errors import ConfigurationError
from authguard.stores.downtime import Down
from authguard.stores.sql.sql_log import SQLLog
from authguard.stores.sql.sqlite_connections import SQLiteConnections
from authguard.stores.store import Store
from authguard.stores.url_checks import check_url_text


@named_options
class SQLiteStore(Store):
    """Store revocations and used proofs in a SQLite file. The tables are created if missing.

    Args:
        path: of the file, on a disk of this machine; a new one is readable only by its owner.
        bound: seconds after which a revocation applies in every process, 0.1 to 60.
        revocations_down: the behaviour when the file could not be read for the bound: `"deny"` answers with
            503; `("stale", seconds)` uses the known revocations for that many more seconds.
        replays_down: the same for DPoP proofs: `"deny"` only.

    Attributes:
        revocations: for `Guard(revocations=…)`.
        replays: for `DPoP(replays=…)`.

    Raises:
        ConfigurationError: if an option is of the wrong type or out of range, or the folder does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        bound: float | Duration = 1.0,
        revocations_down: Down = "deny",
        replays_down: Down = "deny",
    ) -> None:
        file = check_path(path)
        super().__init__(
            lambda timeout: SQLLog(SQLiteConnections(file, timeout)),
            str(file),
            bound=bound,
            revocations_down=revocations_down,
            replays_down=replays_down,
        )


def check_path(path: object, example: str = "revocations.db") -> Path:
    """Check the path of a database file.

    Raises:
        ConfigurationError: if it is not the path of a file in an existing folder.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path) or str(path).startswith(":memory:"):
        raise ConfigurationError(f'path must be the path of a file: write "{example}", got {got(path)}')
    if "://" in str(path):  # it may contain a password
        raise ConfigurationError(f'path must be the path of a file: write "{example}", got a URL')
    check_url_text(str(path), "path")
    file = Path(path).absolute()
    if not file.parent.is_dir():
        raise ConfigurationError(f"path must be in a folder that exists, got {str(file)!r}")
    return file
