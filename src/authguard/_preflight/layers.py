"""Recognise layers of middleware, and copy them around another application."""

import copy
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from operator import is_
from types import FunctionType, MethodType
from typing import Any

from authguard._core.guard import Guard
from authguard._layers import attributes

# The depth to which an attribute of a layer is searched, and the number of its parts: settings may be long.
_MAX_STEPS = 4
_MAX_PARTS = 100


def is_a(value: Any, module: str, name: str) -> bool:
    """Return whether a value is an instance of a class, without importing the class.

    Args:
        value: any object.
        module: the module of the class, or of a base class.
        name: the name of that class.
    """
    return has_base(type(value), module, name)


def has_base(cls: type, module: str, name: str) -> bool:
    """Return whether a class is or inherits from a class, without importing the latter."""
    return any(base.__module__ == module and base.__qualname__ == name for base in cls.__mro__)


def is_guard(layer: Any) -> bool:
    """Return whether a layer is the middleware of a guard."""
    return isinstance(getattr(layer, "guard", None), Guard)


def around(layer: Any, inner: Any, replacement: Any) -> Any:
    """Copy a layer, and replace the application that it wraps.

    Methods of the layer that it stores itself are bound to the copy, because they would otherwise call the
    original's application.

    Args:
        layer: an instance of a middleware class.
        inner: the application that it wraps.
        replacement: the application for the copy.

    Returns:
        the copy; None if the layer cannot be copied, or if the copy could still call the original's
        application.
    """
    if isinstance(layer, type) or inspect.isroutine(layer) or inner is layer:
        return None
    try:
        made = _copied(layer, inner, replacement)
        kept = [value for _, value in attributes(made)]
        is_replaced = made is not layer and any(value is replacement for value in kept)
        others = [value for value in kept if value is not replacement]
        leads_there = any(_leads_to(inner, value, made) for value in others)
    except Exception:  # noqa: BLE001 (a class may define copying and attributes as it likes)
        return None
    return made if is_replaced and not leads_there else None


def _copied(layer: Any, inner: Any, replacement: Any) -> Any:
    made = copy.copy(layer)
    if made is layer:
        return layer

    def moved(value: Any) -> Any:
        if _is_same(value, inner):
            return replacement
        is_own = isinstance(value, MethodType) and value.__self__ is layer
        return MethodType(value.__func__, made) if is_own else value

    for name, value in dict(attributes(layer)).items():
        changed = _each(moved, value)
        if changed is not value:
            object.__setattr__(made, name, changed)
    return made


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """Change a value, or the items of a list, tuple or dictionary; return the same object if none changes."""
    if type(value) is dict:
        changed: Any = {name: change(part) for name, part in value.items()}
        return value if all(changed[name] is part for name, part in value.items()) else changed
    if type(value) is list or type(value) is tuple:
        changed = type(value)(change(part) for part in value)
        return value if all(map(is_, changed, value)) else changed
    return change(value)


def _is_same(value: Any, app: Any) -> bool:
    """Return whether two objects are identical, or are the same bound method."""
    return value is app or (isinstance(app, MethodType) and isinstance(value, MethodType) and value == app)


def _leads_to(app: Any, value: Any, made: Any, depth: int = _MAX_STEPS) -> bool:
    """Return whether an attribute of a copy is an application, or stores it where layers usually store it."""
    if _is_same(value, app):
        return True
    if depth == 0 or value is made or isinstance(value, str | bytes | type):
        return False
    return any(_leads_to(app, part, made, depth - 1) for part in islice(_parts(value), _MAX_PARTS))


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, FunctionType):
        yield from (cell.cell_contents for cell in value.__closure__ or ())
    else:
        yield getattr(value, "app", None)
