"""Find dependencies in fields that FastAPI reads from the request, so that the caller chooses the values."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, ForwardRef, get_args, get_origin, get_type_hints

from authguard._signatures.dependencies import leads_to_guard, of_alias
from authguard._signatures.registered import RegisteredRoute

_MARKS = ("__dataclass_fields__", "__total__", "_fields")  # of a dataclass, a TypedDict and a NamedTuple
_PLACES = ("path_params", "query_params", "header_params", "cookie_params", "body_params")
_MAX_TYPES = 10_000  # types in one parameter: a generic model may contain ever larger ones


def unread_by(
    route: RegisteredRoute, name: str, guards: Callable[[Any], bool], sound: dict[int, Any]
) -> Iterator[str]:
    """Yield a sentence for each parameter of a route that FastAPI reads instead of calling its dependency.

    Args:
        route: the route, or the place of an included router.
        name: the name of the route, for the sentences.
        guards: returns whether a callable checks the caller.
        sound: the types by id in which earlier calls found no dependency; this call adds others.
    """
    is_applied = route.route is None  # a dependency of `include_router`
    dependants = map(_dependant_of, route.calls) if is_applied else [getattr(route.route, "dependant", None)]
    for dependant in dependants:
        yield from _unread_in(dependant, name, guards, sound)


def _unread_in(
    dependant: Any, route: str, guards: Callable[[Any], bool], sound: dict[int, Any]
) -> Iterator[str]:
    """Yield the same for the parameters of a route or dependency, as FastAPI has read them."""
    for place in _PLACES:
        for field in getattr(dependant, place, ()):
            annotation = getattr(field.field_info, "annotation", None)
            if isinstance(annotation, str | ForwardRef):
                written = annotation if isinstance(annotation, str) else annotation.__forward_arg__
                yield (
                    f"parameter {field.name} of the route {route} must have an annotation that FastAPI can "
                    f"evaluate, got {written}, which it reads from the request: write the imports of its "
                    "names at the beginning of the module, and not below `if TYPE_CHECKING:`"
                )
                continue
            for model, name, alias in _aliases_in(annotation, guards, sound):
                yield (
                    f"parameter {field.name} of the route {route} must be a model without dependencies, got "
                    f"the field {name} of {model}, whose value the caller chooses: write {name}: "
                    f"{of_alias(alias)} as a parameter of the route"
                )
    for dependency in getattr(dependant, "dependencies", ()):
        yield from _unread_in(dependency, route, guards, sound)


def _dependant_of(call: Any) -> Any:
    """Return how FastAPI reads the parameters of a dependency of an included router; None if it cannot."""
    fastapi = sys.modules.get("fastapi.dependencies.utils")
    try:
        return None if fastapi is None else fastapi.get_dependant(path="/", call=call)
    except Exception:  # noqa: BLE001 (FastAPI raises it itself, with its words, when it calls the dependency)
        return None


def _aliases_in(
    annotation: Any, guards: Callable[[Any], bool], sound: dict[int, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Yield the aliases such as `CurrentUser` in the models of a type, after model and field."""
    seen: dict[int, Any] = {}
    found = False
    waiting: list[tuple[str, str, Any]] = [("", "", annotation)]
    while waiting and len(seen) < _MAX_TYPES:
        model, name, kind = waiting.pop()
        if id(kind) in seen or id(kind) in sound:
            continue
        seen[id(kind)] = kind  # kept alive, so that no other object gets its id
        kind = getattr(kind, "__value__", kind)  # the value of an alias that `type Alias = …` defines
        arguments = get_args(kind)
        if get_origin(kind) is Annotated:
            if model and any(leads_to_guard(marker, guards) for marker in arguments[1:]):
                found = True
                yield model, name, kind
            arguments = arguments[:1]
        waiting += [(model, name, each) for each in arguments]
        if isinstance(kind, type):
            waiting += [(kind.__qualname__, *each) for each in _fields_of(kind)]
    if not found:
        sound.update(seen)


def _fields_of(kind: type) -> Iterable[tuple[str, Any]]:
    """Return the names and types of the fields of a model of Pydantic, a dataclass or a TypedDict."""
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, dict):
        return [(name, _whole_type(field)) for name, field in fields.items()]
    if any(hasattr(kind, mark) for mark in _MARKS):
        try:
            return get_type_hints(kind, include_extras=True).items()
        except Exception:  # noqa: BLE001 (annotations are code of others, and may contain unknown names)
            return ()
    return ()


def _whole_type(field: Any) -> Any:
    """Return the type of a field of Pydantic, with the metadata that Pydantic has taken out of it."""
    kind, metadata = getattr(field, "annotation", None), tuple(getattr(field, "metadata", ()))
    return Annotated[(kind, *metadata)] if metadata else kind  # type: ignore[return-value, unused-ignore]
