"""Usage by minute, hour, day and month: equal sums, repeatable roll-ups, and the kept periods."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, event, text

from authguard import Principal
from authguard.errors import ConfigurationError
from authguard.identity import IdentityService, NewAPIKey
from authguard.identity.errors import NotFoundError, StoreUnavailableError
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.model import Operator, StoredAPIKey
from authguard.identity.storage import usage_roll_up
from authguard.identity.storage.database import Database
from authguard.identity.storage.usage_levels import DAY, HOUR, LEVELS, MINUTE, MONTH, Level
from authguard.identity.storage.usage_queries import _is_new, add_batch, share_lock
from authguard.identity.storage.usage_roll_up import KEPT, find_kept, keep_up, set_kept
from authguard.identity.storage.usage_series import read_usage
from identity.api_key_support import create, owner, rows, update
from identity.support import Clock, service_at, settings, together
from identity.usage_support import YEARS, batch, in_periods, table, tables, uses
from sizes import size

pytestmark = pytest.mark.slow_on_postgresql

SECONDS_OF_DAY = 86_400
YEAR_START = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
OUTCOMES_SEEN = ["ok", "ok", "ok", "forbidden", "rate_limited", "revoked"]


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="made")
def _made(service: IdentityService, ann: Principal) -> NewAPIKey:
    return create(service, ann)


@pytest.fixture(name="other")
def _other(service: IdentityService) -> Iterator[Database]:
    """Return the connections of another process."""
    database = Database(service.settings.database)
    yield database
    database.close()


def a_year(service: IdentityService, keys: list[str], count: int, flushes: int) -> list[tuple]:
    """Count requests over a year, some of them late, with roll-ups in between; return the events."""
    chance = random.Random(7)
    clock = Clock(YEAR_START)
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    moments = sorted(YEAR_START + chance.random() * 365 * SECONDS_OF_DAY for _ in range(count))
    events = []
    for number, moment in enumerate(moments):
        clock.now = moment
        late = moment - chance.random() * 5 * SECONDS_OF_DAY if number % 50 == 0 else moment
        cell = (chance.randint(1, 2), chance.choice(["/a", "GET /b/*"]), chance.choice(OUTCOMES_SEEN))
        key_id = chance.choice(keys)
        recorder.counter(key_id, cell[0]).count(late, None, *cell[1:])
        events.append((key_id, late, *cell))
        if number % (count // flushes) == 0:
            recorder.flush()
            keep_up(service.database, clock())
    recorder.close()
    return events


@pytest.mark.slow
def test_all_levels_have_the_raw_counts(service: IdentityService, ann: Principal) -> None:
    """All levels have the sums of a year's events, and a repeated roll-up changes nothing."""
    keys = [create(service, ann).key.id for _ in range(3)]
    set_kept(service.database, YEARS)
    events = a_year(service, keys, size(2_000, 100_000), size(40, 400))
    after = YEAR_START + 500 * SECONDS_OF_DAY
    keep_up(service.database, after)
    first = tables(service.database)
    for level, counts in zip(LEVELS, first, strict=True):
        assert uses(counts) == in_periods(level, events)
    keep_up(service.database, after)
    keep_up(service.database, after + 3_600)
    assert tables(service.database) == first
    set_kept(service.database, KEPT)
    keep_up(service.database, YEAR_START + 366 * SECONDS_OF_DAY)
    minutes, hours, *others = tables(service.database)
    assert others == first[2:]
    assert len(minutes) < len(hours) < len(first[1])
    year = sum(1 for event in events if event[-1] == "ok")
    assert sum(key.usage_count for key in service.api_keys.list(ann)) == year


@pytest.mark.slow
def test_what_is_read_never_depends_on_the_roll_up(service: IdentityService, ann: Principal) -> None:
    """Each level of a key has the same usage before and after a roll-up."""
    key = create(service, ann).key
    now = YEAR_START + 40 * SECONDS_OF_DAY + 5_000
    set_kept(service.database, YEARS)
    for number in range(60):
        at = YEAR_START + number * 57_177
        outcome = "ok" if number % 3 else "ip_denied"
        add_batch(service.database, batch((key.id, number), at=at, outcome=outcome))

    def read() -> list[list]:
        with service.database.read() as connection:
            return [read_usage(connection, key, level, YEAR_START, now) for level in LEVELS[1:]]

    before = read()
    for moment in (
        YEAR_START + SECONDS_OF_DAY,
        YEAR_START + 35 * SECONDS_OF_DAY,
        now,
        now + 90 * SECONDS_OF_DAY,
    ):
        keep_up(service.database, moment)
        assert read() == before
    assert [len(level) for level in before] == [59, 59, 4]  # none for 0 requests


def test_the_usage_of_the_owner_is_the_same_after_a_roll_up(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """The usage of an owner, today and this month, is the same after a roll-up."""
    clock.now = datetime(2027, 1, 16, 12, tzinfo=UTC).timestamp()
    admin = Principal(ann.subject, issuer=ann.issuer, claims=ann.claims)
    for ago in (0, 3_600, 12 * 3_600, 13 * 3_600, 15 * SECONDS_OF_DAY, 16 * SECONDS_OF_DAY):
        add_batch(service.database, batch((made.key.id, 1), at=clock.now - ago))
        add_batch(service.database, batch((made.key.id, 5), at=clock.now - ago, outcome="rate_limited"))
    told = []
    for later in (0, 1_000, 3_600):
        keep_up(service.database, clock.now + later)
        usage = service.api_keys.usage(admin)
        told.append((usage.today, usage.month))
    assert told == [(3, 5)] * 3


def test_open_periods_are_not_rolled_up(service: IdentityService, made: NewAPIKey) -> None:
    """An hour is rolled up three minutes after its end, when all processes have written it."""
    at = YEAR_START + 3_600
    add_batch(service.database, batch((made.key.id, 3), at=at))
    keep_up(service.database, at + 3_600 + 179)
    assert table(service.database, HOUR) == {}
    keep_up(service.database, at + 3_600 + 180)
    assert list(table(service.database, HOUR).values()) == [(3, 0)]
    assert list(table(service.database, MINUTE).values()) == [(3, 3)]


def test_late_counts_are_added(service: IdentityService, made: NewAPIKey) -> None:
    """Late counts are added to periods that are rolled up, also if their minutes are deleted."""
    at, far = YEAR_START, YEAR_START + 100 * SECONDS_OF_DAY
    for number in range(3):
        add_batch(service.database, batch((made.key.id, 1), at=at))
        keep_up(service.database, far)
        rows_of = tables(service.database)
        assert rows_of[:2] == [{}, {}]
        assert [list(level.values())[0][0] for level in rows_of[2:]] == [number + 1] * 2


@pytest.mark.slow
def test_several_roll_up_at_the_same_time(service: IdentityService, ann: Principal, other: Database) -> None:
    """Two processes that roll up while two others write lose no count, and count none twice."""
    keys = [create(service, ann).key.id for _ in range(5)]
    end = YEAR_START + 3 * SECONDS_OF_DAY
    databases = [service.database, other, *(Database(service.settings.database) for _ in range(2))]
    rounds = size(12, 60)

    def work(index: int) -> None:
        for number in range(rounds):
            if index < 2:
                keep_up(databases[index], end + number)
            else:
                at = YEAR_START + number * 3_600
                add_batch(databases[index], batch(*((key, 2) for key in keys), at=at))

    assert together(4, work) == [None] * 4
    together(2, lambda index: keep_up(databases[index], end + 40 * SECONDS_OF_DAY))
    keep_up(service.database, end + 40 * SECONDS_OF_DAY)
    for level in (HOUR, DAY, MONTH):
        assert sum(uses(table(service.database, level)).values()) == 2 * rounds * 5 * 2
    for database in databases[2:]:
        database.close()


@pytest.mark.slow
def test_large_roll_ups_are_made_in_parts(
    service: IdentityService, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large roll-up is made in parts, and can be stopped and continued."""
    monkeypatch.setattr(usage_roll_up, "_ROWS", 10)
    keys = [create(service, ann).key.id for _ in range(4)]
    for minute in range(30):
        add_batch(service.database, batch(*((key, 1) for key in keys), at=YEAR_START + minute * 60))
    stops = iter([False, False, True])
    keep_up(service.database, YEAR_START + 2 * SECONDS_OF_DAY, stops=lambda: next(stops, True))
    some = sum(uses(table(service.database, HOUR)).values())
    assert 2 * 10 <= some <= 2 * 16
    keep_up(service.database, YEAR_START + 3 * SECONDS_OF_DAY)
    assert uses(table(service.database, DAY)) == {(key, YEAR_START, 1, "/me", "ok"): 30 for key in keys}
    assert table(service.database, MINUTE) == {}


def test_what_is_not_rolled_up_is_not_deleted(service: IdentityService, made: NewAPIKey) -> None:
    """Counts that are not rolled up are not deleted, regardless of their age."""
    set_kept(service.database, {"minute": 60, "hour": 60, "day": 60})
    add_batch(service.database, batch((made.key.id, 1), at=YEAR_START))
    keep_up(service.database, YEAR_START + 1_800)
    assert list(table(service.database, MINUTE).values()) == [(1, 0)]


def test_the_settings_say_what_is_kept(url: str, clock: Clock) -> None:
    """The kept periods of the settings are stored, so that each process uses them."""
    from authguard.identity import Identity

    with service_at(url, clock=clock) as service:
        assert find_kept(service.database) == KEPT
        Identity(service)
        assert rows(service, "api_key_usage_kept") == []  # as by default
    given = {"usage_minutes_kept": 7_200, "usage_hours_kept": 3 * SECONDS_OF_DAY}
    with service_at(url, clock=clock, **given) as service:
        Identity(service)
        kept = {"minute": 7_200, "hour": 3 * SECONDS_OF_DAY, "day": 730 * SECONDS_OF_DAY}
        assert find_kept(service.database) == kept
    with service_at(url, clock=clock) as service:
        Identity(service)
        assert find_kept(service.database) == KEPT


@pytest.mark.one_database
@pytest.mark.parametrize(
    "given",
    [
        {"usage_minutes_kept": 3_599},
        {"usage_hours_kept": SECONDS_OF_DAY},
        {"usage_days_kept": 31 * SECONDS_OF_DAY},
        {"usage_minutes_kept": 4 * SECONDS_OF_DAY, "usage_hours_kept": 3 * SECONDS_OF_DAY},
        {"usage_hours_kept": 100 * SECONDS_OF_DAY, "usage_days_kept": 99 * SECONDS_OF_DAY},
    ],
)
def test_levels_that_end_too_soon_are_refused(url: str, given: dict[str, int]) -> None:
    """Kept periods that are too short, or shorter than those of the level below, are refused."""
    with pytest.raises(ConfigurationError, match="usage_"):
        settings(url, **given)


def test_a_batch_is_added_once(service: IdentityService, ann: Principal, made: NewAPIKey) -> None:
    """A batch that is written several times is added once, and a newer batch is added."""
    written = batch((made.key.id, 4), at=YEAR_START)
    for _ in range(3):
        add_batch(service.database, written)
    add_batch(service.database, written._replace(number=2))
    add_batch(service.database, written)
    assert service.api_keys.list(ann)[0].usage_count == 8
    assert list(table(service.database, MINUTE).values()) == [(8, 0)]


def test_a_lost_answer_counts_once(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose acknowledgement is lost is written again, and counts once."""
    recorder = UsageRecorder(service.database, seconds=3_600, clock=clock)
    counter = recorder.counter(made.key.id, 1)
    counter.count(clock.now, None, "/me", "ok")

    def commit_and_lose(database: Database, written: object) -> None:
        add_batch(database, written)  # type: ignore[arg-type]
        raise StoreUnavailableError("the answer is lost")

    with monkeypatch.context() as patch:
        patch.setattr("authguard.identity.keys.usage.add_batch", commit_and_lose)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                recorder.flush()
            counter.count(clock.now, None, "/me", "ok")
    assert service.api_keys.list(ann)[0].usage_count == 1
    recorder.close()
    assert service.api_keys.list(ann)[0].usage_count == 3


def test_a_batch_that_is_still_being_stored_counts_once(
    service: IdentityService, made: NewAPIKey, other: Database
) -> None:
    """A batch that is written twice at the same time counts once."""
    written = batch((made.key.id, 4), at=YEAR_START)
    with service.database.write() as connection:
        share_lock(connection)
        assert _is_new(connection, written)
        second = threading.Thread(target=add_batch, args=(other, written))
        second.start()
        second.join(0.2)
        assert second.is_alive()
    second.join(10)
    assert table(service.database, MINUTE) == {}  # as the first one has not added anything here


def test_old_numbers_of_batches_are_forgotten(service: IdentityService, made: NewAPIKey) -> None:
    """The last batch number of a process is deleted after 30 days."""
    for day in (0, 20):
        add_batch(service.database, batch((made.key.id, 1), at=YEAR_START + day * SECONDS_OF_DAY))
    keep_up(service.database, YEAR_START + 31 * SECONDS_OF_DAY)
    assert len(rows(service, "api_key_usage_writers")) == 1


def test_usage_of_a_key_is_for_its_owner(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """The usage of a key is for its owner and the operator, and not found for another account."""
    add_batch(service.database, batch((made.key.id, 2), at=clock.now))
    usage_of = service.api_keys.usage_of
    for principal in (ann, Operator(ann.subject)):
        (period,) = usage_of(principal, made.key.id, MONTH, begin=clock.now, end=clock.now + 60)
        assert (period.start, period.rule, period.uses) == (MONTH.start_of(clock.now), "/me", 2)
    bob = owner(service, "bob@example.com")
    for key_id in (made.key.id, "key_x", "\x00"):
        with pytest.raises(NotFoundError):
            usage_of(bob, key_id, DAY, begin=0, end=clock.now)


def test_a_period_is_read_whole(service: IdentityService, made: NewAPIKey) -> None:
    """A range has each period from the one of its first moment to the one before its last moment."""
    starts = [YEAR_START + number * SECONDS_OF_DAY for number in range(4)]
    for start in starts:
        add_batch(service.database, batch((made.key.id, 1), at=start))
    for moment in (YEAR_START, YEAR_START + 40 * SECONDS_OF_DAY):
        keep_up(service.database, moment)
        with service.database.read() as connection:
            usage = read_usage(connection, made.key, DAY, starts[1] + 80_000, starts[3])
        assert [period.start for period in usage] == starts[1:3]


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ((2027, 2, 28, 23, 59, 59), (2027, 2, 1), (2027, 3, 1)),
        ((2028, 2, 29), (2028, 2, 1), (2028, 3, 1)),
        ((2027, 12, 31), (2027, 12, 1), (2028, 1, 1)),
        ((2027, 1, 1), (2027, 1, 1), (2027, 2, 1)),
    ],
)
@pytest.mark.one_database
def test_months_are_those_of_the_calendar(moment: tuple, start: tuple, end: tuple) -> None:
    """Months are those of the calendar in UTC."""
    first, last = (int(datetime(*date, tzinfo=UTC).timestamp()) for date in (start, end))
    assert MONTH.start_of(datetime(*moment, tzinfo=UTC).timestamp()) == first
    assert MONTH.end_of(first) == last


def test_deleting_an_account_deletes_its_usage(
    service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """Deleting an account deletes its usage on all levels."""
    add_batch(service.database, batch((made.key.id, 1), at=YEAR_START))
    keep_up(service.database, YEAR_START + SECONDS_OF_DAY + 4_000)
    update(service, "DELETE FROM users WHERE id = :id", id=ann.subject)
    assert tables(service.database) == [{}] * 4


MAX_RATIO = 8  # to read all of the table would cost a hundred times as much
ROWS_ALONE = "CREATE TEMPORARY TABLE rows_alone AS SELECT * FROM api_key_usage_days WHERE key_id = :key"
A_YEAR = """
INSERT INTO api_key_usage_days (key_id, start, generation, rule, outcome, user_id, uses, rolled)
WITH RECURSIVE
    days(day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM days WHERE day < 364),
    names(name) AS (SELECT 0 UNION ALL SELECT name + 1 FROM names WHERE name < :keys),
    outcomes(outcome) AS (VALUES ('ok'), ('forbidden'), ('rate_limited'))
SELECT CASE name WHEN 0 THEN :key ELSE 'key_' || name END,
    :start + day * 86400, 1, '/a', outcome, :owner, 7, 7
FROM names, days, outcomes
"""


@pytest.mark.slow
def test_a_year_of_a_key_costs_little_more_than_its_rows(
    service: IdentityService, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of a key among a million rows costs little more than its rows in a table of their own.

    The test compares processor times, because their ratio depends little on other programs and on the
    machine.
    """
    key = create(service, ann).key
    with service.database.write(flush=False) as connection:
        if not service.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        values = {"key": key.id, "start": int(YEAR_START), "owner": ann.subject, "keys": size(91, 913)}
        connection.execute(text(A_YEAR), values)
    # The tests log each row, which costs more than to read it.
    monkeypatch.setattr(logging.Logger, "isEnabledFor", lambda logger, level: level >= logging.WARNING)
    quiet = Database(service.settings.database)
    with quiet.read() as connection:
        connection.execute(text(ROWS_ALONE), {"key": key.id})
        alone = least_cost(lambda: connection.exec_driver_sql("SELECT * FROM rows_alone").all())
        for level, count in ((DAY, 3 * 365), (MONTH, 0)):  # all days are rolled up, as the rows say
            milliseconds = cost_of(connection, key, level, count)
            print(
                f"{connection.dialect.name}: a year of a key by the {level.name}: {milliseconds:.1f} ms, "
                f"its rows alone: {alone:.1f} ms"
            )
            assert milliseconds <= MAX_RATIO * alone
    quiet.close()


def cost_of(connection: Connection, key: StoredAPIKey, level: Level, count: int) -> float:
    """Return the least processor time for a year, with that of the database, in milliseconds."""
    end = YEAR_START + 365 * SECONDS_OF_DAY
    statements: list[tuple] = []
    event.listen(connection.engine, "before_cursor_execute", lambda *args: statements.append(args[2:4]))

    def read() -> None:
        assert len(read_usage(connection, key, level, YEAR_START, end)) == count

    cost = least_cost(read)
    if connection.dialect.name == "sqlite":  # it runs in this thread
        return cost
    statement, values = statements[0]
    plans = [connection.exec_driver_sql(f"EXPLAIN ANALYZE {statement}", values).all() for _ in range(10)]
    return cost + min(float(plan[-1][0].split()[2]) for plan in plans)


def least_cost(read: Callable[[], object]) -> float:
    """Return the least processor time of this thread for some readings, in milliseconds."""
    times = []
    for _ in range(30):
        started = time.thread_time()
        read()
        times.append(time.thread_time() - started)
    return min(times) * 1_000
