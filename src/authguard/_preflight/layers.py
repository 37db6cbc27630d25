"""Recognise layers of middleware, and copy them around another application."""

import copy
import inspect
from collections.abc import Callable
from operator import is_
from types import MethodType
from typing import Any

from authguard._core.guard import Guard
from authguard._layers import attributes
from authguard._preflight.references import is_same, leads_to


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
        leads_there = leads_to(inner, made, replacement)
    except Exception:  # noqa: BLE001 (a class may define copying and attributes as it likes)
        return None
    return made if is_replaced and not leads_there else None


def _copied(layer: Any, inner: Any, replacement: Any) -> Any:
    made = copy.copy(layer)
    if made is layer:
        return layer

    def moved(value: Any) -> Any:
        if is_same(value, inner):
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
