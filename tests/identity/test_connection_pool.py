"""The pool of connections to a database."""

import sqlite3

import pytest
from sqlalchemy import create_engine, event, exc
from sqlalchemy.pool import NullPool

from authguard.identity.storage.connecting.pool import ConnectionPool

pytestmark = pytest.mark.one_database  # these pools are of SQLite


@pytest.fixture
def engine(tmp_path):
    """Return an engine that lists its open connections."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=NullPool)
    engine.open = []
    event.listen(engine, "connect", lambda connection, record: engine.open.append(connection))
    event.listen(engine, "close", lambda connection, record: engine.open.remove(connection))
    return engine


def test_a_returned_connection_is_used_again(engine):
    """The second borrower gets the connection of the first one."""
    pool = ConnectionPool(engine, 2)
    with pool.use() as first:
        pass
    with pool.use() as second:
        assert second is first
    pool.close()
    assert engine.open == []


def test_a_connection_that_is_in_use_while_the_pool_is_closed(engine):
    """A connection that is returned to a closed pool is closed, because the pool is not closed again."""
    pool = ConnectionPool(engine, 2)
    with pool.use() as connection:
        pool.close()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    assert engine.open == []


def test_a_pool_may_be_used_after_it_was_closed(engine):
    """A service that starts again keeps its new connections."""
    pool = ConnectionPool(engine, 2)
    pool.close()
    with pool.use() as first:
        pass
    with pool.use() as second:
        assert second is first
    pool.close()


def test_a_connection_that_cannot_be_set_up_is_closed(engine):
    """A failing statement of the set-up leaves no connection behind."""
    pool = ConnectionPool(engine, 2, "SELECT nothing")
    with pytest.raises(exc.OperationalError), pool.use():
        pass
    assert engine.open == []


def test_a_connection_that_cannot_be_rolled_back_is_closed(engine):
    """A connection whose server has gone is not kept, and the error of the rollback is raised."""
    pool = ConnectionPool(engine, 2)

    def lose(connection):
        raise sqlite3.OperationalError("disk I/O error")

    event.listen(engine, "rollback", lose)
    with pytest.raises(sqlite3.OperationalError), pool.use() as connection:
        connection.exec_driver_sql("SELECT 1")
        raise KeyError
    assert engine.open == []
    event.remove(engine, "rollback", lose)
