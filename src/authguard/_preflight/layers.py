"""Layers of middleware: recognise them, and copy them around something else."""

import copy
import inspect
from collections.abc import Iterator
from types import MethodType
from typing import Any

from authguard._core.guard import Guard

#: How many layers are looked through. A layer that wraps itself must end, too.
MAX_LAYERS = 100


def is_a(value: Any, module: str, name: str) -> bool:
    """Return whether a value is an instance of a class, without importing that.

    Args:
        value: any object.
        module: the module of the class, or of one that it derives from.
        name: the name of that class.
    """
    return has_base(type(value), module, name)


def has_base(cls: type, module: str, name: str) -> bool:
    """Return whether a class is, or derives from, a class that is not imported here."""
    return any(base.__module__ == module and base.__qualname__ == name for base in cls.__mro__)


def takes(app: Any, count: int) -> bool:
    """Return whether something can be called with this many arguments: 3 on ASGI, 2 on WSGI."""
    is_instance = not (isinstance(app, type) or inspect.isroutine(app)) and callable(app)
    try:
        # Asked of the instance, since a class may give each of its own: some monitoring does.
        inspect.signature(app.__call__ if is_instance else app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def is_guard(layer: Any) -> bool:
    """Return whether a layer is the middleware of a guard."""
    return isinstance(getattr(layer, "guard", None), Guard)


def around(layer: Any, inner: Any, replacement: Any) -> Any:
    """Copy a layer, and put something else into the place of what it wraps.

    Methods that the layer has kept of itself are bound to the copy, since they would lead to what
    the original wraps.

    Args:
        layer: an instance of a middleware class.
        inner: the application that it wraps.
        replacement: the application for the copy.

    Returns:
        the copy; None if the layer cannot be copied in this way.
    """
    if isinstance(layer, type) or inspect.isroutine(layer) or inner is layer:
        return None
    try:
        made = copy.copy(layer)
        if made is layer:
            return None
        kept = dict(_attributes(layer))
        for name, value in kept.items():
            if value is inner:
                object.__setattr__(made, name, replacement)
            elif isinstance(value, MethodType) and value.__self__ is layer:
                object.__setattr__(made, name, MethodType(value.__func__, made))
        left = dict(_attributes(made)).values()
    except Exception:  # noqa: BLE001 (a class may define copying and attributes as it likes)
        return None
    is_replaced = any(value is replacement for value in left)
    return made if is_replaced and not any(value is inner for value in left) else None


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that an instance has of its own, in its dictionary and in its slots."""
    yield from getattr(layer, "__dict__", {}).items()
    for base in type(layer).__mro__:
        for name, member in list(vars(base).items()):
            if inspect.ismemberdescriptor(member):
                try:
                    yield name, member.__get__(layer)
                except AttributeError:
                    continue  # it has not been set
