"""The tests and the ratios of docs/comparison.md exist, and the ratios are those of the results."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
#: The row of the results for each row of the page.
NAMES = {
    "authguard on Starlette": "authguard on Starlette",
    "Starlette `AuthenticationMiddleware` with PyJWT": "Starlette AuthenticationMiddleware + PyJWT",
    "authguard on FastAPI": "authguard on FastAPI, typed dependency",
    "fastapi-users `current_user`": "fastapi-users current_user",
    "authguard on Flask": "authguard on Flask",
    "Authlib `ResourceProtector`": "Authlib ResourceProtector",
    "Flask-JWT-Extended `jwt_required`": "Flask-JWT-Extended jwt_required",
}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:\w+/)+test_\w+\.py)`", TEXT))))
def test_a_test_that_is_named_is_there(path: str) -> None:
    """A test file that the page names exists and has tests."""
    assert "test_" in (ROOT / "tests" / path.removeprefix("tests/")).read_text(encoding="utf-8")


def test_what_there_is_names_a_test() -> None:
    """Each "yes" of the page names a test file."""
    table = TEXT.partition("\n## Features\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| yes \| ([^|]*) \|", table, re.MULTILINE)
    assert rows and [name for name, shown in rows if "test_" not in shown] == []


@pytest.mark.parametrize("name", NAMES)
def test_ratios_are_those_of_the_results(name: str) -> None:
    """The ratios of the page for HS256, known and first seen, are those of the results."""
    wanted = re.search(rf"^\| {re.escape(NAMES[name])} \| HS256 \|(.*)\|$", RESULTS, re.MULTILINE)
    assert wanted is not None
    cells = [cell.split()[0] for cell in wanted[1].split("|")]
    assert f"| {name} | {cells[2]} | {cells[4]} |" in TEXT
