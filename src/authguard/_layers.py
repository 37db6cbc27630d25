"""Read layers of middleware: what can be called as an application, and what an instance keeps."""

import inspect
from collections.abc import Iterator
from typing import Any


def takes(app: Any, count: int) -> bool:
    """Return whether something can be called with this many arguments: 3 on ASGI, 2 on WSGI."""
    is_instance = not (isinstance(app, type) or inspect.isroutine(app)) and callable(app)
    try:
        # Asked of the instance, since a class may give each of its own: some monitoring does.
        inspect.signature(app.__call__ if is_instance else app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that an instance has of its own, in its dictionary and in its slots.

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
                    continue  # it has not been set
