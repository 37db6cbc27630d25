"""Count the instructions of a known token's request: `.venv-bench/bin/python -m benchmarks.profile_warm`.

It runs the ASGI middleware under valgrind's callgrind (apt-get install valgrind), once with few requests and
once with more, and prints the difference for one request: the interpreter's functions in C, by machine
instructions. Instructions are counted, not timed, so a busy machine does not change the result.

`--requests N` only sends N requests, for tools such as perf and pyinstrument.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

FEW, MANY = 500, 1500
SHOWN = 25


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, help="send so many requests, without valgrind")
    parser.add_argument("--bare", action="store_true", help="to the application without the middleware")
    arguments = parser.parse_args()
    if arguments.requests is not None:
        send(arguments.requests, bare=arguments.bare)
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing: apt-get install valgrind")
    guarded = _per_request(bare=False)
    guarded.subtract(_per_request(bare=True))
    total = guarded.total()
    print(f"the middleware adds {total:,.0f} machine instructions to a request\n")
    for name, count in guarded.most_common(SHOWN):
        print(f"{count:>8,.0f}  {count / total:>5.1%}  {name}")


def send(requests: int, *, bare: bool) -> None:
    """Send requests with a known token to an application that does nothing."""
    from authguard import Guard, JWTVerifier
    from authguard.asgi import AuthGuardMiddleware
    from benchmarks import tokens
    from benchmarks.traffic import bearer, receive, scope
    from benchmarks.traffic import send as drop

    secret = "a secret of forty bytes for the profile!"
    issuer = tokens.Issuer("HS256", secret, secret)
    token = issuer.token(jti="7", exp=4_000_000_000, iat=1_700_000_000)
    verifier = JWTVerifier(secret, algorithms=["HS256"], issuer=tokens.ISSUER, audience=tokens.AUDIENCE)

    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    app: Any = nothing if bare else AuthGuardMiddleware(nothing, guard=Guard(verifier))
    request = {**scope(bearer(token)), "state": {}}
    # the token is known after the first request, and the bytecode is specialised after some
    for _ in range(requests + 100):
        try:
            app(dict(request), receive, drop).send(None)
        except StopIteration:
            continue


def _per_request(*, bare: bool) -> Counter[str]:
    """Return the machine instructions of one request, by function."""
    many, few = _counted(MANY, bare=bare), _counted(FEW, bare=bare)
    return Counter({name: (many[name] - few[name]) / (MANY - FEW) for name in many | few})


def _counted(requests: int, *, bare: bool) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "benchmarks.profile_warm", "--requests", str(requests)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command, *(["--bare"] if bare else [])],
            check=True, capture_output=True, env=environment, timeout=500,
        )  # fmt: skip
        listed = subprocess.run(
            ["callgrind_annotate", "--threshold=100", out],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
    instructions: Counter[str] = Counter()
    for line in listed.splitlines():
        match = re.match(r"\s*([\d,]+)\s+\([^)]*\)\s+(\S.*?)(?: \[.*\])?$", line)
        if match and ":" in match[2]:
            instructions[re.sub(r"^.*/", "", match[2])] += int(match[1].replace(",", ""))
    return instructions


if __name__ == "__main__":
    main()
