"""Find `Depends`, `Security` and dependencies of the guard that FastAPI does not call where they are."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from authguard._signatures.dependencies import leads_to_guard, markers_of, name_of

_MAKERS = ("fastapi.param_functions", "fastapi.params")
_CALL = re.compile(r"(\w+\.)*(Depends|Security)\(")
_OWN = "authguard._fastapi.dependencies"  # of `current_user` and `current_principal`


def makes_marker(called: Any) -> bool:
    """Return whether an object is `Depends` or `Security`."""
    is_plain = type(called) is FunctionType or type(called) is type
    return is_plain and called.__module__ in _MAKERS and called.__name__ in ("Depends", "Security")


def given_to(call: ast.Call) -> list[ast.expr]:
    """Return the dependency that a call of `Depends` or `Security` gets, in a list; empty without one."""
    return [*call.args[:1], *(each.value for each in call.keywords if each.arg == "dependency")]


def as_marker(source: str) -> str:
    """Return the source of a dependency with `Depends` around it, if it has none."""
    return source if _CALL.match(source) else f"Depends({source})"


def place_of(source: str) -> str:
    """Return how users write the source of a check, so that their framework calls it."""
    return f"{source} in its signature" if _CALL.match(source) else f"@{source} above a function"


def spelling_of_marker(value: Any) -> str:
    """Return the call that makes a `Depends` or a `Security`; empty for another value."""
    if getattr(type(value), "__module__", None) != "fastapi.params":
        return ""
    scopes = list(getattr(value, "scopes", None) or ())
    return f"{type(value).__name__}({name_of(value.dependency)}{f', scopes={scopes}' if scopes else ''})"


def is_dependency(value: Any, guards: Callable[[Any], bool]) -> bool:
    """Return whether a value is `current_user`, or a `Depends` or `Security` of a check."""
    module = getattr(type(value), "__module__", None)
    return module == _OWN or (module == "fastapi.params" and leads_to_guard(value, guards))


def checks(call: Any, guards: Callable[[Any], bool]) -> bool:
    """Return whether a dependency, or one in its signature, checks the caller."""
    return callable(call) and (
        guards(call) or any(leads_to_guard(marker, guards) for marker in markers_of(call))
    )


def unread_attributes(kind: type, route: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for each attribute of a class with a dependency that FastAPI does not read.

    Args:
        kind: the class, which is a dependency.
        route: the name of the route, for the sentences.
        guards: returns whether a callable checks the caller.
    """
    held = {name: value for base in reversed(inspect.getmro(kind)) for name, value in vars(base).items()}
    found = {name: value for name, value in held.items() if is_dependency(value, guards)}
    read = {id(marker.dependency) for marker in markers_of(kind)} if found else set()
    for name, value in found.items():
        if id(getattr(value, "dependency", value)) not in read:
            written = name_of(getattr(value, "dependency", value))
            yield (
                f"a dependency of the route {route} must have its dependencies in its signature, got the "
                f"attribute {name} of the class {kind.__qualname__}, which FastAPI does not read, so that it "
                f"guards nothing: write def __init__(self, {name}=Depends({written}))"
            )
