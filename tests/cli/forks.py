"""Start processes of the command that begin with its imports, most of the time of a short command.

One process imports the command, and forks one for each call: this file is its program, too.
"""

import atexit
import json
import os
import select
import subprocess
import sys
from contextlib import ExitStack
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

_SECONDS = 60


def fork(number: int, args: tuple[str, ...], given: str, env: dict[str, str]) -> list[Any]:
    """Run the command to its end, in several processes at once.

    Args:
        number: how many processes.
        args: the arguments of each.
        given: its standard input.
        env: its environment.
    """
    parent = _parent()
    assert parent.stdin and parent.stdout
    with ExitStack() as stack:
        files = [[stack.enter_context(NamedTemporaryFile()) for _ in range(3)] for _ in range(number)]
        for file, *_ in files:
            file.write(given.encode())
            file.flush()
        paths = [[file.name for file in each] for each in files]
        call = {"args": args, "env": env, "cwd": os.getcwd(), "files": paths}
        parent.stdin.write(json.dumps(call) + "\n")
        parent.stdin.flush()
        if not select.select([parent.stdout], [], [], _SECONDS)[0]:
            _parent.cache_clear()
            _end(parent)
            raise AssertionError(f"the command does not end: {args}")
        ended = []
        for status, (_, *outputs) in zip(json.loads(parent.stdout.readline()), files, strict=True):
            ended.append(subprocess.CompletedProcess(args, status, *map(_text, outputs)))
        return ended


def _text(file: Any) -> str:
    text: str = file.read().decode()
    return text


@cache
def _parent() -> "subprocess.Popen[str]":
    """Start the process that imports the command; it ends with this one."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=pipe,
        stdout=pipe,
        text=True,
        start_new_session=True,  # without the terminal of the developer, which would be asked for passwords
    )
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def _fork_for_each_call() -> list[str]:
    """Answer each line with the statuses of the processes; return the arguments in each of these."""
    calls = os.fdopen(os.dup(0), encoding="utf-8")  # and nothing is read of the standard input of commands
    for line in calls:
        call = json.loads(line)
        children = []
        for paths in call["files"]:
            child = os.fork()
            if child == 0:
                _become(call, paths)
                return ["authguard", *call["args"]]
            children.append(child)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(statuses), flush=True)
    sys.exit()


def _become(call: dict[str, Any], paths: list[str]) -> None:
    for number, path in enumerate(paths):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(call["env"])
    os.chdir(call["cwd"])


if __name__ == "__main__":
    import authguard.cli.root
    import authguard.cli.serving.logs
    import authguard.cli.serving.worker
    import authguard.identity.app  # noqa: F401  # as all of them, for the processes
    from authguard.cli import main

    sys.argv = _fork_for_each_call()
    main()
