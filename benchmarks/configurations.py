"""Measure configurations of users in one paired table.

They are compared with a known Bearer token, and with the cheapest solution for the same.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.configured import applications
from benchmarks.configured.applications import BARE, EMPTY_DEPENDENCY, LEAST, LEAST_COROUTINE, LEAST_THREAD
from benchmarks.configured.guards import KNOWN, KNOWN_KEY
from benchmarks.configured.row import Row, prove
from benchmarks.configured.world import World
from benchmarks.pairing import Paired, in_turns
from benchmarks.report import Findings

Times = Mapping[str, Sequence[float]]


def run(rounds: int) -> Findings:
    """Prove, and time all rows in the same rounds.

    Args:
        rounds: the number of times that each row is timed.
    """
    # imported here, because the environment of the tests has no rivals
    from benchmarks.configured import beside

    findings = Findings()
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
        closing(World(Path(folder))) as world,
    ):
        rows = [*applications.rows(world), *beside.rows(world)]
        for row in rows:
            prove(row, runner)
        timed = {_key(row.face, row.name): row.timer(runner) for row in (*applications.bare(world), *rows)}
        times = in_turns(timed, rounds, shuffled=True)
    _tables(findings, rows, times)
    findings.values |= {f"configurations, {name}": ratio for name, ratio in ratios(times)}
    return findings


def _key(face: str, name: str) -> str:
    return f"{face}, {name}"


def _tables(findings: Findings, rows: Sequence[Row], times: Times) -> None:
    for face in applications.FACES:
        table = findings.table(
            f"Configurations on {face}",
            "Microseconds of processor time that a request takes beside the bare application, as a whole, and beside the "
            "same application with a known Bearer token. All rows of all faces run in the same rounds; medians of the ratios "
            "within a round, and in brackets the ratio of the minima. Everybody is proven to answer 200 with the credential, "
            "and to refuse a bad one and none. *Remembered* is a hit rate of 100 %. Memory and shared store know 999 logouts of others.",
            "", "bare µs", "added µs", "× bare", "× known Bearer",
        )  # fmt: skip
        known = _key(face, KNOWN)
        for row in rows:
            if row.face == face:
                key = _key(face, row.name)
                beside = Paired(list(times[_key(face, BARE)]), list(times[key]))
                to_known = Paired(list(times[known]), list(times[key])) if known in times else None
                table.add(
                    row.name, beside.base_median, f"{beside.added:.2f} ({beside.added_least:.2f})", _pair(beside),
                    "–" if to_known is None else _pair(to_known),
                )  # fmt: skip


def _pair(paired: Paired) -> str:
    return f"{paired.ratio:.2f} ({paired.ratio_least:.2f})"


def ratios(times: Times) -> Iterator[tuple[str, float]]:
    """Yield the ratios for the aims, by name; each is the median of the ratios within a round."""
    for face in ("Starlette", "Flask"):
        of = _Column(face, times)
        yield f"{face}: known Bearer, × the least", of.ratio(KNOWN, LEAST)
        yield (
            f"{face}: user_loader with user_ttl, × known Bearer",
            of.ratio("user_loader with user_ttl", KNOWN),
        )
        yield f"{face}: known Bearer again, × known Bearer", of.ratio("Bearer again: the noise", KNOWN)
        for name in (
            "user_loader, async", "user_loader, in memory", "revocations, async", "revocations, own, in memory",
            "revocations, memory", "revocations, shared store",
            "introspection, remembered", "remote keys", "cookie", "cookie, POST", "rules with scopes",
        ):  # fmt: skip
            yield f"{face}: {name}, × known Bearer", of.ratio(name, KNOWN)
        for name in (
            "API key: Bearer sk_…", "API key: identity store, remembered",
            "API key: plain function, remembered", "API key: async function, remembered",
        ):  # fmt: skip
            yield f"{face}: {name}, × known X-API-Key", of.ratio(name, KNOWN_KEY)
    of = _Column("Starlette", times)
    for name, known in (
        ("user_loader, plain", KNOWN), ("revocations, plain", KNOWN),
        ("API key: plain function, cache_ttl=0", KNOWN_KEY),
    ):  # fmt: skip
        yield f"Starlette: {name}, × known and the cheapest thread", of.beside_thread(name, known)
    of = _Column("Flask", times)
    for name in ("user_loader, plain", "revocations, plain"):
        yield f"Flask: {name}, × known Bearer", of.ratio(name, KNOWN)
    yield "Flask: current_user, × known Bearer", of.ratio("current_user", KNOWN)
    of = _Column("FastAPI", times)
    yield "FastAPI: typed dependency, × an empty dependency", of.ratio("typed dependency", EMPTY_DEPENDENCY)


class _Column:
    """Hold the times of one face, by the names of the rows."""

    def __init__(self, face: str, times: Times) -> None:
        self._of: Callable[[str], Sequence[float]] = lambda name: times[_key(face, name)]

    def ratio(self, name: str, base: str) -> float:
        return _median_ratio(self._of(name), self._of(base))

    def beside_thread(self, name: str, known: str) -> float:
        """Return the ratio to a known credential plus the additional cost of the cheapest thread."""
        parts = zip(self._of(known), self._of(LEAST_THREAD), self._of(LEAST_COROUTINE), strict=True)
        return _median_ratio(self._of(name), [base + thread - awaited for base, thread, awaited in parts])


def _median_ratio(times: Sequence[float], base: Sequence[float]) -> float:
    return statistics.median(own / other for own, other in zip(times, base, strict=True))
