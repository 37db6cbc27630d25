"""Find checks of the caller in classes of dependencies, of which FastAPI reads `__init__` alone."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from authguard._signatures.dependencies import leads_to_guard, markers_of


def unread_of_class(kind: type, route: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for each check of a class that FastAPI does not read.

    Args:
        kind: the class, which is a dependency.
        route: the name of the route, for the sentences.
        guards: returns whether a callable checks the caller.
    """
    call = next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)
    if not guards(kind) and call is not None and (guards(call) or _has_guard(call, guards)):
        yield (
            f"a dependency of the route {route} must be an object, got the class {kind.__qualname__}, "
            "whose objects FastAPI does not call, so that it guards nothing: write "
            f"Depends({kind.__name__}()), with parentheses"
        )
    for name, value in vars(kind).items():
        if _is_marker(value) and leads_to_guard(value, guards) and name not in _parameters_of(kind):
            yield (
                f"a dependency of the route {route} must have its dependencies as parameters of __init__, "
                f"got {name} as an attribute of the class {kind.__qualname__}, which FastAPI does not read, "
                "so that it guards nothing: write @dataclass above the class"
            )


def _has_guard(call: Any, guards: Callable[[Any], bool]) -> bool:
    return any(leads_to_guard(marker, guards) for marker in markers_of(call))


def _is_marker(value: Any) -> bool:
    """Return whether a value is the result of `Depends(…)` or `Security(…)`."""
    return type(value).__module__.startswith("fastapi.") and callable(getattr(value, "dependency", None))


def _parameters_of(kind: type) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(kind).parameters)
    except (TypeError, ValueError):  # a class that is written in C, or has a signature of its own
        return ()
