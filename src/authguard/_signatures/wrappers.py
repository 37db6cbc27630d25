"""Remember the wrappers that `requires` has created, and find registered functions that they do not guard."""

import inspect
import sys
from collections.abc import Iterable
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from authguard._signatures.reached import reached, unwrapped, with_own_values

_PACKAGE = __name__.partition(".")[0]


class _Wrapper(NamedTuple):
    """Hold a wrapper of an endpoint.

    Attributes:
        reference: a reference to the wrapper.
        by_decorator: whether `@requires(…)` above the function created it, and no call with the function.
    """

    reference: "ref[Any]"
    by_decorator: bool


#: The wrappers that `requires` has created. Those of `@requires(…)` are stored by the function below the
#: decorators, regardless of the decorators between; others by the endpoint that they guard.
_wrappers: "WeakKeyDictionary[Any, list[_Wrapper]]" = WeakKeyDictionary()


def guarded_by(endpoint: Any, wrapper: Any) -> None:
    """Note that `requires` created a wrapper that guards an endpoint."""
    function = _decorated_now(endpoint, inspect.currentframe())
    noted = _Wrapper(ref(wrapper), function is not None)
    key = endpoint if function is None else function
    try:
        # A view may guard a helper for each request. Of the wrappers that are gone, one is enough.
        kept = [each for each in _wrappers.get(key, ()) if each.by_decorator or each.reference() is not None]
        _wrappers[key] = [*kept, noted]
    except TypeError:
        return  # an unhashable object: its routes cannot be checked


class Decorated:
    """Find registered functions that `requires` should guard, but does not.

    Args:
        calls: everything that the frameworks call: endpoints, dependencies, and functions around them.
    """

    def __init__(self, calls: Iterable[Any]) -> None:
        self._used = {id(each) for call in calls for each in with_own_values(call)} if _wrappers else set()
        # Wrappers by the id of each function that their endpoints wrap. The endpoints are kept alive, so
        # that no other object gets their ids.
        self._around: dict[int, list[tuple[Any, _Wrapper]]] = {}
        for endpoint, wrappers in list(_wrappers.items()):
            by_call = [(endpoint, wrapper) for wrapper in wrappers if not wrapper.by_decorator]
            for wrapped in unwrapped(endpoint) if by_call else ():
                self._around.setdefault(id(wrapped), []).extend(by_call)

    def is_misplaced(self, registered: Any) -> bool:
        """Return whether `requires` should guard a registered function, but only guards a wrapper of it.

        A function that a program registers twice on purpose, once with the check, is not a fault. With `@` it
        is one: a decorator below registered the function, and only the decorators above get the wrapper.

        Args:
            registered: the function that a framework calls.
        """
        if not _wrappers or registered is None:
            return False
        by_decorator = [
            wrapper for each in reached(registered) for wrapper in _wrappers_of(each) if wrapper.by_decorator
        ]
        by_call = [(each, wrapper) for each in unwrapped(registered) for wrapper in _wrappers_of(each)]
        by_call = [(each, wrapper) for each, wrapper in by_call if not wrapper.by_decorator]
        by_call += self._around.get(id(registered), [])
        if not by_decorator and not by_call:
            return False
        behind = {id(each) for each in with_own_values(registered)}
        if any(id(wrapper.reference()) not in behind for wrapper in by_decorator):
            return True
        others = [(each, wrapper) for each, wrapper in by_call if id(wrapper.reference()) not in behind]
        return self._is_left_by_calls(registered, others)

    def _is_left_by_calls(self, registered: Any, others: list[tuple[Any, _Wrapper]]) -> bool:
        """Return whether calls such as `requires("admin")(view)` should guard a registered function."""
        direct = [wrapper for endpoint, wrapper in others if endpoint is registered]
        alive = [each for wrapper in direct if (each := wrapper.reference()) is not None]
        named = _named(registered)
        # `functools.wraps` gives the wrapper the name of the function. If the function still has that name,
        # the wrapper was created for another use, perhaps in another application.
        on_purpose = any(id(wrapper) in self._used for wrapper in alive)
        if direct and not on_purpose and not (alive and named is registered):
            return True
        # With other decorators between, only a name that now leads to the wrapper tells the intention.
        leads_to = {id(each) for each in with_own_values(named)}
        wrappers = (each for _, wrapper in others if (each := wrapper.reference()) is not None)
        return any(id(each) in leads_to and id(each) not in self._used for each in wrappers)


def _wrappers_of(endpoint: Any) -> list[_Wrapper]:
    try:
        return _wrappers.get(endpoint, [])
    except Exception:  # noqa: BLE001 (no weak reference, or no hash: no wrapper of it was noted)
        return []


def _named(endpoint: Any) -> Any:
    """Return the object that has the name of an endpoint in its module, if any."""
    named: Any = sys.modules.get(getattr(endpoint, "__module__", None) or "")
    for name in getattr(endpoint, "__qualname__", "<locals>").split("."):
        named = getattr(named, name, None)
    return named


def _decorated_now(endpoint: Any, frame: FrameType | None) -> Any:
    """Return the function below the decorator at which the caller of this package stands, if any.

    The first line of a function's code is that of its first decorator, and the line of a caller is that of
    the decorator that it calls. A call such as `requires("admin")(view)` is below the function. Other
    decorators may be between, so that the endpoint is not the function itself.
    """
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is None:
        return None
    functions = [each for each in reached(endpoint) if isinstance(each, FunctionType)]
    below = [(lines, each) for each in functions if (lines := _lines_below(each.__code__, frame)) is not None]
    # a function around it may be reached, too, and has more lines
    return min(below, key=lambda item: item[0], default=(0, None))[1]


def _lines_below(code: CodeType, frame: FrameType) -> int | None:
    """Return the number of a function's lines, if the frame stands at one of its decorators."""
    if frame.f_code.co_filename != code.co_filename or frame.f_code is code:
        return None
    # All inputs of a console are named <stdin>, and begin with line 1.
    if code.co_filename.startswith("<") and code not in frame.f_code.co_consts:
        return None
    last = max(line for _, _, line in code.co_lines() if line is not None)
    return last - code.co_firstlineno if code.co_firstlineno <= frame.f_lineno <= last else None
