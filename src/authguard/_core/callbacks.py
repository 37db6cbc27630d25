"""Determine how a function of the application is called: awaited, at once, or in a thread."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache, partial
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, isroutine
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType
from typing import Any, Generic, TypeVar, cast

from authguard._core.options import check_function
from authguard.errors import ConfigurationError

Answer = TypeVar("Answer")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

#: Types of values that contain no answer yet: a call, an `await`, `next` or `return` is missing. Such a value
#: is true, even if the answer would be false.
UNANSWERED: frozenset[type] = frozenset(
    {AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType, filter, map, partial}
)

#: The attribute of a declared function. Its value is the function itself, because `functools.wraps` copies
#: the attribute to wrappers, and a wrapper may block.
_MARK = "__authguard_in_memory__"
#: The attribute of an exception that names the function which has raised it.
_SOURCE = "__authguard_source__"


def in_memory(function: FunctionT) -> FunctionT:
    """Declare that a plain function never waits, because all its data is in memory.

    The guard then calls it in the event loop, and not in a thread, which is many times faster. Do not declare
    a function that uses a database, a file or the network: it would delay all other requests.

        @in_memory
        def load(principal: Principal) -> User | None:
            return USERS.get(principal.subject)

    Objects with methods, such as revocations, quota stores and verifiers, declare all their methods by an
    attribute, `in_memory = True`.

    Args:
        function: a function, a method or another callable, which is not `async`.

    Raises:
        ConfigurationError: for an `async` function, a class, or an object that cannot be called.
    """
    declared: Any = getattr(function, "__func__", function) if _is_wrapped(function) else function
    if isinstance(declared, type):
        raise ConfigurationError(
            f"in_memory must be given a function, got the class {declared.__qualname__}: write "
            "in_memory = True in the class"
        )
    check_function(declared, "in_memory", "in_memory(function)", or_none=False)
    if is_async(declared) or isasyncgenfunction(declared):
        raise ConfigurationError(
            "in_memory must be given a plain function, got an async one: leave in_memory out, since the "
            "event loop awaits it anyway"
        )
    try:
        setattr(declared, _MARK, declared)
    except AttributeError:  # bound methods and functions written in C have no such attribute
        function = cast("FunctionT", partial(declared))
        setattr(function, _MARK, function)
    return function


def _is_wrapped(function: object) -> bool:
    return isinstance(function, (staticmethod, classmethod))


def is_in_memory(function: Callable[..., Any]) -> bool:
    """Return whether a function has been declared by `in_memory`."""
    while isinstance(function, partial) and not _is_marked(function):
        function = function.func
    if isroutine(function):
        return _is_marked(getattr(function, "__func__", function))
    declares_itself = getattr(function, "in_memory", False) is True
    return declares_itself or _is_marked(function) or _is_marked(_call_of(function))


def _is_marked(function: object) -> bool:
    return getattr(function, _MARK, None) is function


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether a call returns an awaitable, as far as the function shows it before the call."""
    # asgiref's own iscoroutinefunction does not look at __call__.
    return iscoroutinefunction(function) or iscoroutinefunction(_call_of(function))


def is_awaitable(answer: object) -> bool:
    """Return whether an answer must be awaited; much faster than `inspect.isawaitable`."""
    # mypy uses the `__hash__` of the instances, and not that of the class.
    return is_awaitable_type(type(answer)) and isawaitable(answer)  # type: ignore[arg-type]


@lru_cache(maxsize=256)  # looking up a missing attribute takes longer than all the rest
def is_awaitable_type(kind: type) -> bool:
    """Return whether values of a type may be awaited."""
    return hasattr(kind, "__await__") or kind is GeneratorType


def _call_of(function: object) -> Any:
    return getattr(type(function), "__call__", None)  # noqa: B004 (which it is, not whether)


class Callback(Generic[Answer]):
    """Hold a function of the application, inspected once, when a guard is built.

    Args:
        function: the function.
        option: the name of the option with the function; empty for a function of this package.
        in_memory: whether the object of the method declares that its methods never wait.

    Attributes:
        function: the function.
        option: the name of the option.
        is_async: whether a call returns an awaitable.
        in_memory: whether it is a plain function that never waits.
        may_block: whether it is a plain function that may wait, so that no event loop may call it.
    """

    __slots__ = ("function", "in_memory", "is_async", "may_block", "option")

    def __init__(
        self,
        function: Callable[..., Answer | Awaitable[Answer]],
        option: str = "",
        *,
        in_memory: bool = False,
    ) -> None:
        self.function = function
        self.option = option
        self.is_async = is_async(function)
        self.in_memory = not self.is_async and (in_memory or is_in_memory(function))
        self.may_block = not self.is_async and not self.in_memory


def source_name(option: str, function: object) -> str:
    """Return how a log line names a function of the application, such as `user_loader shop.users.load`.

    Args:
        option: the name of the option with the function.
        function: the function, or another callable.
    """
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{getattr(named, '__module__', None) or ''}.{getattr(named, '__qualname__', '')}"
    return f"{option} {name.strip('.')}".strip()


def note_source(error: Exception, option: str, function: object) -> None:
    """Note on an exception the function that has raised it, for the log.

    Args:
        error: the exception.
        option: the name of the option with the function.
        function: the function, or another callable.
    """
    with suppress(AttributeError):  # the exception cannot have attributes
        setattr(error, _SOURCE, source_name(option, function))


def source_of(error: Exception) -> str | None:
    """Return the name of the function that has raised an exception, if it is known."""
    source: str | None = getattr(error, _SOURCE, None)
    return source


def says_in_memory(owner: object, option: str, method: str) -> bool:
    """Return whether an object declares, by `in_memory = True`, that its methods never wait.

    Args:
        owner: the object.
        option: the name of the option with the object.
        method: the name of the method that is called.

    Raises:
        ConfigurationError: if the method is `async` nevertheless.
    """
    says = bool(getattr(owner, "in_memory", False))
    if says and is_async(getattr(owner, method)):
        raise ConfigurationError(
            f"{option} with in_memory must have a plain {method}, got an async one: write def {method}(…), "
            "or leave in_memory out"
        )
    return says
