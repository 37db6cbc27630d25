"""Follow a page like a new user: from an empty folder and the built wheel to the first 401 and 200.

`make first-hour` does it for each application of README.md and docs/start.md. The blocks below a heading are
taken in order: Python is written to `main.py`, and the commands go to one shell. The shell waits for a server
that it has started.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from docs.blocks import ROOT, Block, blocks
from ports import free_port

EXPECTED = ["401", "200"]
PORT = "8000"
MAX_SECONDS = 180
WAIT = """
for _ in $(seq 300); do curl -s -o first.txt http://127.0.0.1:{port}/dashboard && break; sleep 0.1; done
"""


class Hour(NamedTuple):
    """Hold the result.

    Attributes:
        statuses: the statuses of the answers to the commands of the page.
        seconds: from the first command to the last.
        output: of all commands.
    """

    statuses: list[str]
    seconds: float
    output: str


def applications(page: str) -> dict[str, list[Block]]:
    """Return the blocks below each heading that has an application and commands for it."""
    results = {
        heading: list(each)
        for heading, each in groupby(blocks(page, "python", "sh"), lambda block: block.heading)
    }
    return {
        heading: each
        for heading, each in results.items()
        if {block.language for block in each} == {"python", "sh"}
    }


def build_wheel(folder: Path) -> Path:
    """Return the wheel of this checkout, built into a folder."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=MAX_SECONDS)
    (wheel,) = folder.glob("*.whl")
    return wheel


def follow(application: list[Block], wheel: Path, folder: Path) -> Hour:
    """Run the blocks in an empty folder, with the wheel instead of the published package."""
    own = ("PYTHONPATH", "VIRTUAL_ENV", "AUTHGUARD_CONFIG")
    environment = {name: value for name, value in os.environ.items() if name not in own} | {
        "PATH": os.pathsep.join([f"{sys.base_prefix}/bin", os.environ["PATH"]]),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NO_PROXY": "*",
    }
    script = "\n".join(_script(application, wheel))
    began = time.monotonic()
    with subprocess.Popen(
        ["bash", "-eu"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            output, _ = shell.communicate(script, timeout=MAX_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)  # the process group includes the server
            raise
    statuses = re.findall(r"^HTTP/1\.1 (\d+)", output, re.MULTILINE)
    return Hour(statuses, time.monotonic() - began, output)


def _script(application: list[Block], wheel: Path) -> Iterator[str]:
    """Yield the lines for the shell."""
    port = str(free_port())
    yield "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"
    for block in application:
        text = block.text.replace(PORT, port)
        text = re.sub(r'pip install "(authguard\[.+?\])"', rf'pip install "\1 @ {wheel.as_uri()}"', text)
        if block.language == "python":
            yield f"cat > main.py <<'END OF PAGE'\n{text}END OF PAGE"
        else:
            # Background processes must not keep the pipe of this process open.
            yield re.sub(r" &$", " >server.log 2>&1 &", text, flags=re.MULTILINE)
            if re.search(r" &$", text, re.MULTILINE):
                yield WAIT.format(port=port)


def main(*given: str) -> int:
    """Follow each application of some pages, and print the duration."""
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        wheel = build_wheel(Path(name))
        for page in given:
            for heading, application in applications(page).items():
                with tempfile.TemporaryDirectory() as folder:
                    hour = follow(application, wheel, Path(folder))
                good = hour.statuses == EXPECTED
                failed += not good
                print(f"{page}, {heading}: {', '.join(hour.statuses)} in {hour.seconds:.0f} seconds")
                if not good:
                    print(hour.output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
