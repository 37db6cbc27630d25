"""The log in each real store: numbers, pages, and a past that is lost."""

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
    """A mark of a token."""
    return make_mark(token_id=f"t{number}", until=FAR)


def read_all(log: Log, position: Position | None = None) -> tuple[list[Mark], Position]:
    """Read up to the end."""
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
    """In their order, and each once."""
    writer, reader = open_log(), open_log()
    assert writer.append([token(1), token(2)]) == 2
    marks, position = read_all(reader)
    assert marks == [token(1), token(2)]
    assert writer.append([token(3)]) == 3
    assert read_all(reader, position)[0] == [token(3)]


def test_more_marks_than_a_page_are_all_read(open_log: OpenLog) -> None:
    """Page by page."""
    log = open_log()
    log.append([token(number) for number in range(2 * MAX_PAGE + 1)])
    marks, position = read_all(log)
    assert [mark.name for mark in marks] == [f"t{number}" for number in range(2 * MAX_PAGE + 1)]
    assert position.sequence == 2 * MAX_PAGE + 1


def test_moments_come_back_as_they_were_written(open_log: OpenLog) -> None:
    """Fractions and the infinite end included."""
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
    """A second one with an earlier moment and end leaves the first as it is, under a new number."""
    log = open_log()
    first = make_mark(subject="ada", issued_before=1_700_000_000.0, until=FAR)
    log.append([first])
    log.append([make_mark(subject="ada", issued_before=1_600_000_000.0, until=FAR - 5)])
    marks, position = read_all(log)
    assert (marks, position.sequence) == ([first], 2)


def test_without_a_moment_the_clock_of_the_store_counts(open_log: OpenLog) -> None:
    """A process whose clock is wrong revokes all the same."""
    log = open_log()
    log.append([make_mark(subject="ada", until=FAR)])
    ((mark,), _) = read_all(log)
    assert mark.issued_before is not None
    assert 1_700_000_000 < mark.issued_before < FAR


def test_marks_that_ended_long_ago_are_deleted(open_log: OpenLog) -> None:
    """By later writings."""
    log = open_log()
    log.append([make_mark(token_id="old", until=1_600_000_000.0)])
    log.append([token(1)])
    assert log.find([("token", "", "old")]) == []


def test_live_marks_are_counted(open_log: OpenLog) -> None:
    """Those that end later than a moment, and no more than asked for."""
    log = open_log()
    ends = [FAR, FAR + 10, FAR + 20, math.inf]
    log.append([make_mark(token_id=str(end), until=end) for end in ends])
    assert [log.count(now, 100) for now in (0.0, FAR, FAR + 10.5, FAR + 20)] == [4, 3, 2, 1]
    assert log.count(0.0, 2) == 2


def test_a_reader_behind_a_log_that_went_back_is_told(open_log: OpenLog) -> None:
    """Also if the log has grown beyond it since: the random names of the numbers differ."""
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
    """When the names of the numbers are no longer kept that far back."""
    log = open_log()
    log.append([token(1)])
    _, position = read_all(log)
    log.append([token(2)] * (MAX_TIPS + 5))
    assert log.read("reader", position, 3.0).state == "old"


def test_of_those_who_miss_the_past_one_begins_the_new_epoch(open_log: OpenLog) -> None:
    """The second finds it begun, and only writes what it holds."""
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
    """One that has not read for long counts as gone."""
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
    """At once, and not only at the end of the wait."""
    writer, reader = open_log(), open_log()
    _, position = read_all(reader)
    reader.wait(0.0)  # begins to listen
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
    """A service that writes without a pause must not make the guards beside it refuse."""
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
    """Who revokes must know that it has to wait for it: so that reading fails while others write."""
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
    """A second writer waits for the first: no reader sees the greater number alone."""
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
    """The tables are in the schema that the search path names."""
    with psycopg.connect(postgres_url) as admin:
        admin.execute("CREATE SCHEMA guards")
    log = SQLLog(PostgresConnections(f"{postgres_url}?options=-c%20search_path%3Dguards", 5.0))
    log.append([token(1)])
    log.close()
    with psycopg.connect(postgres_url) as reader:
        assert reader.execute("SELECT seq FROM guards.authguard_log").fetchone() == (1,)


def test_a_proof_is_used_once(open_log: OpenLog) -> None:
    """By whichever process is first."""
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
    """A power cut loses none; a beat of a process that reads may be lost, and does not wait for the disk."""
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
