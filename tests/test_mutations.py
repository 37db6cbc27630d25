"""The mutants that `tools.mutate` draws."""

from pathlib import Path

import pytest
from tools import mutate
from tools.mutations import constants_of, mutants_of


def changed(source):
    """Return the source with each of its mutants."""
    return [mutant.applied(source.encode()).decode() for mutant in mutants_of("a.py", source.encode())]


@pytest.mark.parametrize(
    ("source", "mutant"),
    [
        ("x = a < b\n", "x = (a <= b)\n"),
        ("x = a == b\n", "x = (a != b)\n"),
        ("x = not a\n", "x = (a)\n"),
        ("x = a and b\n", "x = (a or b)\n"),
        ("x = a and b\n", "x = (b)\n"),
        ("x = a + b\n", "x = (a - b)\n"),
        ("x = 3\n", "x = 4\n"),
        ("x = True\n", "x = False\n"),
        ("x = 'ab'\n", "x = 'aba'\n"),
        ("x = f(a, b=c)\n", "x = (f(a))\n"),
        ("def f(a=1):\n    ...\n", "def f(a=2):\n    ...\n"),
        ("def f():\n    return g\n", "def f():\n    return None\n"),
        ("if a:\n    f()\n", "if (not (a)):\n    f()\n"),
        ("if a:\n    f()\n", "if a:\n    pass\n"),
        ("for a in b:\n    break\n", "for a in b:\n    continue\n"),
        ("try:\n    f()\nexcept E:\n    x = 1\n", "try:\n    f()\nexcept E:\n    x = 2\n"),
        ("match a:\n    case 1:\n        x = 1\n", "match a:\n    case 1:\n        x = 2\n"),
        ("x = 'ö', 1\n", "x = 'ö', 2\n"),
    ],
)
def test_what_is_changed(source, mutant):
    """A mutant changes one operator, and nothing else of the file."""
    assert mutant in changed(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""\n',
        "x: 'Name'\n",
        "logger.warning(a)\n",
        "x = 'words for people'\n",
        "if TYPE_CHECKING:\n    f()\n",
        "X = Literal['a']\n",
        "def f():\n    return None\n",
    ],
)
def test_what_is_left_alone(source):
    """Types, docstrings, texts and log lines are not changed."""
    assert changed(source) == []


@pytest.mark.slow
def test_every_mutant_of_a_file_can_be_compiled():
    """Each mutant of a file can be compiled."""
    path = Path(mutate.ROOT, "src/authguard/wsgi.py")
    mutants = list(mutants_of(str(path), path.read_bytes()))
    for mutant in mutants:
        compile(mutant.applied(path.read_bytes()), str(path), "exec")
    assert len(mutants) > 50


def test_the_constants_of_a_file():
    """The constants of a file are found with their values."""
    source = "A = 1\nclass B:\n    C: int = A + 1\ndef f():\n    d = A\n"
    assert list(constants_of(source)) == [("A", "1"), ("C", "A + 1")]


def test_the_same_seed_draws_the_same():
    """The same seed draws the same mutants, so that a run can be continued."""
    assert mutate.draw(5, 1, "asgi.py") == mutate.draw(5, 1, "asgi.py")


@pytest.mark.slow
@pytest.mark.parametrize(("survivors", "status"), [(0, 0), (3, 0), (4, 1)])
def test_the_score(survivors, status, capsys):
    """A run fails if fewer than 97 % of the mutants are killed, and shows the survivors."""
    mutants = mutate.draw(100, 1, "_core/policy")
    outcomes = {mutate.key_of(mutant): "killed" for mutant in mutants}
    outcomes |= {mutate.key_of(mutant): "survived" for mutant in mutants[:survivors]}
    assert mutate.report(mutants, outcomes, []) == status
    assert capsys.readouterr().out.count("\n@@ ") == survivors


@pytest.mark.slow
@pytest.mark.parametrize(("equivalent", "status"), [(10, 0), (11, 1)])
def test_equivalent_mutants(equivalent, status):
    """Listed mutants may survive if they are at most a tenth."""
    mutants = mutate.draw(100, 1, "_core/policy")
    outcomes = {mutate.key_of(mutant): "killed" for mutant in mutants}
    outcomes |= {mutate.key_of(mutant): "survived" for mutant in mutants[:equivalent]}
    entries = [mutate.entry_of(mutant) for mutant in mutants[:equivalent]]
    assert mutate.report(mutants, outcomes, entries) == status
