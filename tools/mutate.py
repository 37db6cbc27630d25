"""Change the source in small ways, and see whether the tests notice: `python -m tools.mutate --help`."""

import argparse
import difflib
import hashlib
import json
import shutil
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tools.mutations import Mutant, mutants_of
from tools.recorded import FOLDERS, RECORDS, ROOT, Recorded, copy_tree, record, run_tests

SOURCES = (
    "_core/**/*.py", "verifiers/*.py", "asgi.py", "wsgi.py", "_asgi/*.py", "_wsgi/*.py", "_preflight/*.py",
    "starlette.py", "fastapi.py", "flask.py", "_flask/*.py", "_fastapi/*.py", "django/*.py", "drivers/*.py",
    "stores/**/*.py", "issuing/*.py", "identity/usecases/**/*.py",
)  # fmt: skip
MIN_KILLED, MAX_EQUIVALENT = 0.97, 0.1
# the limit for the tests of a mutant, as a multiple of their recorded time, because a mutant may loop forever
SLOWNESS = 10
START_SECONDS = 60  # seconds added for imports


def _run(mutant: Mutant, tree: Path, recorded: Recorded) -> str:
    """Return the outcome of one mutant: `killed`, `survived`, or `timeout`, which counts as killed."""
    file = tree / mutant.path
    source = file.read_bytes()
    try:
        file.write_bytes(mutant.applied(source))
        for tests in recorded.tests_of(mutant):
            _forget_compiled(file)
            status = run_tests(tree, tests, START_SECONDS + SLOWNESS * recorded.seconds_of(tests))
            if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                return "timeout" if status is None else "killed"
        return "survived"
    finally:
        file.write_bytes(source)
        _forget_compiled(file)


def _forget_compiled(file: Path) -> None:
    for compiled in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
        compiled.unlink()


def _difference(mutant: Mutant) -> list[str]:
    source = (ROOT / mutant.path).read_bytes()
    before, after = source.decode().splitlines(), mutant.applied(source).decode().splitlines()
    return list(difflib.unified_diff(before, after, mutant.path, mutant.path, n=2, lineterm=""))


def key_of(mutant: Mutant) -> str:
    """Return a name of a mutant that changes with the source."""
    source = (ROOT / mutant.path).read_bytes()
    return f"{mutant.path} {hashlib.sha256(source + b'=>' + mutant.applied(source)).hexdigest()[:24]}"


def entry_of(mutant: Mutant) -> dict[str, str]:
    """Return the members of an entry in `mutants.toml`, without the reason."""
    changed = _difference(mutant)[2:]
    before, after = ("\n".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    return {"file": mutant.path, "line": before, "mutant": after}


def draw(number: int, seed: int, only: str) -> list[Mutant]:
    """Draw mutants of the sources at random; another draw differs only in the files that have changed."""
    paths = sorted({path for pattern in SOURCES for path in (ROOT / "src/authguard").glob(pattern)})
    names = [str(path.relative_to(ROOT)) for path in paths]
    mutants = [
        mutant for name in names if only in name for mutant in mutants_of(name, (ROOT / name).read_bytes())
    ]
    print(f"{len(mutants)} mutants in {len(names)} files")

    def place(mutant: Mutant) -> bytes:
        change = f"{seed} {mutant.path} {mutant.start} {mutant.end} {mutant.text}"
        return hashlib.sha256(change.encode()).digest()

    return sorted(mutants, key=place)[:number]


def run(mutants: list[Mutant], jobs: int, *, again: bool) -> dict[str, str]:
    """Run the tests of mutants whose outcome is not known yet, and return all outcomes by key."""
    file = RECORDS / "outcomes.json"
    outcomes: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    done = {key for key, outcome in outcomes.items() if not (again and outcome == "survived")}
    mutants = [mutant for mutant in mutants if key_of(mutant) not in done]
    recorded = Recorded()
    made = [copy_tree() for _ in range(jobs)]
    trees: SimpleQueue[Path] = SimpleQueue()
    for tree in made:
        trees.put(tree)

    def run_one(mutant: Mutant) -> None:
        tree = trees.get()
        outcomes[key_of(mutant)] = outcome = _run(mutant, tree, recorded)
        trees.put(tree)
        print(f"{outcome} {mutant.path}:{mutant.lines[0]}", flush=True)
        file.write_text(json.dumps(dict(outcomes), indent=1))

    try:
        _check_unchanged(mutants, made[0], recorded)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(run_one, mutants))
    finally:
        for tree in made:
            shutil.rmtree(tree)
    return outcomes


def _check_unchanged(mutants: list[Mutant], tree: Path, recorded: Recorded) -> None:
    """Refuse to continue if tests fail without a mutant, because all mutants would seem to be killed."""
    tests = {test for mutant in mutants for first in recorded.tests_of(mutant)[:1] for test in first}
    if tests and run_tests(tree, sorted(tests), quiet=False) != 0:
        sys.exit("tests fail without any mutant: mend them, and record again")


def report(mutants: list[Mutant], outcomes: dict[str, str], equivalent: list[dict[str, str]]) -> int:
    """Print the survivors and the score, and return the exit status."""
    survivors = [mutant for mutant in mutants if outcomes[key_of(mutant)] == "survived"]
    missed = [mutant for mutant in survivors if entry_of(mutant) not in equivalent]
    for mutant in missed:
        print("\n".join(_difference(mutant)), end="\n\n")
    listed = len(survivors) - len(missed)
    score = 1 - len(missed) / max(1, len(mutants) - listed)
    print(f"{len(mutants)} mutants, {listed} equivalent, {len(missed)} survived: {score:.1%} killed")
    return int(score < MIN_KILLED or listed > MAX_EQUIVALENT * len(mutants))


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="record which tests run which lines; again after changes")
    recording.add_argument(
        "parts",
        nargs="*",
        default=FOLDERS,
        help="folders or files of tests/, or `identity/test_a*`; . is itself",
    )
    running = commands.add_parser("run", help="draw mutants and run their tests")
    running.add_argument("--number", type=int, default=300)
    running.add_argument("--seed", type=int, default=1)
    running.add_argument("--only", default="", help="a part of the paths of the files to change")
    running.add_argument("--jobs", type=int, default=1)
    running.add_argument("--again", action="store_true", help="run the tests of survivors again")
    options = parser.parse_args()
    if options.command == "record":
        record(options.parts)
        return 0
    mutants = draw(options.number, options.seed, options.only)
    listed = tomllib.loads((ROOT / "tools/mutants.toml").read_text()).get("equivalent", [])
    equivalent = [{name: entry[name] for name in ("file", "line", "mutant")} for entry in listed]
    return report(mutants, run(mutants, options.jobs, again=options.again), equivalent)


if __name__ == "__main__":
    sys.exit(main())
