"""Define the tables of the log in SQL, the same for SQLite and PostgreSQL.

One row of `authguard_log` has the counter. A writer changes this row first, which locks it until the commit,
so that numbers are in the order of commits. (Numbers of a PostgreSQL sequence are not: of two transactions,
the one with the lower number may commit last, and a reader that has seen the higher number would never read
it.)
"""

TABLES = (
    """CREATE TABLE IF NOT EXISTS authguard_log (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch TEXT NOT NULL, seq BIGINT NOT NULL, began DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS authguard_marks (
        kind TEXT NOT NULL, issuer TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL,
        issued_before DOUBLE PRECISION, until DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (kind, issuer, name))""",
    "CREATE INDEX IF NOT EXISTS ix_authguard_marks_seq ON authguard_marks (seq)",
    "CREATE INDEX IF NOT EXISTS ix_authguard_marks_until ON authguard_marks (until)",
    "CREATE TABLE IF NOT EXISTS authguard_tips (seq BIGINT PRIMARY KEY, tip TEXT NOT NULL)",
    """CREATE {unlogged} TABLE IF NOT EXISTS authguard_readers (
        process TEXT PRIMARY KEY, seq BIGINT NOT NULL, seen DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS authguard_replays (
        digest TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS ix_authguard_replays_until ON authguard_replays (until)",
)

# `{p}` is a placeholder, `{now}` the clock of the database, `{greatest}` the greater of two values.
BEGIN_LOG = (
    "INSERT INTO authguard_log (id, epoch, seq, began) VALUES (1, {p}, 0, 0) ON CONFLICT (id) DO NOTHING"
)
NEW_EPOCH = "UPDATE authguard_log SET epoch = {p}, began = {now} WHERE epoch = {p}"
COUNT = "UPDATE authguard_log SET seq = seq + {p} WHERE id = 1 RETURNING seq, {now}"
PUT_MARK = """INSERT INTO authguard_marks (kind, issuer, name, seq, issued_before, until)
    VALUES ({p}, {p}, {p}, {p}, {p}, {p})
    ON CONFLICT (kind, issuer, name) DO UPDATE SET
        seq = excluded.seq, until = {greatest}(authguard_marks.until, excluded.until),
        issued_before = {greatest}(authguard_marks.issued_before, excluded.issued_before)"""
PUT_TIP = """INSERT INTO authguard_tips (seq, tip) VALUES ({p}, {p})
    ON CONFLICT (seq) DO UPDATE SET tip = excluded.tip"""
DELETE_TIPS = "DELETE FROM authguard_tips WHERE seq <= {p}"
DELETE_TIPS_AFTER = "DELETE FROM authguard_tips WHERE seq > {p}"
DELETE_MARKS = "DELETE FROM authguard_marks WHERE until < {now} - {p}"
READ_LOG = """SELECT l.epoch, l.seq, {now} - l.began,
    (SELECT t.tip FROM authguard_tips t WHERE t.seq = {p}),
    (SELECT t.tip FROM authguard_tips t WHERE t.seq = l.seq)
    FROM authguard_log l WHERE l.id = 1"""
READ_EPOCH = "SELECT epoch FROM authguard_log WHERE id = 1"
READ_MARKS = """SELECT kind, issuer, name, issued_before, until, seq FROM authguard_marks
    WHERE seq > {p} ORDER BY seq LIMIT {p}"""
FIND_MARK = """SELECT kind, issuer, name, issued_before, until FROM authguard_marks
    WHERE kind = {p} AND issuer = {p} AND name = {p}"""
COUNT_MARKS = "SELECT count(*) FROM (SELECT 1 FROM authguard_marks WHERE until > {p} LIMIT {p}) AS live"
PUT_READER = """INSERT INTO authguard_readers (process, seq, seen) VALUES ({p}, {p}, {now})
    ON CONFLICT (process) DO UPDATE SET seq = excluded.seq, seen = excluded.seen"""
DELETE_READERS = "DELETE FROM authguard_readers WHERE seen < {now} - {p}"
LATE_READERS = "SELECT count(*) FROM authguard_readers WHERE seen >= {now} - {p} AND seq < {p}"
USE_PROOF = """INSERT INTO authguard_replays (digest, until) VALUES ({p}, {now} + {p})
    ON CONFLICT (digest) DO UPDATE SET until = excluded.until WHERE authguard_replays.until <= {now}"""
DELETE_PROOFS = "DELETE FROM authguard_replays WHERE until <= {now}"
