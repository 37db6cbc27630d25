"""Each requirement of the checklist has one line in docs/standards.md, with its tests or a reason."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "standards.md").read_text(encoding="utf-8")
REQUIREMENTS = range(1, 324)
NUMBERED = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| (?:([^|]+) )?\|$", TEXT, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", TEXT)))
FOLDERS = sorted(set(re.findall(r"`((?:\w+/)+)`", "\n".join(tests for _, _, tests, _ in NUMBERED))))


def test_each_requirement_has_one_line():
    """The lines have the numbers 1 to 323, each once."""
    assert sorted(number for number, *_ in NUMBERED) == sorted(map(str, REQUIREMENTS))


def test_the_lines_are_in_order_within_a_section():
    """The lines of a section are in the order of their numbers."""
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]
        assert numbers == sorted(numbers), section.partition("\n")[0]


@pytest.mark.parametrize(
    ("number", "requirement", "tests", "notes"), NUMBERED, ids=[row[0] for row in NUMBERED]
)
def test_a_line_names_a_test_or_a_reason(number, requirement, tests, notes):
    """A line is a sentence with test files or folders, or a note with the reason for none."""
    assert requirement.endswith(".")
    assert re.fullmatch(r"none|(`(\w+/)*(test_\w+\.py)?`(, |$))+", tests)
    assert tests != "none" or notes.endswith(".")


@pytest.mark.parametrize("path", NAMED)
def test_a_file_that_is_named_has_tests(path):
    """Each named file exists and has at least one test."""
    assert re.search(
        r"^(async )?def test_", (ROOT / "tests" / path).read_text(encoding="utf-8"), re.MULTILINE
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_is_named_has_tests(folder):
    """Each named folder exists and has at least one file of tests."""
    assert list((ROOT / "tests" / folder).glob("test_*.py"))


def test_the_least_version_of_pyjwt():
    """The least version of PyJWT is 2.14, because earlier ones accept invalid tokens (requirement 323)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (floor,) = [
        re.search(r">=(\d+)\.(\d+)", line) for line in project["dependencies"] if line.startswith("pyjwt")
    ]
    assert floor is not None
    assert (int(floor[1]), int(floor[2])) >= (2, 14)
