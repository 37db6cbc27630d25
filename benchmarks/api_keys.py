"""Measure the cost of an API key of the identity service in a request: known, first-seen, and invalid."""

import asyncio
import itertools
import tempfile
from pathlib import Path

from sqlalchemy import insert

from authguard import Guard, Quota
from authguard._core.credential.key_format import KeyFormat, make_readable_id
from authguard._core.encoding import sha256_hex
from authguard.identity import SQLAPIKeys, User, upgrade
from authguard.identity.model import StoredAPIKey
from authguard.identity.settings import KEY_PREFIXES
from authguard.identity.storage import queries as store
from authguard.identity.storage.api_key_queries import Secret
from authguard.identity.storage.database import Database
from authguard.identity.storage.schema import api_key_secrets, api_keys
from benchmarks import apps
from benchmarks.pairing import Paired, clock, in_turns
from benchmarks.report import Findings, Table
from benchmarks.traffic import asgi_timer, scope

BATCH = 100
FEW = 1_000
MANY = 1_000_000
QUICK_MANY = 50_000
CHECK_SECRET = "benchm4rks-0nly-Check-7Wq"
FORMAT = KeyFormat(KEY_PREFIXES)
QUOTAS = [Quota(10**6, 60, name="minute"), Quota(10**9, "day", name="day")]
OWNER = User("ann", "ann@example.com", True, "Ann", "USER", False, 0.0)
KEY = StoredAPIKey(
    id="key", user_id=OWNER.id, name="Key", prefix="sk_live_", shown="sk_live_", readable_id="", scopes=frozenset(),
    tier="free", metadata={}, networks=(), created_at=0.0, created_by=None, expires_at=4e9,
)  # fmt: skip


def run(rounds: int) -> Findings:
    """Time keys on Starlette in turns with the bare application.

    Args:
        rounds: the number of times that each contestant is timed.
    """
    findings = Findings()
    table = findings.table(
        "API keys of the identity service",
        "On Starlette, in process, beside the same application without a guard; microseconds of processor time, those of the "
        "thread that asks SQLite included. Each request for the first time has a key that nobody has asked for yet.",
        "request", "added µs", "least added µs",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        few = Store(Path(folder), FEW + BATCH * (rounds + 2))
        many = Store(Path(folder), QUICK_MANY if rounds < 10 else MANY)
        _time_requests(findings, table, runner, few, many, rounds)
        few.close()
        many.close()
    _time_texts(findings, rounds)
    return findings


class Store:
    """Create a database with a number of keys, and store the texts of some of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        url = f"sqlite:///{folder}/{count}.db"
        upgrade(url)
        self.database = Database(url)
        self.known: list[str] = []
        with self.database.write() as connection:
            store.insert_user(connection, OWNER, "ann", None)
        for start in range(0, count, 10_000):
            self._fill(range(start, min(start + 10_000, count)))
        self.fresh = iter(self.known)

    def _fill(self, numbers: range) -> None:
        """Add keys, and store the texts of all of them, or of every hundredth key in a large store."""
        step = max(1, self.count // 20_000)
        keys, secrets = [], []
        for number in numbers:
            text = FORMAT.make("sk_live_", make_readable_id())
            if number % step == 0:
                self.known.append(text)
            keys.append({**_ROW, "id": f"key_{number}"})
            secrets.append({"digest": sha256_hex(text), "key_id": f"key_{number}", **_SECRET._asdict()})
        with self.database.write(flush=False) as connection:
            connection.execute(insert(api_keys), keys)
            connection.execute(insert(api_key_secrets), secrets)

    def requests(self) -> list[dict[str, object]]:
        """Return requests with keys that no earlier request had."""
        return [scope(("x-api-key", text)) for text in itertools.islice(self.fresh, BATCH)]

    def close(self) -> None:
        self.database.close()


_SECRET = Secret(1, 0.0, 0.0, 0, None, None)
_ROW = {name: getattr(KEY, name) for name in StoredAPIKey.__slots__} | {
    "scopes": "read",
    "metadata": "{}",
    "networks": "",
}


def _time_requests(
    findings: Findings, table: Table, runner: asyncio.Runner, few: Store, many: Store, rounds: int
) -> None:
    plain, limited = SQLAPIKeys(few.database), SQLAPIKeys(few.database)
    known = [scope(("x-api-key", next(few.fresh)))] * BATCH
    garbage = [scope(("x-api-key", f"sk_live_{number:043}")) for number in range(BATCH)]
    seen, guards = {"few": few, "many": many}, {}
    for name, of in seen.items():
        guards[name] = Guard(SQLAPIKeys(of.database, count=False), cache_size=1)
    timers = {
        "bare": asgi_timer(runner, apps.starlette(), lambda: known),
        "known": asgi_timer(runner, apps.guarded_starlette(Guard(plain)), lambda: known),
        "limited": asgi_timer(
            runner,
            apps.guarded_starlette(Guard(limited, quotas={"free": QUOTAS, None: QUOTAS})),
            lambda: known,
        ),
        "garbage": asgi_timer(
            runner, apps.guarded_starlette(Guard(SQLAPIKeys(few.database))), lambda: garbage
        ),
        "few": asgi_timer(runner, apps.guarded_starlette(guards["few"]), few.requests),
        "many": asgi_timer(runner, apps.guarded_starlette(guards["many"]), many.requests),
    }
    times = in_turns(timers, rounds)
    titles = {
        "known": "known key, counted",
        "limited": "known key, counted, with two limits of its tier",
        "garbage": "no key at all: the answer 401",
        "few": f"first-seen key, of {few.count:,} on SQLite",
        "many": f"first-seen key, of {many.count:,} on SQLite",
    }
    for name, title in titles.items():
        paired = Paired(times["bare"], times[name])
        table.add(title, paired.added, paired.added_least)
        findings.values[f"API keys, {name} µs"] = paired.added
    findings.values["API keys, many beside few"] = Paired(times["few"], times["many"]).ratio
    table.add("the last beside the one before, ×", findings.values["API keys, many beside few"], "")
    for verifier in (plain, limited):
        verifier.close()


def _time_texts(findings: Findings, rounds: int) -> None:
    table = findings.table(
        "The text of an API key",
        "How long it takes to tell a text that is no key from one that may be, without a query.",
        "text", "CRC32: µs", "HMAC: µs",
    )  # fmt: skip
    good = FORMAT.make("sk_live_")
    formats = {"CRC32": FORMAT, "HMAC": KeyFormat(KEY_PREFIXES, check_secret=CHECK_SECRET)}
    texts = {
        "of the right shape, with a wrong check": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "random characters": good[::-1],
    }
    for title, text in texts.items():
        row = [min(_check(keys, text) for _ in range(max(5, rounds))) for keys in formats.values()]
        table.add(title, *row)
        findings.values[f"API keys, {title}, µs"] = row[0]


def _check(keys: KeyFormat, text: str) -> float:
    started = clock()
    for _ in range(1_000):
        keys.is_well_formed(text)
    return (clock() - started) * 1e3
