"""List the Python files whose docstrings and comments the tests of their words check."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tools", "benchmarks", "examples", "tests")
# The docstrings of these files are headings of docs/providers.md, which name a provider.
HEADINGS = "tests/providers/"


def source_files(*, tests: bool = False) -> dict[str, str]:
    """Return the text of each file by its path.

    Args:
        tests: True for the files of tests, whose docstrings are sentences; False for all others.
    """
    files = (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py")))
    return {
        file.relative_to(ROOT).as_posix(): file.read_text()
        for file in files
        if file.name.startswith("test_") is tests
    }
