"""Find parameters of FastAPI endpoints whose dependency is written so that FastAPI does not call it."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

from authguard._core.policy.names import check_names
from authguard._core.policy.rules import SCOPE
from authguard._signatures.misused import NoDepends
from authguard.errors import ConfigurationError

_NAMES = "__authguard_names__"
_MAX_DEPTH = 8  # levels of types inside of types, and of dependencies of dependencies


#: The parameters of functions by id, while one run reads signatures. The functions are kept alive, so that no
#: other object gets their ids.
_read: ContextVar[dict[int, tuple[Any, tuple[inspect.Parameter, ...]]] | None] = ContextVar(
    "authguard_signatures", default=None
)


@contextmanager
def signatures_read_once() -> Iterator[None]:
    """Read each signature only once in a run, because many routes have the same dependencies."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


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
            place = f"parameter {parameter.name} of the route {route}"
            for marker in (parameter.default, *_metadata(parameter.annotation)):
                yield from misspelled_scopes(marker, place, guards)
    for call in calls:  # also markers in lists of dependencies, which have no parameter
        marker = _marker_in(call)
        if marker is not None and not any(call is alias for alias in named):
            yield (
                f"a dependency of the route {route} must be a function, got {type(marker).__name__} of the "
                f"type {of_alias(call)}, which FastAPI does not call as a dependency, so that it guards "
                f"nothing: write {type(marker).__name__}({name_of(marker.dependency)})"
            )


def misspelled_scopes(marker: Any, place: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for a `Security` whose scopes have no effect, or cannot be compared.

    FastAPI treats each letter of text as a scope. And it compares no scopes itself: a dependency that does
    not read them requires none.

    Args:
        marker: a `Security`; other objects are ignored.
        place: the name of its place, for the sentence.
        guards: returns whether a callable has requirements.
    """
    scopes = getattr(marker, "scopes", None)
    if not scopes or not _is_of_fastapi(marker):
        return
    if isinstance(scopes, str):
        yield (
            f"{place} must have a list of scopes in Security, got {scopes!r}, whose letters would be the "
            f"scopes: write scopes={scopes.split() or []}"
        )
    elif not _documents_scopes(marker.dependency) and not _reads_scopes(marker.dependency):
        name, listed = name_of(marker.dependency), list(scopes)
        required = ", ".join(map(repr, listed))
        yield (
            f"{place} must have a dependency that reads the scopes, got Security({name}, scopes={listed}), "
            f"which does not, so that the scopes guard nothing: write Depends({name}), and "
            f"Depends(requires({required})) beside it"
        )
    elif leads_to_guard(marker, guards):
        try:
            check_names(list(scopes), "scopes", SCOPE)
        except ConfigurationError as error:
            yield f"{place}, in Security: {error}"


def _reads_scopes(dependency: Any, depth: int = 0) -> bool:
    """Return whether a dependency, or one of its own, takes the scopes of a `Security`."""
    if dependency is None or depth > _MAX_DEPTH:
        return True
    parameters = _parameters(dependency)
    if any(_has_scopes(parameter.annotation) for parameter in parameters):
        return True
    markers = [m for each in parameters for m in (each.default, *_metadata(_value(each.annotation)))]
    inner = [m for m in markers if _is_of_fastapi(m) and hasattr(m, "dependency")]
    return any(m.dependency is not None and _reads_scopes(m.dependency, depth + 1) for m in inner)


def markers_of(call: Any) -> list[Any]:
    """Return the `Depends` and `Security` in the signature of a dependency."""
    markers = [m for each in _parameters(call) for m in (each.default, *_metadata(_value(each.annotation)))]
    return [marker for marker in markers if callable(getattr(marker, "dependency", None))]


def takes_scopes(call: Any) -> bool:
    """Return whether a dependency takes the scopes of a `Security` itself."""
    return any(_has_scopes(parameter.annotation) for parameter in _parameters(call))


def _documents_scopes(dependency: Any) -> bool:
    """Return whether it is a security scheme of FastAPI, which guards nothing with or without scopes."""
    return any(
        base.__module__ == "fastapi.security.base" and base.__name__ == "SecurityBase"
        for base in type(dependency).__mro__
    )


def _has_scopes(annotation: Any) -> bool:
    """Return whether FastAPI fills a parameter with the scopes."""
    annotation = _value(annotation)
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if isinstance(kind, str):
        return "SecurityScopes" in kind
    return any(base.__name__ == "SecurityScopes" for base in getattr(kind, "__mro__", ()))


def _value(annotation: Any) -> Any:
    """Return the value of an alias that `type Alias = …` defines; otherwise the annotation."""
    return getattr(annotation, "__value__", annotation)


def _misspelled(
    parameter: inspect.Parameter, guards: Callable[[Any], bool]
) -> Iterator[tuple[Any, str, str]]:
    """Yield each wrong dependency of a parameter, how it is written, and the spelling that works."""
    name, default, annotation = parameter.name, parameter.default, parameter.annotation
    if _marker_in(default) is not None:
        yield default, f"the type {of_alias(default)} as default value", f"{name}: {of_alias(default)}"
    elif _is_dependency(default, guards):
        yield default, f"{name_of(default)} as default value", _with_depends(name, default)
    for marker in (default, *_metadata(annotation)):
        alias = getattr(marker, "dependency", None)
        if _marker_in(alias) is not None:
            yield (
                alias,
                f"{type(marker).__name__} of the type {of_alias(alias)}",
                f"{name}: {of_alias(alias)}",
            )
    yield from _overlooked(name, annotation, guards)
    for item in _metadata(annotation):
        if _is_dependency(item, guards):
            spelled = _names_of(item)
            kind = _type_name(get_args(annotation)[0])
            depends = f"{name}: Annotated[{kind}, Depends({name_of(item)})]"
            yield (
                item,
                f"{name_of(item)} without Depends in the annotation",
                depends if spelled is None else f"{name}: {spelled.alias}",
            )


def _overlooked(name: str, annotation: Any, guards: Callable[[Any], bool]) -> Iterator[tuple[Any, str, str]]:
    """Yield the same for dependencies inside another type, and for dependencies that another one replaces."""
    for alias in _inside(annotation):
        if _is_dependency(_marker_in(alias).dependency, guards):
            spelled_alias = of_alias(alias)
            if type(None) in get_args(annotation):
                spelled_alias = spelled_alias.replace("CurrentUser", "OptionalUser", 1)
            yield alias, f"{of_alias(alias)} inside of another type", f"{name}: {spelled_alias}"
    for marker in _replaced(annotation, guards):
        yield marker, f"{_of_marker(marker)} before another one", f"{name}: {_joined(annotation, marker)}"


def _parameters(call: Any) -> tuple[inspect.Parameter, ...]:
    known = _read.get()
    if known is None:
        return _read_parameters(call)
    if id(call) not in known:
        known[id(call)] = call, _read_parameters(call)
    return known[id(call)][1]


def _read_parameters(call: Any) -> tuple[inspect.Parameter, ...]:
    for evaluated in (True, False):
        try:
            return tuple(inspect.signature(call, eval_str=evaluated).parameters.values())
        except Exception:  # noqa: BLE001, S112 (annotations are code of others, and may contain unknown names)
            continue
    return ()


def _inside(annotation: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the aliases inside of a type, such as `CurrentUser | None`, where FastAPI does not look."""
    # the value of an alias that `type Alias = …` defines
    annotation = getattr(annotation, "__value__", annotation)
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    for each in inner if depth < _MAX_DEPTH else ():
        if _marker_in(each) is not None:
            yield each
        yield from _inside(each, depth + 1)


def _replaced(annotation: Any, guards: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the markers of guarding dependencies that FastAPI ignores: it uses only the last marker."""
    *before, last = [item for item in _metadata(annotation) if _is_of_fastapi(item)] or [None]
    for marker in before:
        dependency = getattr(marker, "dependency", None)
        if not _is_dependency(dependency, guards):
            continue
        if getattr(marker, "scopes", None) or not leads_to_guard(last, guards):
            yield marker


def leads_to_guard(marker: Any, guards: Callable[[Any], bool], depth: int = 0) -> bool:
    """Return whether FastAPI calls a dependency of the guard because of a marker."""
    dependency = getattr(marker, "dependency", None)
    if dependency is None or depth > _MAX_DEPTH:
        return False
    markers = [
        each
        for parameter in _parameters(dependency)
        for each in (parameter.default, *_metadata(parameter.annotation))
    ]
    return _is_dependency(dependency, guards) or any(
        leads_to_guard(each, guards, depth + 1) for each in markers
    )


def _joined(annotation: Any, marker: Any) -> str:
    """Return the annotation with one marker: the guard's dependency, and the scopes of all markers."""
    scopes = [scope for item in _metadata(annotation) for scope in getattr(item, "scopes", None) or ()]
    name, kind = name_of(marker.dependency), _type_name(get_args(annotation)[0])
    written = f"Security({name}, scopes={scopes})" if scopes else f"Depends({name})"
    return f"Annotated[{kind}, {written}]"


def _of_marker(marker: Any) -> str:
    return f"{type(marker).__name__}({name_of(marker.dependency)})"


def _is_of_fastapi(marker: Any) -> bool:
    """Return whether a part of an annotation is `Depends`, `Security`, `Query`, `Body` and so on."""
    return any(base.__module__ == "fastapi.params" for base in type(marker).__mro__)


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


def of_alias(alias: Any) -> str:
    """Return how users spell an alias."""
    kind, marker = get_args(alias)[0], _marker_in(alias)
    names, scopes = _names_of(marker.dependency), list(getattr(marker, "scopes", None) or ())
    if names is not None and not scopes:
        own = next((each for each in (kind, *get_args(kind)) if isinstance(each, type)), None)
        has_own = own not in (None, type(None)) and names.alias != "CurrentPrincipal"
        return f"{names.alias}[{_type_name(own)}]" if has_own else names.alias
    shown = f", scopes={scopes}" if scopes else ""
    return f"Annotated[{_type_name(kind)}, {type(marker).__name__}({name_of(marker.dependency)}{shown})]"


def _with_depends(name: str, dependency: Any) -> str:
    names = _names_of(dependency)
    return f"{name}=Depends({name_of(dependency)})" if names is None else f"{name}: {names.alias}"


def name_of(dependency: Any) -> str:
    """Return how users spell a dependency."""
    names = _names_of(dependency)
    if names is not None:
        return names.own
    if isinstance(dependency, NoDepends):
        return dependency.spelled()
    return str(getattr(dependency, "__name__", f"{type(dependency).__name__.lstrip('_').lower()}(...)"))


def spelling_of(dependency: Any) -> str:
    """Return the type for signatures of a dependency of the guard, such as `CurrentUser`."""
    names = _names_of(dependency)
    return "…" if names is None else names.alias


def _type_name(kind: Any) -> str:
    return "Any" if isinstance(kind, TypeVar) else str(getattr(kind, "__name__", kind))
