"""A pooler between the process and PostgreSQL, which would apply a setting to other clients."""

from types import SimpleNamespace
from typing import Any

import pytest

from authguard.stores.sql.timed_connections import set_up_session


class Connection:
    """Be a connection of psycopg to a server process, of which a pooler may report another id."""

    def __init__(self, server: int, reported: int) -> None:
        self.prepare_threshold: int | None = 5
        self.statements: list[str] = []
        self.info = SimpleNamespace(backend_pid=reported)
        self._server = server

    def execute(self, statement: str) -> Any:
        """Record a statement."""
        self.statements.append(statement)
        return SimpleNamespace(fetchone=lambda: (self._server,))


@pytest.mark.parametrize(("reported", "is_set_up"), [(7, True), (8, False)], ids=["direct", "pooler"])
def test_a_pooler_gets_no_settings(reported: int, *, is_set_up: bool) -> None:
    """A session is set up on a direct connection, and not behind a pooler."""
    connection = Connection(7, reported)
    assert set_up_session(connection, "SET a = 1") is is_set_up
    assert ("SET a = 1" in connection.statements) is is_set_up
    assert (connection.prepare_threshold is not None) is is_set_up
