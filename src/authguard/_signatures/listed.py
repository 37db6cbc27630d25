"""Find results of `requires` in lists of endpoint classes."""

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from authguard._core.policy.rules import Requirement
from authguard._signatures.misused import spelled
from authguard._signatures.reached import reached, unwrapped
from authguard._signatures.uncalled import is_made

_RequiredBy: TypeAlias = Callable[[Any], tuple[Requirement, ...]]

_DISPATCH = ("dispatch", "dispatch_request")  # the methods of classes that call the others
_LISTS = ("decorators", "method_decorators", "dependencies")  # of Flask, Flask-RESTful and FastAPI


def listed_in(kind: type, name: str, required_by: _RequiredBy) -> Iterator[Any]:
    """Yield the results of `requires` in a list, a tuple or a dictionary of a class.

    Args:
        kind: the class.
        name: the name of the attribute.
        required_by: returns the requirements of a callable.
    """
    held = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    values = list(held.values()) if isinstance(held, dict) else held
    for value in values if isinstance(values, list | tuple) else ():
        for each in value if isinstance(value, list | tuple) else (value,):
            check = getattr(each, "dependency", None) if _is_marker(each) else each
            if is_made(check, lambda call: bool(required_by(call))):
                yield check


def unread_lists(endpoint: Any, path: str, required_by: _RequiredBy) -> Iterator[str]:
    """Yield a sentence for each check in a list of an endpoint class that no method of the class reads.

    Args:
        endpoint: a class, or a view that was made of one.
        path: the path of its route, for the sentences.
        required_by: as for `listed_in`.
    """
    kind: Any = endpoint if inspect.isclass(endpoint) else getattr(endpoint, "view_class", None)
    for name in _LISTS if inspect.isclass(kind) else ():
        checks = list(listed_in(kind, name, required_by))
        if not checks or _reads(kind, name):
            continue
        calls = (endpoint, kind, *(getattr(kind, dispatch, None) for dispatch in _DISPATCH))
        checked = {each for call in calls for inner in reached(call) for each in required_by(inner)}
        for requirement in dict.fromkeys(each for check in checks for each in required_by(check)):
            if requirement not in checked:
                call = spelled(requirement)
                yield (
                    f"@requires must decorate the class of the route {path} ({kind.__qualname__}), got "
                    f"{call} in its list {name}, which its framework does not read, so that it guards "
                    f"nothing: write @{call} above the class"
                )


def _is_marker(value: Any) -> bool:
    """Return whether a value is `Depends` or `Security`."""
    return any(base.__module__ == "fastapi.params" for base in type(value).__mro__)


def _reads(kind: type, name: str) -> bool:
    """Return whether a method of a class, or of its metaclass, uses an attribute."""
    bases: list[type] = [*kind.__mro__, *type.mro(type(kind))]
    members = [each for base in bases for each in list(vars(base).values())]
    functions = (getattr(each, "__func__", getattr(each, "fget", each)) for each in members)
    return any(
        isinstance(wrapped, FunctionType) and _uses(wrapped.__code__, name)
        for function in functions
        for wrapped in unwrapped(function)
    )


def _uses(code: CodeType, name: str) -> bool:
    constants = code.co_consts
    inner = (each for each in constants if isinstance(each, CodeType))
    return name in code.co_names or name in constants or any(_uses(each, name) for each in inner)
