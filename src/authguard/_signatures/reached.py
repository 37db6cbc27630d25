"""Find the functions that a callable leads to, without running code of the application."""

import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType
from typing import Any, TypeAlias

#: The values that partials and a bound method pass to their function, each with its place.
Bound: TypeAlias = list[tuple[object, Any]]

MAX_REACHED = 200  # callables behind one; the search must also end for a function that wraps itself
_FUNCTIONS = (FunctionType, MethodType, functools.partial)
_MISSING = object()


def unwrapped(call: Any) -> Iterator[Any]:
    """Yield a callable and the callables that it wraps by `functools.wraps` or a partial."""
    for _ in range(MAX_REACHED):
        if call is None:
            return
        yield call
        call = call.func if isinstance(call, functools.partial) else _wrapped(call)


def bound_values(call: Any) -> tuple[Any, Bound]:
    """Return the function below partials and a bound method, and the values that these bind to it.

    Each access to a method or a `functools.partialmethod` creates another object: two of them are the same
    if their functions and their values are.

    Args:
        call: a callable; one of another kind is returned with no values.
    """
    bound: Bound = []
    for _ in range(MAX_REACHED):
        if isinstance(call, functools.partial):
            bound += [(functools.partial, None), *enumerate(call.args), *call.keywords.items()]
            call = call.func
        elif isinstance(call, MethodType):
            bound.append((MethodType, call.__self__))
            call = call.__func__
        else:
            break
    return call, bound


def identity(call: Any) -> tuple[object, ...]:
    """Return a value that is equal for a callable and for others that are the same, as of `bound_values`.

    Args:
        call: the callable; keep it alive, so that no other object gets its ids.
    """
    function, bound = bound_values(call)
    return (id(function), *((place, id(value)) for place, value in bound))


def reached(call: Any) -> list[Any]:
    """Return a callable and those that it calls: those that it wraps, and the functions in its closure.

    Args:
        call: a function, or an object with `__call__`.
    """
    return _search(call, _inner)


def with_own_values(call: Any) -> list[Any]:
    """Return the same, and the functions that its objects have: in attributes, lists and view classes.

    Args:
        call: a function, or an object with `__call__`.
    """
    return _search(call, _inner_and_own)


def _search(call: Any, step: Callable[[Any], Iterable[Any]]) -> list[Any]:
    found: list[Any] = []
    seen: set[int] = set()
    waiting = deque([call])
    while waiting and len(found) < MAX_REACHED:
        each = waiting.popleft()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        found.append(each)
        waiting.extend(step(each))
    return found


def _inner(call: Any) -> Iterator[Any]:
    yield _wrapped(call)
    if isinstance(call, functools.partial):
        yield call.func
        yield from _functions((*call.args, *call.keywords.values()))
    elif isinstance(call, MethodType):
        yield call.__func__
    elif isinstance(call, FunctionType):
        yield from _functions(cells(call))
    elif not issubclass(type(call), type):
        yield from _functions(own_values(call))


def _inner_and_own(call: Any) -> Iterator[Any]:
    yield from _inner(call)
    values: list[Any] = []
    if isinstance(call, FunctionType):
        values = [*cells(call), *(call.__defaults__ or ()), *(call.__kwdefaults__ or {}).values()]
    elif isinstance(call, MethodType):
        values = [call.__self__]
    for name in ("view_class", "cls"):
        view_class = vars(call).get(name) if isinstance(call, FunctionType) else None
        for base in view_class.__mro__ if inspect.isclass(view_class) else ():
            yield from _functions(list(vars(base).values()))
    for value in values:
        yield from _functions(_members(value))


def _members(value: Any) -> Iterable[Any]:
    """Return the members of a list or dictionary, or the values of the attributes of another object."""
    kind = type(value)  # and not the attribute `__class__`, which a proxy computes
    if issubclass(kind, dict):
        return list(dict.values(value))
    if issubclass(kind, list | tuple):
        return list(value)
    return () if issubclass(kind, (*_FUNCTIONS, type)) else own_values(value)


def _functions(values: Iterable[Any]) -> Iterator[Any]:
    return (value for value in values if issubclass(type(value), _FUNCTIONS))


def cells(function: FunctionType) -> list[Any]:
    """Return the values in the closure of a function.

    Args:
        function: the function.
    """
    values: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # the variable has no value yet
            continue
    return values


def _wrapped(call: Any) -> Any:
    """Return the attribute `__wrapped__`. Properties and proxies, which run code, are not asked."""
    if isinstance(call, MethodType):
        return None
    value = own_attributes(call).get("__wrapped__", _MISSING)
    if value is _MISSING:
        classes = () if isinstance(call, type) else type(call).__mro__
        value = next((vars(base)["__wrapped__"] for base in classes if "__wrapped__" in vars(base)), None)
        value = value.__func__ if isinstance(value, staticmethod) else value
    return value if callable(value) else None


def own_values(owner: Any) -> list[Any]:
    """Return the values of the attributes of an instance, from its dictionary and its slots.

    Args:
        owner: the instance.
    """
    values = list(own_attributes(owner).values())
    for base in type(owner).__mro__:
        for member in list(vars(base).values()):
            if isinstance(member, MemberDescriptorType):
                try:
                    values.append(member.__get__(owner))
                except AttributeError:
                    continue  # the slot has not been set
    return values


def owners(call: Any) -> list[Any]:
    """Return the object of a bound method, or the values in the closure of a function."""
    if isinstance(call, MethodType):
        return [call.__self__]
    return cells(call) if isinstance(call, FunctionType) else []


def own_attributes(owner: Any) -> dict[str, Any]:
    """Return the dictionary of an object, which a class of proxies may hide by an attribute of its own.

    Args:
        owner: the object.
    """
    if issubclass(type(owner), type):
        return dict(vars(owner))
    for base in type(owner).__mro__:
        member = vars(base).get("__dict__")
        if isinstance(member, GetSetDescriptorType):
            attributes = member.__get__(owner)
            return attributes if isinstance(attributes, dict) else {}
    return {}
