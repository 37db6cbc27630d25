"""README is short, its claims have commands, and the changelog has the version."""

import re

import pytest

import authguard
from docs.blocks import Block, blocks, read

README = read("README.md")
MAX_LINES = 120
CLAIMS = re.findall(r"^\| .+ \| `(make .+)` \|$", README, re.MULTILINE)


def test_it_is_short() -> None:
    """README has at most 120 lines."""
    assert README.count("\n") <= MAX_LINES


@pytest.mark.parametrize("block", blocks("README.md", "python"), ids=str)
def test_an_application_has_ten_lines(block: Block) -> None:
    """Each application has ten lines without the blank ones."""
    assert len([line for line in block.text.splitlines() if line.strip()]) == 10


def test_each_command_can_be_run() -> None:
    """The target of each command is in the Makefile, and its tests exist."""
    targets = re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE)
    named = re.findall(r"`make ([\w-]+)", README)
    assert len(CLAIMS) == 5
    assert set(named) <= set(targets)
    tests = [(command, path) for command in CLAIMS for path in re.findall(r"tests/[\w/.]+", command)]
    assert len(tests) == 5
    for command, path in tests:
        assert command.startswith("make slow") == ("pytest.mark.slow" in read(path)), path


def test_the_best_rival_adds_so_much_more() -> None:
    """The last results have no ratio below that of README."""
    ratios = re.findall(
        r"the best \w+ rival adds, × authguard \| [^|]+\|[^|]*\| ([\d.]+)", read("benchmarks/RESULTS.md")
    )
    (part,) = re.findall(r"at most a (\d+)th", README)
    assert len(ratios) == 2
    assert min(map(float, ratios)) >= int(part)


def test_each_extra_is_named() -> None:
    """README names each extra of the package but `all`."""
    extras = re.findall(
        r"^(\w+) = \[",
        read("pyproject.toml").partition("[project.optional-dependencies]")[2].partition("\n[")[0],
        re.MULTILINE,
    )
    assert [
        extra
        for extra in extras
        if extra != "all" and f"`{extra}`" not in README and f"[{extra}]" not in README
    ] == []


def test_changelog_has_the_version() -> None:
    """The changelog has a section for the version of the package."""
    changelog = read("CHANGELOG.md")
    assert re.search(rf"^## \[{re.escape(authguard.__version__)}\]", changelog, re.MULTILINE)
