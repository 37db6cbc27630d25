"""Compare the generated pages of docs/reference with the code, and with the texts that people write."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.reference import cures
from tools.reference.docstrings import as_markdown
from tools.reference.errors import classes_by_code
from tools.reference.pages import REFERENCE, pages
from tools.reference.signatures import signature

from authguard import errors
from authguard._causes import Cause
from authguard.identity import errors as identity_errors


@pytest.fixture(name="written", scope="module")
def _written() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize(
    "name",
    [
        "errors.md",
        "answers.md",
        "cli.md",
        "api.md",
        "api-frameworks.md",
        "api-stores.md",
        "api-identity.md",
        "api-errors.md",
    ],
)
def test_the_page_is_what_the_code_says(name: str, written: dict[str, str]) -> None:
    """A page is the one that the code generates; `make reference` writes it again."""
    assert (REFERENCE / name).read_text(encoding="utf-8") == written[name]


def test_each_page_is_compared(written: dict[str, str]) -> None:
    """The list above has each generated page."""
    (mark,) = [mark for mark in test_the_page_is_what_the_code_says.pytestmark if mark.name == "parametrize"]
    assert sorted(mark.args[1]) == sorted(written)


def test_each_code_has_a_cure() -> None:
    """Each error code of the guard and of the identity service has an advice, and no other code has one."""
    guard = classes_by_code(errors)
    identity = {code for code in classes_by_code(identity_errors) if code not in guard}
    assert (set(cures.GUARD), set(cures.IDENTITY)) == (set(guard), identity)


def test_each_cause_has_a_cure() -> None:
    """Each value of `Cause` has an advice."""
    assert list(cures.CAUSES) == [cause.value for cause in Cause]


def test_each_oauth_error_has_a_cure() -> None:
    """Each OAuth error of the endpoints has an advice."""
    identity = Path(identity_errors.__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in identity.rglob("*.py")]
    codes = {
        code for text in sources for code in re.findall(r'OAuthError\("(\w+)"|\("(invalid_\w+)", 400', text)
    }
    assert {first or second for first, second in codes} == set(cures.OAUTH)


def test_a_docstring_becomes_markdown() -> None:
    """The sections of a docstring become lists, and continued lines are joined."""
    text = """Do it.

    Args:
        one: the first
            of them.

    Returns:
        The
        rest.
    """
    assert (
        as_markdown(text) == "Do it.\n\nArguments:\n\n* `one`: the first of them.\n\nReturns:\n\nThe rest.\n"
    )


def test_a_long_signature_has_a_parameter_a_line() -> None:
    """A long signature has a line for each parameter, with types, defaults and marks."""

    async def act(
        first: str, /, second: "int | None" = None, *others: object, name: str = "a" * 3, **rest: bool
    ) -> str:
        return ""

    assert signature("act", act).splitlines() == [
        "async act(",
        "    first: str,",
        "    /,",
        "    second: int | None = None,",
        "    *others: object,",
        '    name: str = "a" * 3,',
        "    **rest: bool,",
        ") -> str",
    ]
