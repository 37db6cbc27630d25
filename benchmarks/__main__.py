"""`make bench`: prove, measure, write RESULTS.md and the picture.

`make bench ARGS="--quick"` and `ARGS="--only growth"` print, and write nothing.
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
    "enumeration": (300, 60),  # pairs
    "hostile": (3, 1),
}  # rounds: in full, quick
HERE = Path(__file__).parent
INTRODUCTION = """What authentication adds to a request, beside what a user would pick instead. Contestants run in turns in one
process or one set of servers, so that a drifting machine slows all alike: **quote the ratios**, not the
microseconds. Medians; minima in brackets. How to read and repeat it: [docs/performance.md](../docs/performance.md).

![What authentication adds to a request](added.svg)"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a result")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be given several times")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # rivals warn about the algorithms and keys that they are asked to use
    print(f"{report.versions()}\n{report.machine()}")
    findings = report.Findings()
    for name in arguments.only or PARTS:
        started = time.perf_counter()
        part = import_module(f"benchmarks.{name}").run(PARTS[name][arguments.quick])
        findings.tables += part.tables
        findings.values |= part.values
        print(f"\n{name}: {time.perf_counter() - started:.0f} s", flush=True)
    from benchmarks import aims

    of_aims = aims.table(findings.values, measured_alone=arguments.only is not None)
    print("\n" + of_aims.markdown())
    if arguments.only is None and not arguments.quick:
        from benchmarks import picture

        picture.write(HERE / "added.svg", findings.values)
        report.write(HERE / "RESULTS.md", INTRODUCTION, [of_aims, *findings.tables])


if __name__ == "__main__":
    main()
