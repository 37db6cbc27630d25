"""Find parameters of FastAPI in which a dependency is written so that FastAPI does not call it."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

_NAMES = "__authguard_names__"


class _Names(NamedTuple):
    """Hold how users spell a dependency of the guard.

    Attributes:
        own: the name of the dependency, such as `current_user`.
        alias: the name of its type for signatures, such as `CurrentUser`.
    """

    own: str
    alias: str


def name_dependency(dependency: Any, own: str, alias: str) -> None:
    """Store how users spell a dependency of the guard.

    Args:
        dependency: the dependency.
        own: its name.
        alias: the name of its type for signatures.
    """
    setattr(dependency, _NAMES, _Names(own, alias))


def misspelled_in(calls: Sequence[Any], route: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for each dependency of a route that FastAPI does not call as it is written.

    Args:
        calls: the endpoint, and its dependencies, including nested ones.
        route: the name of the route, for the sentences.
        guards: returns whether a callable has requirements.
    """
    named: list[Any] = []
    for call in calls:
        if _marker_in(call) is not None:
            continue
        for parameter in _parameters(call):
            for written, got, spelling in _misspelled(parameter, guards):
                named.append(written)
                yield (
                    f"parameter {parameter.name} of the route {route} must have its dependency in its "
                    f"annotation, got {got}, which FastAPI does not call, so that it guards nothing: write "
                    f"{spelling}"
                )
    for call in calls:  # also of lists of dependencies, which have no parameter
        marker = _marker_in(call)
        if marker is not None and not any(call is alias for alias in named):
            yield (
                f"a dependency of the route {route} must be a function, got {type(marker).__name__} of the "
                f"type {_of_alias(call)}, which FastAPI does not call as a dependency, so that it guards "
                f"nothing: write {type(marker).__name__}({_name_of(marker.dependency)})"
            )


def _misspelled(
    parameter: inspect.Parameter, guards: Callable[[Any], bool]
) -> Iterator[tuple[Any, str, str]]:
    """Yield each wrong dependency of a parameter, how it is written, and the spelling that works."""
    name, default, annotation = parameter.name, parameter.default, parameter.annotation
    if _marker_in(default) is not None:
        yield default, f"the type {_of_alias(default)} as default value", f"{name}: {_of_alias(default)}"
    elif _is_dependency(default, guards):
        yield default, f"{_name_of(default)} as default value", _with_depends(name, default)
    for marker in (default, *_metadata(annotation)):
        alias = getattr(marker, "dependency", None)
        if _marker_in(alias) is not None:
            yield (
                alias,
                f"{type(marker).__name__} of the type {_of_alias(alias)}",
                f"{name}: {_of_alias(alias)}",
            )
    for item in _metadata(annotation):
        if _is_dependency(item, guards):
            spelled = _names_of(item)
            kind = _type_name(get_args(annotation)[0])
            depends = f"{name}: Annotated[{kind}, Depends({_name_of(item)})]"
            yield (
                item,
                f"{_name_of(item)} without Depends in the annotation",
                depends if spelled is None else f"{name}: {spelled.alias}",
            )


def _parameters(call: Any) -> tuple[inspect.Parameter, ...]:
    for evaluated in (True, False):
        try:
            return tuple(inspect.signature(call, eval_str=evaluated).parameters.values())
        except Exception:  # noqa: BLE001, S112 (annotations are code of others, and may name what is not there)
            continue
    return ()


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _marker_in(alias: Any) -> Any:
    """Return the `Depends` or `Security` in an alias such as `CurrentUser`; None for anything else."""
    markers = (item for item in _metadata(alias) if callable(getattr(item, "dependency", None)))
    return next(markers, None)


def _is_dependency(value: Any, guards: Callable[[Any], bool]) -> bool:
    return callable(value) and (_names_of(value) is not None or guards(value))


def _names_of(dependency: Any) -> _Names | None:
    names: _Names | None = getattr(dependency, _NAMES, None)
    return names


def _of_alias(alias: Any) -> str:
    """Return how users spell an alias."""
    kind, marker = get_args(alias)[0], _marker_in(alias)
    names, scopes = _names_of(marker.dependency), list(getattr(marker, "scopes", None) or ())
    if names is not None and not scopes:
        own = next((each for each in (kind, *get_args(kind)) if isinstance(each, type)), None)
        has_own = own not in (None, type(None)) and names.alias != "CurrentPrincipal"
        return f"{names.alias}[{_type_name(own)}]" if has_own else names.alias
    shown = f", scopes={scopes}" if scopes else ""
    return f"Annotated[{_type_name(kind)}, {type(marker).__name__}({_name_of(marker.dependency)}{shown})]"


def _with_depends(name: str, dependency: Any) -> str:
    names = _names_of(dependency)
    return f"{name}=Depends({_name_of(dependency)})" if names is None else f"{name}: {names.alias}"


def _name_of(dependency: Any) -> str:
    names = _names_of(dependency)
    if names is not None:
        return names.own
    return str(getattr(dependency, "__name__", f"{type(dependency).__name__.lstrip('_').lower()}(...)"))


def _type_name(kind: Any) -> str:
    return "Any" if isinstance(kind, TypeVar) else str(getattr(kind, "__name__", kind))
