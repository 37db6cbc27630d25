"""Examine layers of middleware: how they can be called, and what their instances refer to."""

import inspect
from collections.abc import Iterator
from typing import Any


def takes(app: Any, count: int) -> bool:
    """Return whether an object can be called with this many arguments: 3 for ASGI, 2 for WSGI."""
    is_instance = not (isinstance(app, type) or inspect.isroutine(app)) and callable(app)
    try:
        # Checked on the instance, because a class may set another callable for each instance, as some
        # monitoring does.
        inspect.signature(app.__call__ if is_instance else app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an instance, from its dictionary and its slots.

    Args:
        layer: the instance.
    """
    yield from getattr(layer, "__dict__", {}).items()
    for base in type(layer).__mro__:
        for name, member in list(vars(base).items()):
            if inspect.ismemberdescriptor(member):
                try:
                    yield name, member.__get__(layer)
                except AttributeError:
                    continue  # the slot has not been set
