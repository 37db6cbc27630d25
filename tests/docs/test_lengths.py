"""Check that the source has the lengths of CONTRIBUTING.md: short files and short functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
MAX_FILE = 400
MAX_FUNCTION = 40
MAX_FILES = 20
#: A migration is a list of tables.
LISTS = "migrations/versions/"


def lengths(source: str) -> Iterator[tuple[str, int]]:
    """Yield each function with the number of lines of its body, without its docstring.

    A signature is a list of options, with a line for each.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1:] if ast.get_docstring(node) else node.body
            if first:
                yield node.name, (node.end_lineno or 0) - first[0].lineno + 1


def place(path: Path) -> str:
    """Return the path below the source, because several files and folders have one name."""
    return path.relative_to(SOURCE).as_posix()


def test_functions_are_short() -> None:
    """No function has more than 40 lines."""
    long = [
        f"{file.name}: {name} has {number} lines"
        for file in SOURCE.rglob("*.py")
        if LISTS not in file.as_posix()
        for name, number in lengths(file.read_text())
        if number > MAX_FUNCTION
    ]
    assert long == []


def test_files_are_short() -> None:
    """No file has more than 400 lines."""
    numbers = {place(file): len(file.read_text().splitlines()) for file in SOURCE.rglob("*.py")}
    assert {name: number for name, number in numbers.items() if number > MAX_FILE} == {}


def test_folders_are_small() -> None:
    """No folder has more than 20 files."""
    folders = [folder for folder in SOURCE.rglob("*") if folder.is_dir()]
    numbers = {place(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: number for name, number in numbers.items() if number > MAX_FILES} == {}


@pytest.mark.parametrize(("lines", "length"), [(40, 40), (41, 41)])
def test_what_is_counted(lines: int, length: int) -> None:
    """The lines of statements are counted, without the signature and the docstring."""
    body = "\n".join(f"    value = {number}" for number in range(lines))
    source = f'def f(\n    a,\n    b,\n):\n    """Say it.\n\n    Twice.\n    """\n{body}\n\n\nother = 1\n'
    assert list(lengths(source)) == [("f", length)]
