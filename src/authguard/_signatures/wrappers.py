"""Remember the wrappers that `requires` has created, and which of them `@` created."""

import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

_MAX_WRAPPERS = 100  # wrappers around a function; the search must also end for one that wraps itself
_PACKAGE = __name__.partition(".")[0]


class _Wrapper(NamedTuple):
    """Hold a wrapper of an endpoint.

    Attributes:
        reference: a reference to the wrapper.
        by_decorator: whether `@requires(…)` above the function created it, and no call with the function.
    """

    reference: "ref[Any]"
    by_decorator: bool


#: The wrappers that `requires` has created, by the endpoint that they guard.
_wrappers: "WeakKeyDictionary[Any, list[_Wrapper]]" = WeakKeyDictionary()


def guarded_by(endpoint: Any, wrapper: Any) -> None:
    """Note that `requires` created a wrapper that guards an endpoint."""
    noted = _Wrapper(ref(wrapper), _is_decorated_now(endpoint, inspect.currentframe()))
    try:
        _wrappers.setdefault(endpoint, []).append(noted)
    except TypeError:
        return  # an unhashable object: its routes cannot be checked


def has_wrappers(endpoint: Any) -> bool:
    """Return whether `requires` has created a wrapper of an endpoint."""
    return bool(_wrappers_of(endpoint))


def is_misplaced(endpoint: Any, used: set[int]) -> bool:
    """Return whether `requires` should guard a registered endpoint, but only guards a wrapper of it.

    A function that a program registers twice on purpose, once with the check, is not a fault. With `@` it is
    one: the decorator below registered the function, and only the decorator above gets the wrapper.

    Args:
        endpoint: the function that a framework calls.
        used: the ids of all functions that are registered, and of those that they wrap.
    """
    wrappers = _wrappers_of(endpoint)
    if any(wrapper.by_decorator for wrapper in wrappers):
        return True
    alive = [each for wrapper in wrappers if (each := wrapper.reference()) is not None]
    # `functools.wraps` gives the wrapper the name of the function. If the function still has that name, the
    # wrapper was created for another use, perhaps in another application.
    on_purpose = any(id(wrapper) in used for wrapper in alive) or (bool(alive) and _has_its_name(endpoint))
    return bool(wrappers) and not on_purpose


def unwrapped(call: Any) -> Iterator[Any]:
    """Yield a callable and the callables that it wraps."""
    for _ in range(_MAX_WRAPPERS):
        if call is None:
            return
        yield call
        call = call.func if isinstance(call, functools.partial) else getattr(call, "__wrapped__", None)


def _wrappers_of(endpoint: Any) -> list[_Wrapper]:
    try:
        return _wrappers.get(endpoint, [])
    except TypeError:  # nothing can refer to it, so no wrapper of it was noted
        return []


def _has_its_name(endpoint: Any) -> bool:
    named: Any = sys.modules.get(getattr(endpoint, "__module__", None) or "")
    for name in getattr(endpoint, "__qualname__", "<locals>").split("."):
        named = getattr(named, name, None)
    return named is endpoint


def _is_decorated_now(endpoint: Any, frame: FrameType | None) -> bool:
    """Return whether the caller of this package stands at a decorator of the endpoint.

    The first line of a function's code is that of its first decorator, and the line of a caller is that of
    the decorator that it calls. A call such as `requires("admin")(view)` is below the function.
    """
    *_, function = unwrapped(endpoint)
    code = getattr(function, "__code__", None)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is None or not isinstance(code, CodeType) or frame.f_code.co_filename != code.co_filename:
        return False
    # All inputs of a console are named <stdin>, and begin with line 1.
    if code.co_filename.startswith("<") and code not in frame.f_code.co_consts:
        return False
    last = max(line for _, _, line in code.co_lines() if line is not None)
    return frame.f_code is not code and code.co_firstlineno <= frame.f_lineno <= last
