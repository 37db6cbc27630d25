"""Prove, measure, and write RESULTS.md and the picture: `make bench`.

`make bench ARGS="--quick"` and `ARGS="--only growth"` print the results, and write nothing. `ARGS="--resume"` takes the
parts that an earlier start has finished, so that a failure in one part does not lose an hour of measurements.
"""

import argparse
import time
import warnings
from importlib import import_module
from pathlib import Path

from benchmarks import report

PARTS = {
    "inprocess": (20, 5),
    "configurations": (50, 8),
    "steps": (30, 6),
    "quotas": (20, 5),
    "sockets": (5, 1),
    "growth": (10, 4),
    "remote": (3, 1),
    "identity": (4, 1),
    "api_keys": (20, 5),
    "enumeration": (300, 60),  # number of pairs
    "hostile": (3, 1),
}  # numbers of rounds: of a full and of a quick run
HERE = Path(__file__).parent
#: The results of each part of a whole run, for `--resume`.
KEPT = HERE.parent / "build" / "bench"
INTRODUCTION = """What authentication adds to a request, beside what a user would pick instead. Contestants run in turns in one
process or one set of servers, so that a drifting machine slows all alike: **quote the ratios**, not the
microseconds. Medians; minima in brackets. How to read and repeat it: [docs/performance.md](../docs/performance.md).

![What authentication adds to a request](added.svg)"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a result")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be given several times")
    parser.add_argument(
        "--resume", action="store_true", help="take the parts that an earlier start has finished"
    )
    arguments = parser.parse_args()
    is_whole = arguments.only is None and not arguments.quick
    warnings.simplefilter("ignore")  # rivals warn about the algorithms and keys of the benchmark
    print(f"{report.versions()}\n{report.machine()}")
    findings = report.Findings()
    for name in arguments.only or PARTS:
        part = report.read_kept(KEPT / f"{name}.json") if arguments.resume else None
        if part is None:
            started = time.perf_counter()
            part = import_module(f"benchmarks.{name}").run(PARTS[name][arguments.quick])
            print(f"\n{name}: {time.perf_counter() - started:.0f} s", flush=True)
            if is_whole:
                report.keep(KEPT / f"{name}.json", part)
        findings.tables += part.tables
        findings.values |= part.values
    from benchmarks import aims

    of_aims = aims.table(findings.values, measured_alone=arguments.only is not None)
    print("\n" + of_aims.markdown())
    if is_whole:
        from benchmarks import picture

        picture.write(HERE / "added.svg", findings.values)
        report.write(HERE / "RESULTS.md", INTRODUCTION, [of_aims, *findings.tables])


if __name__ == "__main__":
    main()
