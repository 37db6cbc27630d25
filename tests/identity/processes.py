"""Search the processes that a test starts for secrets: their arguments, and the output and data of servers.

The data that a server receives and issues is not known here. So its texts are searched for the secrets of the
tests and of its environment, and for texts in the form of a secret.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from identity.support import PASSWORD, SECRET

TESTS = Path(__file__).parents[1]
_DATABASE = re.compile(r"(?:sqlite|postgresql(?:\+\w+)?)://[^\s'\"]+")
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN")
_TOKENS = r"\brt_[\w-]{40,}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
_TOKENS += r"|\b(?:sk_live|sk_test|claw|clsk|ak)_[0-9A-Za-z]{16,}_[0-9A-Za-z]{43,}_"
#: Forms of secrets that no database may contain. Logs and arguments may contain neither these, nor password
#: hashes, nor tokens of links.
_STORED_SHAPES = re.compile(_TOKENS)
_SHOWN_SHAPES = re.compile(rf"{_TOKENS}|\$argon2\w+\$\S+|token=[\w-]{{20,}}")


class Processes:
    """Record the processes that a test has started.

    Attributes:
        commands: the arguments of all of them, and of the processes that servers have started.
        outputs: (place, text) of the output of servers to pipes.
        files: the files that servers write to.
        databases: of servers.
        secrets: of their environment, and those of the tests.
    """

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.outputs: list[tuple[str, str]] = []
        self.files: set[str] = set()
        self.databases: set[str] = set()
        self.secrets: dict[str, str] = {}
        self.pids: list[int] = []

    def note(self, process: subprocess.Popen[Any], args: Any, options: Mapping[str, Any]) -> None:
        """Note a process that has started."""
        words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
        self.commands.append(" ".join(map(str, words)))
        if not is_server(words):
            return
        self.pids.append(process.pid)
        streams = [options.get(name) for name in ("stdout", "stderr")]
        self.files |= {stream.name for stream in streams if stream is not None and _is_file(stream)}
        given = options.get("env") or {}
        changed = {name: text for name, text in given.items() if os.environ.get(name) != text}
        self.databases.update(_DATABASE.findall(" ".join([*map(str, words), *map(str, changed.values())])))
        self.secrets |= {PASSWORD: "password", SECRET: "setting"}
        self.secrets |= {text: "setting" for name, text in changed.items() if _SECRET_NAME.search(name)}
        for url in self.databases:
            self.secrets |= {unquote(word): "setting" for word in [urlsplit(url).password] if word}
        self.look()

    def look(self) -> None:
        """Note the arguments of running servers and their workers, as every user of the machine sees them."""
        pids = list(self.pids)
        for pid in pids:
            with contextlib.suppress(OSError):
                self.commands.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
                pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def texts(self) -> list[tuple[str, str]]:
        """Return (place, text) of the output of servers to files and pipes."""
        places = list(self.outputs)
        for name in self.files:
            with contextlib.suppress(OSError):
                places.append((f"the output in {Path(name).name}", Path(name).read_text(errors="replace")))
        return places


def is_server(words: Iterable[object]) -> bool:
    """Return whether a command starts a server of this project."""
    names = {Path(str(word)).name for word in words}
    return "uvicorn" in names or {"authguard", "serve"} <= names


def _is_file(stream: Any) -> bool:
    return hasattr(stream, "name") and isinstance(stream.name, str) and not hasattr(stream, "getvalue")


def shapes_in(places: Iterable[tuple[str, str]], *, stored: bool = False) -> list[str]:
    """Return a sentence, without the secret, for each place with a text in the form of a secret."""
    shapes, problems = _STORED_SHAPES if stored else _SHOWN_SHAPES, []
    for where, text in places:
        if (match := shapes.search(text)) is not None:
            before = shapes.sub("[…]", text[max(0, match.start() - 80) : match.start()])
            problems.append(f"something like a secret ({match[0][:6]}…) is in {where}, after {before!r}")
    return problems


def watch_processes(processes: Processes, patch: pytest.MonkeyPatch) -> None:
    """Note each started process, and the output of servers that `communicate` and `run` have read."""
    begin, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate

    def noting_begin(process: subprocess.Popen[Any], args: Any, *more: Any, **options: Any) -> None:
        begin(process, args, *more, **options)
        processes.note(process, args, options)

    def noting_output(process: subprocess.Popen[Any], *args: Any, **options: Any) -> Any:
        texts = communicate(process, *args, **options)
        if process.pid in processes.pids:
            for text in filter(None, texts):
                shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
                processes.outputs.append(("the output of a server", shown))
        return texts

    patch.setattr(subprocess.Popen, "__init__", noting_begin)
    patch.setattr(subprocess.Popen, "communicate", noting_output)


@contextlib.contextmanager
def forking_process(module: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module that forks a process for each line of its input, and ends with its input."""
    path = os.pathsep.join([str(TESTS), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=TESTS, env={**os.environ, "TEST_DATABASE": url, "PYTHONPATH": path},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
