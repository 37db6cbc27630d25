"""The log in each real store: sequence numbers, pages, and a log that was lost."""

import math
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from authguard.stores.log import MAX_PAGE, MAX_TIPS, Log, Position, State, StoreDownError
from authguard.stores.marks import Mark, make_mark
from authguard.stores.sql import sql_tables as sql
from authguard.stores.sql.postgres_connections import PostgresConnections
from authguard.stores.sql.sql_log import SQLLog
from authguard.stores.sql.sqlite_connections import SQLiteConnections

OpenLog = Callable[[], Log]
FAR = 4_000_000_000.0


def token(number: int) -> Mark:
    """Return a mark of a token."""
    return make_mark(token_id=f"t{number}", until=FAR)


def read_all(log: Log, position: Position | None = None) -> tuple[list[Mark], Position]:
    """Return the marks up to the end of the log, and the position there."""
    marks: list[Mark] = []
    position = position or Position()
    while True:
        page = log.read("reader", position, 3.0)
        assert page.state == "ok"
        marks += page.marks
        position = page.position
        if page.is_last:
            return marks, position


def test_a_process_reads_the_marks_of_another(open_log: OpenLog) -> None:
    """A process reads the marks of another one in their order, and each once."""
    writer, reader = open_log(), open_log()
    assert writer.append([token(1), token(2)]) == 2
    marks, position = read_all(reader)
    assert marks == [token(1), token(2)]
    assert writer.append([token(3)]) == 3
    assert read_all(reader, position)[0] == [token(3)]


@pytest.mark.slow
def test_more_marks_than_a_page_are_all_read(open_log: OpenLog) -> None:
    """More marks than a page has are read page by page."""
    log = open_log()
    log.append([token(number) for number in range(2 * MAX_PAGE + 1)])
    marks, position = read_all(log)
    assert [mark.name for mark in marks] == [f"t{number}" for number in range(2 * MAX_PAGE + 1)]
    assert position.sequence == 2 * MAX_PAGE + 1


def test_moments_come_back_as_they_were_written(open_log: OpenLog) -> None:
    """Moments are read as they were written, with fractions and the infinite end."""
    log = open_log()
    written = [
        make_mark(subject="ada", issuer="https://i", issued_before=1_700_000_000.25, until=FAR + 0.5),
        make_mark(key_id="k", until=math.inf),
        make_mark(issued_before=1_700_000_000, until=FAR),
        make_mark(session='š "1"', until=FAR),
    ]
    log.append(written)
    assert read_all(log)[0] == written
    assert log.find([mark.key for mark in written] + [("token", "", "other")]) == written


def test_a_revocation_is_never_made_smaller(open_log: OpenLog) -> None:
    """A second revocation with an earlier moment and end leaves the first one as it is, with a new number."""
    log = open_log()
    first = make_mark(subject="ada", issued_before=1_700_000_000.0, until=FAR)
    log.append([first])
    log.append([make_mark(subject="ada", issued_before=1_600_000_000.0, until=FAR - 5)])
    marks, position = read_all(log)
    assert (marks, position.sequence) == ([first], 2)


def test_without_a_moment_the_clock_of_the_store_counts(open_log: OpenLog) -> None:
    """A subject without a moment is revoked by the clock of the store."""
    log = open_log()
    log.append([make_mark(subject="ada", until=FAR)])
    ((mark,), _) = read_all(log)
    assert mark.issued_before is not None
    assert 1_700_000_000 < mark.issued_before < FAR


def test_marks_that_ended_long_ago_are_deleted(open_log: OpenLog) -> None:
    """A later write deletes marks that ended long ago."""
    log = open_log()
    log.append([make_mark(token_id="old", until=1_600_000_000.0)])
    log.append([token(1)])
    assert log.find([("token", "", "old")]) == []


def test_live_marks_are_counted(open_log: OpenLog) -> None:
    """`count` returns the number of marks that end after a moment, up to a limit."""
    log = open_log()
    ends = [FAR, FAR + 10, FAR + 20, math.inf]
    log.append([make_mark(token_id=str(end), until=end) for end in ends])
    assert [log.count(now, 100) for now in (0.0, FAR, FAR + 10.5, FAR + 20)] == [4, 3, 2, 1]
    assert log.count(0.0, 2) == 2


def test_a_reader_behind_a_log_that_went_back_is_told(open_log: OpenLog) -> None:
    """A reader whose position is ahead of the log, or in another log, gets the state "lost"."""
    log = open_log()
    log.append([token(1), token(2)])
    _, position = read_all(log)
    for sequence in (1, 2):
        other = Position(position.epoch, sequence, "another tip")
        assert log.read("reader", other, 3.0).state == "lost"
    ahead = Position(position.epoch, 3, position.tip)
    assert log.read("reader", ahead, 3.0).state == "lost"
    assert log.read("reader", Position("another epoch", 1, position.tip), 3.0).state == "lost"


def test_a_reader_that_slept_long_reads_all_again(open_log: OpenLog) -> None:
    """A reader whose position is too old to be compared gets the state "old"."""
    log = open_log()
    log.append([token(1)])
    _, position = read_all(log)
    log.append([token(2)] * (MAX_TIPS + 5))
    assert log.read("reader", position, 3.0).state == "old"


def test_of_those_who_miss_the_past_one_begins_the_new_epoch(open_log: OpenLog) -> None:
    """Of two processes that miss the past, the first begins the new epoch, and the second only writes."""
    log = open_log()
    log.append([token(1)])
    _, position = read_all(log)
    log.append([token(1)], lost_epoch=position.epoch)
    page = log.read("reader", Position(), 3.0)
    assert page.position.epoch != position.epoch
    assert page.age < 60
    log.append([token(2)], lost_epoch=position.epoch)
    assert log.read("reader", Position(), 3.0).position.epoch == page.position.epoch


def test_a_number_is_confirmed_when_every_living_process_has_read_it(open_log: OpenLog) -> None:
    """A number is confirmed when all live processes have read it."""
    log = open_log()
    log.append([token(1)])
    _, position = read_all(log)
    log.read("late", Position(), 3.0)
    log.read("reader", position, 3.0)
    assert not log.is_confirmed(1, 60.0)
    assert log.is_confirmed(0, 60.0)
    log.read("late", position, 3.0)
    assert log.is_confirmed(1, 60.0)
    assert not log.is_confirmed(2, 60.0)
    assert log.is_confirmed(2, -60.0)


def test_who_waits_is_woken_by_a_writing(open_log: OpenLog) -> None:
    """A waiting reader is woken by a write at once."""
    writer, reader = open_log(), open_log()
    _, position = read_all(reader)
    reader.wait(0.0)  # the reader begins to listen
    reader.read("reader", position, 3.0)
    woken = threading.Event()

    def wait() -> None:
        reader.wait(30.0)
        reader.wait(30.0) if not woken.is_set() and read_all(reader)[1].sequence == 0 else None
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    writer.append([token(1)])
    thread.join(10.0)
    assert woken.is_set()


def test_a_reader_of_a_file_waits_for_nobody_that_writes(tmp_path: Path) -> None:
    """A reader of a SQLite file does not wait for a writer."""
    reader = SQLLog(SQLiteConnections(tmp_path / "log.db", 1.0))
    reader.append([token(1)])
    _, position = read_all(reader)
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        answers: list[State] = []
        thread = threading.Thread(target=lambda: answers.append(reader.read("reader", position, 3.0).state))
        thread.start()
        thread.join(20.0)
        assert answers == ["ok"]
    reader.close()


def test_a_new_reader_of_a_file_is_noted_before_it_reads(tmp_path: Path) -> None:
    """A new reader of a SQLite file is recorded before it reads, and fails while another process writes."""
    log, reader = (SQLLog(SQLiteConnections(tmp_path / "log.db", 0.1)) for _ in range(2))
    log.append([token(1)])
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreDownError):
            reader.read("reader", Position(), 3.0)
    reader.read("reader", Position(), 3.0)
    assert not log.is_confirmed(1, 60.0)
    log.close()
    reader.close()


def test_numbers_are_in_the_order_of_commits(postgres_url: str) -> None:
    """A second writer waits for the first one, so that numbers are in the order of commits."""
    log = SQLLog(PostgresConnections(postgres_url, 5.0))
    spell = PostgresConnections.dialect.spell
    try:
        log.append([token(1)])
        with psycopg.connect(postgres_url) as first:
            first.execute(spell(sql.COUNT), (1,))
            second = threading.Thread(target=log.append, args=([token(3)],))
            second.start()
            with psycopg.connect(postgres_url) as reader:
                assert reader.execute("SELECT seq FROM authguard_log").fetchone() == (1,)
            first.commit()
            second.join(10.0)
            with psycopg.connect(postgres_url) as reader:
                assert reader.execute("SELECT seq FROM authguard_log").fetchone() == (3,)
    finally:
        log.close()


def test_options_of_the_url_hold(postgres_url: str) -> None:
    """The tables are in the schema that the options of the URL name."""
    with psycopg.connect(postgres_url) as admin:
        admin.execute("CREATE SCHEMA guards")
    log = SQLLog(PostgresConnections(f"{postgres_url}?options=-c%20search_path%3Dguards", 5.0))
    log.append([token(1)])
    log.close()
    with psycopg.connect(postgres_url) as reader:
        assert reader.execute("SELECT seq FROM guards.authguard_log").fetchone() == (1,)


def test_a_proof_is_used_once(open_log: OpenLog) -> None:
    """A proof is used by the first process alone, until it expires."""
    log, other = open_log(), open_log()
    if not isinstance(log, SQLLog):
        pytest.skip("Redis has a command for it: tests/test_shared_replays.py")
    assert isinstance(other, SQLLog)
    assert log.use_proof("digest", 30)
    assert not other.use_proof("digest", 30)
    assert other.use_proof("other", 30)
    assert log.use_proof("ended", -1)
    assert other.use_proof("ended", 30)


def test_a_revocation_is_on_the_disk_when_it_is_written(tmp_path: Path) -> None:
    """A revocation is written with full synchronisation, and the beat of a reader with less."""
    connections = SQLiteConnections(tmp_path / "log.db", 1.0)
    hurried = partial(connections._transaction, "BEGIN IMMEDIATE", hurried=True)
    settings = []
    for begin in (connections.write, connections.statements, hurried):
        with begin() as execute:
            names = ("synchronous", "busy_timeout")
            settings.append(tuple(execute(f"PRAGMA {name}", ()).fetchone()[0] for name in names))
    connections.close()
    full, normal = 2, 1
    assert settings == [(full, 1000), (full, 1000), (normal, 100)]
