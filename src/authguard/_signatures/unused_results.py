"""Find calls whose result the calling code throws away, or only tests for truth."""

import dis
import inspect
from collections.abc import Callable
from types import FrameType
from typing import Any

from authguard.errors import ConfigurationError

_PACKAGE = __name__.partition(".")[0]
_SKIPPED = frozenset(dis.opmap[name] for name in ("CACHE", "EXTENDED_ARG") if name in dis.opmap)
_TESTS = ("POP_JUMP", "JUMP_IF", "TO_BOOL", "UNARY_NOT")


def is_result_unused(name: str, is_called: Callable[[Any], bool]) -> bool:
    """Return whether the caller of this package throws away the result of the call that runs now.

    A statement that consists of the call does so, and so does a test such as `if requires("admin"):`. Callers
    without positions of their code, and calls by code in C, are not examined.

    Args:
        name: the name of the called function or class.
        is_called: returns whether an object is this function or class, which may have another name there.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is None or not _is_unused(frame):
        return False
    callee = _name_of_callee(frame)
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
        "AuthGuardMiddleware", lambda kind: isinstance(kind, type) and isinstance(middleware, kind)
    ):
        raise ConfigurationError(
            "AuthGuardMiddleware must be around the application that the server runs, got a call whose "
            f"result is thrown away, so that it guards nothing: write {spelling}"
        )


def _is_unused(frame: FrameType) -> bool:
    """Return whether the next instruction of a frame throws away the top of its stack, or tests it."""
    code = frame.f_code.co_code
    following = [
        dis.opname[code[at]]
        for at in range(frame.f_lasti + 2, min(len(code), frame.f_lasti + 40), 2)
        if code[at] not in _SKIPPED
    ]
    if following[:1] == ["COPY"]:  # `requires("admin") and …`
        return following[1:2] != [] and following[1].startswith(_TESTS)
    return bool(following) and (following[0] == "POP_TOP" or following[0].startswith(_TESTS))


def _name_of_callee(frame: FrameType) -> str:
    """Return the name or attribute that a frame calls now: the last one that begins where the call does."""
    # The offset may be that of a cache after the instruction.
    before = [each for each in dis.get_instructions(frame.f_code) if each.offset <= frame.f_lasti]
    start = _start(before[-1])
    loads = [each for each in before[:-1] if each.opname.startswith("LOAD")]
    named = [each.argval for each in loads if _start(each) == start]
    return str(named[-1]) if named and None not in start else ""


def _start(instruction: dis.Instruction) -> tuple[int | None, int | None]:
    positions = instruction.positions
    return (None, None) if positions is None else (positions.lineno, positions.col_offset)
