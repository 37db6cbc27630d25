"""Remember the wrappers that `requires` has created, and find registered functions that they do not guard."""

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import partial
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from authguard._signatures.reached import (
    Bound,
    bound_values,
    reached,
    unwrapped,
    with_own_values,
)

_PACKAGE = __name__.partition(".")[0]
_MAX_GONE = 100  # wrappers that are gone, of one function: a view may guard another method for each request


class _Wrapper(NamedTuple):
    """Hold a wrapper of an endpoint.

    Attributes:
        reference: a reference to the wrapper.
        by_decorator: whether `@requires(…)` above the function created it, and no call with the function.
        endpoint: returns the object that it guards, which a program may create again.
        bound: returns each value that this object binds to its function, with the place of the value.
    """

    reference: "ref[Any]"
    by_decorator: bool
    endpoint: Callable[[], Any]
    bound: tuple[tuple[object, Callable[[], Any]], ...]

    def is_gone(self) -> bool:
        """Return whether no program can use the wrapper, and another call may have created its like."""
        return not self.by_decorator and self.reference() is None

    def binds(self, bound: Bound) -> bool:
        """Return whether the endpoint binds exactly these values to its function."""
        return len(self.bound) == len(bound) and all(
            place == other and held() is value
            for (place, held), (other, value) in zip(self.bound, bound, strict=True)
        )


#: The wrappers that `requires` has created. Those of `@requires(…)` are stored by the function below the
#: decorators, regardless of the decorators between; others by the endpoint that they guard, or by its
#: function: each access to a method creates a new object.
_wrappers: "WeakKeyDictionary[Any, list[_Wrapper]]" = WeakKeyDictionary()


def guarded_by(endpoint: Any, wrapper: Any) -> None:
    """Note that `requires` created a wrapper that guards an endpoint."""
    decorated = _decorated_now(endpoint, inspect.currentframe())
    function, bound = bound_values(endpoint) if decorated is None else (decorated, [])
    held = tuple((place, _reference(value)) for place, value in bound)
    itself = _reference(endpoint if decorated is None else None)
    noted = _Wrapper(ref(wrapper), decorated is not None, itself, held)
    try:
        before = _wrappers.get(function, [])
        # A view may guard a helper for each request. Of the wrappers that are gone, one is enough.
        kept = [each for each in before if not each.is_gone()]
        gone = [each for each in before if each.is_gone() and not each.binds(bound)]
        _wrappers[function] = [*gone[-_MAX_GONE:], *kept, noted]
    except TypeError:
        return  # an unhashable object: its routes cannot be checked


def _reference(value: Any) -> Callable[[], Any]:
    """Return a function that returns a value, which is not kept alive if that is possible."""
    try:
        return ref(value)
    except TypeError:
        return lambda: value


class Decorated:
    """Find registered functions that `requires` should guard, but does not.

    Args:
        calls: everything that the frameworks call: endpoints, dependencies, and functions around them.
    """

    def __init__(self, calls: Iterable[Any]) -> None:
        self._used = {id(each) for call in calls for each in with_own_values(call)} if _wrappers else set()
        # Wrappers by the id of each function that their endpoints wrap. The functions are kept alive, so
        # that no other object gets their ids.
        self._around: dict[int, list[_Wrapper]] = {}
        self._functions = list(_wrappers.items())
        for function, wrappers in self._functions:
            by_call = [wrapper for wrapper in wrappers if not wrapper.by_decorator]
            for wrapped in unwrapped(function) if by_call else ():
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
        direct = [wrapper for wrapper in _wrappers_of(registered) if not wrapper.by_decorator]
        by_call = [wrapper for each in unwrapped(registered) for wrapper in _wrappers_of(each)]
        by_call = [wrapper for wrapper in by_call if not wrapper.by_decorator]
        by_call += self._around.get(id(bound_values(registered)[0]), [])
        if not by_decorator and not by_call:
            return False
        behind = {id(each) for each in with_own_values(registered)}
        if any(id(wrapper.reference()) not in behind for wrapper in by_decorator):
            return True
        direct, by_call = (
            [wrapper for wrapper in wrappers if id(wrapper.reference()) not in behind]
            for wrappers in (direct, by_call)
        )
        return self._is_left_by_calls(registered, direct, by_call)

    def _is_left_by_calls(self, registered: Any, direct: list[_Wrapper], others: list[_Wrapper]) -> bool:
        """Return whether calls such as `requires("admin")(view)` should guard a registered function.

        Args:
            registered: the function.
            direct: the wrappers of the function itself.
            others: the same, and wrappers of functions that it wraps, or that wrap it.
        """
        alive = [each for wrapper in direct if (each := wrapper.reference()) is not None]
        named = _named(registered)
        on_purpose = any(id(wrapper) in self._used for wrapper in alive)
        if direct and not on_purpose and not (alive and _is_same(registered, named, direct)):
            return True
        # With other decorators between, only a name that now leads to the wrapper tells the intention.
        leads_to = {id(each) for each in with_own_values(named)}
        wrappers = (each for wrapper in others if (each := wrapper.reference()) is not None)
        return any(id(each) in leads_to and id(each) not in self._used for each in wrappers)


def _is_same(registered: Any, named: Any, direct: list[_Wrapper]) -> bool:
    """Return whether a registered function still has its name, or was created again for its wrappers.

    `functools.wraps` gives the wrapper the name of the function. If the function still has that name, the
    wrapper was created for another use, perhaps in another application.
    """
    if isinstance(registered, partial | MethodType):  # it has no name in its module
        return all(wrapper.endpoint() is not registered for wrapper in direct)
    return named is registered


def _wrappers_of(endpoint: Any) -> list[_Wrapper]:
    function, bound = bound_values(endpoint)
    try:
        return [wrapper for wrapper in _wrappers.get(function, ()) if wrapper.binds(bound)]
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
