"""Find calls whose result the calling code throws away."""

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from opcode import opname
from types import FrameType
from typing import Any, TypeAlias

from authguard._core.policy.rules import Requirement
from authguard._signatures.misused import spelled
from authguard._signatures.nodes import thrown_away
from authguard._signatures.sources import UNREADABLE, parse_source, source_of
from authguard._signatures.uncalled import MADE
from authguard.errors import ConfigurationError

#: First line, last line, first column and last column of an expression.
_Position: TypeAlias = tuple[int | None, int | None, int | None, int | None]

_PACKAGE = __name__.partition(".")[0]
_CALL = "(…)"  # the name of a function that another call returns, as in `requires("admin")(view)`
_BYTES = 2  # of each instruction
#: Instructions before the one that uses the result of a call.
_BETWEEN = frozenset(("CACHE", "COPY", "EXTENDED_ARG"))
#: The beginnings of the names of instructions that use a result, or put another value beside it for this. The
#: others may throw it away or test it.
_USES = ("BUILD_", "CALL", "KW_NAMES", "LIST_", "LOAD_", "PRECALL", "PUSH_NULL", "RETURN_", "STORE_")


def is_result_unused(name: str, is_called: Callable[[Any], bool], *, may_test: bool = False) -> bool:
    """Return whether the caller of this package throws away the result of the call that runs now.

    A statement that consists of the call does so. Code without source, and calls by code in C, are not
    examined.

    Args:
        name: the name of the called function or class.
        is_called: returns whether an object is this function or class, which may have another name there.
        may_test: whether a test for truth, such as `assert f()`, is a use of the result.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    callee = "" if frame is None else _unused_callee(frame, may_test=may_test)
    if frame is None or not callee:
        return False
    value = frame.f_locals.get(callee, frame.f_globals.get(callee))
    return is_called(value) if value is not None else callee == name


def check_is_around(middleware: Any, spelling: str) -> None:
    """Check that the middleware that a program creates is around an application, and not thrown away.

    Args:
        middleware: the middleware, which is being created.
        spelling: the spelling that works, for the error.

    Raises:
        ConfigurationError: if the result is thrown away.
    """
    if is_result_unused(
        "AuthGuardMiddleware",
        lambda kind: isinstance(kind, type) and isinstance(middleware, kind),
        may_test=True,
    ):
        raise ConfigurationError(
            "AuthGuardMiddleware must be around the application that the server runs, got a call whose "
            f"result is thrown away, so that it guards nothing: write {spelling}"
        )


def check_is_kept(requirement: Requirement) -> None:
    """Check that the caller of a decorator keeps the guarded function that it returns now.

    Args:
        requirement: the requirement of the decorator.

    Raises:
        ConfigurationError: if the guarded function is thrown away, or only tested for truth.
    """
    if is_result_unused(_CALL, lambda value: getattr(type(value), "__module__", None) in MADE):
        call = spelled(requirement)
        raise ConfigurationError(
            f"{call} must be followed by a use of the function that it returns, got that function thrown "
            f"away, so that it guards nothing: write @{call} above the function"
        )


def _unused_callee(frame: FrameType, *, may_test: bool) -> str:
    """Return the name or attribute that a frame calls now, if it throws the result away; else no text."""
    if _is_used(frame):
        return ""
    try:
        calls = _unused_calls(source_of(frame.f_code), may_test=may_test)
    except UNREADABLE:
        return ""
    # Each instruction has the position of its expression.
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // _BYTES, None), None)
    return "" if position is None else calls.get(position, "")


def _is_used(frame: FrameType) -> bool:
    """Return whether the next instruction of a frame uses the result of the call that runs now.

    This is so for nearly all calls, whose source then needs no parser, which would take seconds for a long
    file. False means that only the source can tell.
    """
    code = frame.f_code.co_code
    places = range(frame.f_lasti + _BYTES, len(code), _BYTES)
    names = (opname[code[place]] for place in places)
    return next((name for name in names if name not in _BETWEEN), "").startswith(_USES)


@lru_cache(maxsize=8)  # most calls of a program are in a few files
def _unused_calls(source: str, *, may_test: bool) -> dict[_Position, str]:
    """Return the names of the functions whose results a source throws away, by the positions of the calls."""
    nodes = ast.walk(parse_source(source))
    return dict(_positions(node for node in nodes if not may_test or isinstance(node, ast.Expr)))


def _positions(nodes: Iterable[ast.AST]) -> Iterator[tuple[_Position, str]]:
    for node in nodes:
        for value in thrown_away(node):
            if isinstance(value, ast.Call):
                position = (value.lineno, value.end_lineno, value.col_offset, value.end_col_offset)
                yield position, _name_of(value.func)


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Call):
        return _CALL
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
