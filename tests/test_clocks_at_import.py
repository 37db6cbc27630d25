"""No module of the tests, examples and benchmarks reads the clock when it is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests", "examples", "benchmarks")
# A file that only type checkers read, and an application that asks before its server forks.
NOT_RUN_BY_TESTS = {"check_starlette.py", "workers.py"}
# Calls that read the clock, unless one of these keywords gives the time.
CLOCKS = {"time", "time_ns", "monotonic", "perf_counter", "now", "utcnow", "today"}
ISSUERS = {"issue_token": {"now", "exp"}}


class _AtImport(ast.NodeVisitor):
    """Collect the calls that run when a module is imported: those outside of function bodies."""

    def __init__(self) -> None:
        self.calls: list[ast.Call] = []

    def visit_Call(self, node: ast.Call) -> None:
        self.calls.append(node)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args):
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)

    def visit_If(self, node: ast.If) -> None:
        if "__main__" not in ast.unparse(node.test):
            self.generic_visit(node)


def clocks_at_import(source: str) -> Iterator[str]:
    """Yield the calls by which the time of its import affects a module."""
    visitor = _AtImport()
    visitor.visit(ast.parse(source))
    for call in visitor.calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = {keyword.arg for keyword in call.keywords}
        if name in CLOCKS or (name in ISSUERS and not given & ISSUERS[name]):
            yield ast.unparse(call)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_clock_is_read_at_import(folder: str) -> None:
    """No clock is read at import, because a token made then may have expired when its test runs."""
    files = sorted(file for file in (ROOT / folder).rglob("*.py") if file.name not in NOT_RUN_BY_TESTS)
    assert files
    read = {file: list(clocks_at_import(file.read_text(encoding="utf-8"))) for file in files}
    assert {str(file.relative_to(ROOT)): calls for file, calls in read.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    [
        "TOKEN = issue_token(SECRET)",
        "TOKEN = testing.issue_token(SECRET, expires_in=300)",
        "NOW = time.time()",
        "CLAIMS = {'exp': time.time() + 60}",
        "def ask(now=time.time()): pass",
        "@parametrize('token', [issue_token(SECRET)])\ndef test(): pass",
        "class Case:\n    token = issue_token(SECRET)",
        "today = datetime.now(UTC)",
    ],
)
def test_a_clock_at_import_is_seen(source: str) -> None:
    """A clock in an assignment, a default, a decorator or a class body is reported."""
    assert list(clocks_at_import(source))


@pytest.mark.parametrize(
    "source",
    [
        "def token(): return issue_token(SECRET)",
        "make = lambda: time.time()",
        "TOKEN = issue_token(SECRET, now=NOW)",
        "async def ask():\n    return time.time()",
        "if __name__ == '__main__':\n    print(time.time())",
        "clock = time.time",
    ],
)
def test_a_clock_that_is_read_later_is_no_fault(source: str) -> None:
    """A clock in a function, a lambda or a script is accepted, and so is a call with the time."""
    assert list(clocks_at_import(source)) == []
