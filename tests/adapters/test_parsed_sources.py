"""Sources of programs, which checks of the calling code parse."""

import ast
import gc
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from adapters.callers import open_guard
from authguard._signatures.sources import parse_source
from authguard.asgi import AuthGuardMiddleware

SOURCE = "def f():\n" + "    x = [1, (2, {3: g(4)})]\n" * 300


class ParsesInCollections:
    """Parse another source within collections of garbage, as a finalizer that warns does."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, phase: str, info: object) -> None:
        """Parse a source after a collection, below calls that differ from those of the first parser."""
        if phase == "stop" and self.times:
            self.times -= 1
            self.parse_below(20)

    def parse_below(self, calls: int) -> None:
        """Parse a source below a number of calls."""
        if calls:
            self.parse_below(calls - 1)
        else:
            ast.parse("f(1)")


@pytest.fixture
def frequent_collections() -> Iterator[None]:
    """Collect garbage so often that it happens within the parser of Python 3.11."""
    before, thresholds = list(gc.callbacks), gc.get_threshold()
    gc.set_threshold(5)
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = before


@pytest.mark.parametrize("times", [1, 2, 3])
def test_another_parser_within_this_one(times: int, frequent_collections: None) -> None:
    """A source is parsed although the garbage collector parses another one within."""
    gc.callbacks.append(ParsesInCollections(times))
    assert isinstance(parse_source(SOURCE), ast.Module)


def test_a_source_that_cannot_be_parsed_is_not_examined(
    frequent_collections: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application starts although each attempt to parse its source fails."""

    def fails(*args: object, **options: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch (before=189, after=206)")

    monkeypatch.setattr(ast, "parse", fails)
    assert AuthGuardMiddleware(Starlette(), guard=open_guard())
