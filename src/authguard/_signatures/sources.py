"""Read the source of a program, to examine it."""

import ast
import inspect
from contextlib import suppress
from types import CodeType, FunctionType

#: Errors of a source that is missing or that Python cannot read; its program is then not examined.
UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError, SystemError)

_RETRIES = 3


def source_of(program: FunctionType | CodeType) -> str:
    """Return the source of the whole file that defines a function.

    Raises:
        OSError: if the file is missing.
    """
    lines, _ = inspect.findsource(program)
    return "".join(lines)


def parse_source(source: str) -> ast.Module:
    """Return the syntax tree of a source.

    Python 3.11 fails if the garbage collector, or another thread, parses a source at the same time
    (https://github.com/python/cpython/issues/106905). The next attempt succeeds.

    Raises:
        SyntaxError: or another of `UNREADABLE`, if Python cannot parse it.
    """
    for _ in range(_RETRIES):
        with suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)
