"""Provide the service for the tests of commands."""

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from authguard.cli.root import root
from identity.databases import compiled_statements, empty_url, postgres_url, sqlite_url  # noqa: F401  # fixtures


@pytest.fixture
def service(url: str) -> dict[str, str]:
    """Return the variables with which commands use the service."""
    from cli.support import ISSUER, SECRET

    return {"AUTHGUARD_DATABASE": url, "AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}


@pytest.fixture
def leaks() -> Iterator[None]:
    """Check that the output, data and arguments of servers contain no secret."""
    from identity.leaks import Leaks
    from identity.processes import watch_processes

    leaks = Leaks()
    with pytest.MonkeyPatch.context() as patch:
        watch_processes(leaks.processes, patch)
        yield
    assert leaks.processes.pids
    assert leaks.report() == []


_numbers = itertools.count()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that writes a module, and runs the command with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(source: str, attribute: str = "app", *options: str, color: bool = False) -> Any:
        module = f"made_up_{next(_numbers)}"
        (tmp_path / f"{module}.py").write_text(source)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, module, raising=False)
        result = CliRunner().invoke(root, ["routes", f"{module}:{attribute}", *options], color=color)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        runner.module = sys.modules.get(module)
        return result

    runner: Any = call
    return call
