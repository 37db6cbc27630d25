"""Find the request or websocket among the arguments of a decorated function."""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from starlette.requests import HTTPConnection

from authguard.errors import ConfigurationError

#: A function that returns the connection among the arguments of a call.
Find = Callable[[Sequence[Any], dict[str, Any]], HTTPConnection]

#: A parameter that FastAPI fills in for functions without one for the connection.
INJECTED = "authguard_connection"

_NAMES = ("request", "websocket")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# The names of connection types in an annotation that cannot be evaluated, as under `if TYPE_CHECKING:`.
_TYPES_IN_TEXT = re.compile(r"\b(?:Request|WebSocket|HTTPConnection)\b")


class _Place(NamedTuple):
    """Describe the position of a parameter in the arguments of a call."""

    name: str | None
    position: int | None


def signature_of(function: Any) -> inspect.Signature:
    """Return the signature of a callable, with evaluated annotations where possible."""
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001 (annotations are code of others)
        plain = inspect.signature(function)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    parameters = [
        parameter.replace(annotation=_evaluated(parameter.annotation, names))
        for parameter in plain.parameters.values()
    ]
    return plain.replace(parameters=parameters)


def _evaluated(annotation: Any, names: Mapping[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(names))  # noqa: S307 (the application's own code, as inspect does)
    except Exception:  # noqa: BLE001
        return annotation


def by_annotation(signature: inspect.Signature, *, text: bool = False) -> list[inspect.Parameter]:
    """Return the parameters that are annotated as a request, a websocket or their base class.

    Args:
        signature: the signature of the function.
        text: whether to accept also an annotation that cannot be evaluated, if its text names one of these
            types.
    """
    annotated = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind not in _VARIABLE and _is_connection(parameter.annotation, text=text)
    ]
    rank = {name: number for number, name in enumerate(_NAMES)}
    return sorted(annotated, key=lambda parameter: rank.get(parameter.name, len(rank)))


def _is_connection(annotation: Any, *, text: bool) -> bool:
    # the value of an alias that `type Alias = …` defines
    annotation = getattr(annotation, "__value__", annotation)
    if isinstance(annotation, str):
        return text and bool(_TYPES_IN_TEXT.search(annotation))
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_connection(get_args(annotation)[0], text=text)
    if origin in (Union, types.UnionType):
        return any(_is_connection(each, text=text) for each in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, HTTPConnection)


def connection_finder(endpoint: Any) -> Find:
    """Return a function that finds the connection among the arguments of a Starlette endpoint.

    It is found by annotation; without one, by the names `request` and `websocket`.

    Args:
        endpoint: the function.

    Raises:
        ConfigurationError: if the endpoint takes no connection.
    """
    signature = signature_of(endpoint)
    parameters = list(signature.parameters.values())
    chosen = by_annotation(signature, text=True) or [
        parameter
        for name in _NAMES
        for parameter in parameters
        if parameter.name == name and _says_nothing(parameter.annotation)
    ]
    if not chosen and not any(parameter.kind in _VARIABLE for parameter in parameters):
        named = [parameter for parameter in parameters if parameter.name in _NAMES]
        others = ", ".join(f"{each.name}: {_type_of(each)}, which is neither" for each in named)
        raise ConfigurationError(
            f"{name_of(endpoint)} must take a request or a websocket, got {others or 'neither'}: add a "
            "parameter such as `request: Request` of Starlette; in another framework, write a Rule in "
            "protected_paths"
        )
    return among(endpoint, chosen, parameters)


def _type_of(parameter: inspect.Parameter) -> str:
    kind = get_origin(parameter.annotation) or parameter.annotation
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def _says_nothing(annotation: Any) -> bool:
    unknown = annotation is inspect.Parameter.empty or annotation is Any
    return unknown or isinstance(annotation, str | TypeVar)


def among(
    endpoint: Any, chosen: Iterable[inspect.Parameter], parameters: Sequence[inspect.Parameter]
) -> Find:
    """Return a function that finds the connection: in the chosen parameters, otherwise in any argument.

    Args:
        endpoint: the function, for the message.
        chosen: the parameters to look at first.
        parameters: all of its parameters.
    """
    places = [_place(parameter, parameters) for parameter in chosen]

    def find(args: Sequence[Any], kwargs: dict[str, Any]) -> HTTPConnection:
        for name, index in places:
            if name is not None and name in kwargs:
                value = kwargs[name]
            elif index is not None and index < len(args):
                value = args[index]
            else:
                continue
            if isinstance(value, HTTPConnection):
                return value
        for value in (*args, *kwargs.values()):
            if isinstance(value, HTTPConnection):
                return value
        raise TypeError(
            f"{name_of(endpoint)} was called without its request or websocket: pass it on; in Flask and "
            "Django, import requires from authguard.flask or authguard.django"
        )

    return find


def _place(parameter: inspect.Parameter, parameters: Sequence[inspect.Parameter]) -> _Place:
    by_name = parameter.kind is not inspect.Parameter.POSITIONAL_ONLY
    by_index = parameter.kind in _POSITIONAL
    return _Place(
        parameter.name if by_name else None, list(parameters).index(parameter) if by_index else None
    )


def name_of(endpoint: Any) -> str:
    """Return the name of a callable for messages; for a partial or another object, the name of its class."""
    name: str = getattr(endpoint, "__qualname__", type(endpoint).__qualname__)
    return name
