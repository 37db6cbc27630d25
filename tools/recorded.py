"""Record the tests of each line by a run of pytest with coverage; this module is also the pytest plugin."""

import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, cast

import pytest
from coverage import CoverageData

from tools.mutations import Mutant, constants_of

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / ".mutation"  # git ignores this folder
# Tests that read the sources or run them in another process, so that no line is recorded for them.
UNSEEN = ("docs/test_spellings.py", "test_first_fetch.py", "test_kept_loop.py")
FOLDERS = ("core", "verifiers", "adapters", "stores", "testing", "remote", "identity", ".", UNSEEN[0])
MAX_MEMORY = 4 * 2**30  # bytes of a test run, because a mutant may collect data forever
# most mutants are killed by the tests of these files, and few files are collected quickly
FIRST_FILES, FIRST_TESTS = 3, 200
MIN_TEST_SECONDS = 0.002  # seconds of a test that are not measured

# A process that has imported slow modules, and forks for each run of pytest, which saves the imports.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([
    "pytest", "_pytest.python", "hypothesis", "trio", "anyio.pytest_plugin", "jwt", "httpx", "redis",
    "starlette.testclient", "fastapi", "flask", "sqlalchemy.dialects.postgresql", "psycopg", "limits",
    "alembic.command", "argon2", "uvicorn", "aiosmtpd.controller",
])  # fmt: skip
_polling = threading.Lock()  # an exit status can be read once, and starting a process polls all others

_durations: dict[str, float] = defaultdict(float)
_failed: set[str] = set()


def pytest_configure() -> None:
    """Limit the memory of a test run."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def pytest_runtest_logreport(report: Any) -> None:
    """Add up the duration of a test, and note whether it fails."""
    _durations[report.nodeid] += report.duration
    if report.failed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the durations for `record`, except those of tests that fail without a mutant."""
    if path := os.environ.get("MUTATE_DURATIONS"):
        passed = {name: seconds for name, seconds in _durations.items() if name not in _failed}
        Path(path).write_text(json.dumps(passed))


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Run the tests that a file names, in its order, and skip tests that no longer exist."""
    if path := os.environ.get("MUTATE_TESTS"):
        place = {name: number for number, name in enumerate(Path(path).read_text().splitlines())}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )


def copy_tree() -> Path:
    """Copy the project, as git would commit it, to a separate folder."""
    tree = Path(tempfile.mkdtemp(prefix="mutate-"))
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    return tree


def run_pytest(
    tree: Path, *arguments: str, timeout: float | None = None, quiet: bool = True, **variables: str
) -> int | None:
    """Run pytest on a tree and return its exit status; None if it took too long."""
    process = _FORKS.Process(target=_run_pytest_here, args=(tree, arguments, variables, quiet))
    with _polling:
        process.start()
    ended: object = None
    try:
        ended = wait([process.sentinel], timeout)
    finally:
        if not ended:  # also after Ctrl-C
            with suppress(ProcessLookupError):  # the process has just ended
                # the process group includes the servers that its tests started
                os.killpg(cast("int", process.pid), signal.SIGKILL)
            wait([process.sentinel])
    with _polling:
        return process.exitcode if ended else None


def _run_pytest_here(tree: Path, arguments: tuple[str, ...], variables: dict[str, str], quiet: bool) -> None:
    """Run pytest in this forked process, and end with its exit status."""
    os.setsid()
    os.chdir(tree)
    os.environ.update(variables, PYTHONPATH=f"{tree / 'src'}:{tree}")
    sys.path[:0] = [str(tree / "src"), str(tree)]
    if quiet:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.dup2(nothing, sys.stderr.fileno())
    # Modules that are imported already cannot be rewritten to explain their assertions.
    options = ["-p", "no:cacheprovider", "-p", "tools.recorded", "-m", "not slow", "--assert=plain", "-q"]
    sys.exit(pytest.main([*options, *arguments]))


def run_tests(
    tree: Path, tests: Sequence[str], timeout: float | None = None, *, quiet: bool = True
) -> int | None:
    """Run tests by their names until one fails; see `run_pytest`."""
    files = sorted({file for file in map(_file_of, tests) if (tree / file).is_file()})
    if not files:
        return pytest.ExitCode.NO_TESTS_COLLECTED
    chosen = tree / "chosen-tests"
    chosen.write_text("\n".join(tests))
    return run_pytest(tree, "-x", *files, timeout=timeout, quiet=quiet, MUTATE_TESTS=str(chosen))


def record(parts: Iterable[str]) -> None:
    """Record which tests run which lines, and how long they take, a folder or a file at a time."""
    RECORDS.mkdir(exist_ok=True)
    tree = copy_tree()  # a copy, which no one edits meanwhile
    try:
        for part in parts:
            folder, name = tree / "tests", "top" if part == "." else part.replace("/", "-").rstrip("*")
            pattern = f"{part}/test_*.py" if (folder / part).is_dir() else part
            paths = sorted(map(str, folder.glob(pattern)))
            status = run_pytest(
                tree, *paths, "-k", "not postgresql", "--continue-on-collection-errors",
                "--cov=authguard", "--cov-context=test", "--cov-report=",
                COVERAGE_FILE=str(RECORDS / f"{name}.coverage"),
                MUTATE_DURATIONS=str(RECORDS / f"{name}.json"),
            )  # fmt: skip
            print(f"{part}: pytest ended with {status}", flush=True)
    finally:
        shutil.rmtree(tree)


class Recorded:
    """Read the tests of each line, and their durations, as `record` has written them."""

    def __init__(self) -> None:
        self.durations: dict[str, float] = {}
        self._data: list[tuple[CoverageData, dict[str, str]]] = []
        self._lines: dict[str, dict[int, set[str]]] = {}
        self._at_import: dict[str, set[int]] = {}
        for path in sorted(RECORDS.glob("*.coverage")):
            self.durations |= json.loads(path.with_suffix(".json").read_text())
            data = CoverageData(str(path))
            data.read()
            # The recorded tree no longer exists, but its files have the same names.
            names = {f"src/{name.partition('/src/')[2]}": name for name in data.measured_files()}
            self._data.append((data, names))
        self._sources = {
            str(file.relative_to(ROOT)): file.read_text() for file in (ROOT / "src").rglob("*.py")
        }
        self._tests_in = Counter(map(_file_of, self.durations))

    def tests_of(self, mutant: Mutant) -> list[list[str]]:
        """Return the tests to run, the cheapest first, in two rounds: the nearest files come first."""
        by_line = self._tests_by_line(mutant.path)
        tests = {test for line in mutant.lines for test in by_line.get(line, ())}
        if mutant.names:  # a constant is created at import, and the tests of its users test it
            tests |= self._tests_of_users(mutant.names)
        elif self._at_import[mutant.path].intersection(mutant.lines):  # for objects that test files create
            tests = set().union(*by_line.values())
        tests = self.durations.keys() & (tests or set().union(*by_line.values()))
        ordered = sorted(tests, key=lambda test: (self.durations[test], test))
        nearest = self._nearest_files(tests)
        first = [test for test in ordered if _file_of(test) in nearest][:FIRST_TESTS]
        chosen = set(first)
        unseen = sorted(test for test in self.durations if _file_of(test).removeprefix("tests/") in UNSEEN)
        others = [test for test in dict.fromkeys((*ordered, *unseen)) if test not in chosen]
        return [several for several in (first, others) if several]

    def _nearest_files(self, tests: set[str]) -> list[str]:
        """Return the files with the most tests of the line in the least time."""
        count = Counter(map(_file_of, tests))
        seconds: dict[str, float] = defaultdict(float)
        for test in tests:
            seconds[_file_of(test)] += self.durations[test] + MIN_TEST_SECONDS

        def cost(file: str) -> float:
            return seconds[file] * self._tests_in[file] / count[file] ** 2

        return sorted(count, key=cost)[:FIRST_FILES]

    def seconds_of(self, tests: Iterable[str]) -> float:
        """Return the recorded duration of tests."""
        return sum(self.durations[test] for test in tests)

    def _tests_by_line(self, path: str) -> dict[int, set[str]]:
        if path not in self._lines:
            self._lines[path] = defaultdict(set)
            self._at_import[path] = set()
            for data, names in self._data:
                for line, contexts in data.contexts_by_lineno(names.get(path, path)).items():
                    tests = {context.rpartition("|")[0] for context in contexts if context}
                    self._lines[path][line] |= tests
                    if "" in contexts:
                        self._at_import[path].add(line)
        return self._lines[path]

    def _tests_of_users(self, names: tuple[str, ...]) -> set[str]:
        """Return the tests of the lines that use constants, directly or through other constants."""
        tests: set[str] = set()
        waiting, seen = list(names), set(names)
        while waiting:
            word = re.compile(rf"\b{re.escape(waiting.pop())}\b")
            for path, source in self._sources.items():
                if not word.search(source):
                    continue
                for number, line in enumerate(source.splitlines(), 1):
                    if word.search(line):
                        tests |= self._tests_by_line(path).get(number, set())
                made = {name for name, text in constants_of(source) if word.search(text)} - seen
                waiting += made
                seen |= made
        return tests


def _file_of(test: str) -> str:
    return test.partition("::")[0]
