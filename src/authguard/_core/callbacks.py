"""Determine how a function of the application is called: awaited, at once, or in a thread."""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, isroutine
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType
from typing import Any, Generic, TypeVar, cast

from authguard._core.options import check_function
from authguard.errors import ConfigurationError

Answer = TypeVar("Answer")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

#: Types of values that contain no answer yet: a call, an `await`, `next` or `return` is missing. Such a value
#: is true, whatever the answer would be.
UNANSWERED: frozenset[type] = frozenset(
    {AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType, filter, map, partial}
)

#: The attribute of a declared function. It is the function itself: `functools.wraps` copies attributes to
#: wrappers, which may block all the same.
_MARK = "__authguard_in_memory__"


def in_memory(function: FunctionT) -> FunctionT:
    """Declare that a plain function never waits: what it needs is in memory.

    The guard then calls it in the event loop, and not in a thread, which is many times faster. A function
    that asks a database, a file or the network must not be declared: it would hold up all other requests.

        @in_memory
        def load(principal: Principal) -> User | None:
            return USERS.get(principal.subject)

    Objects with methods, such as revocations, quota stores and verifiers, say it of themselves by an
    attribute, `in_memory = True`.

    Args:
        function: a function, a method or another callable, which is not `async`.

    Raises:
        ConfigurationError: for an `async` function, a class, or what cannot be called.
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
    except AttributeError:  # as bound methods and functions written in C
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
    """Return whether to call it gives something to await, as far as one can see before."""
    # asgiref's own iscoroutinefunction does not look at __call__.
    return iscoroutinefunction(function) or iscoroutinefunction(_call_of(function))


def is_awaitable(answer: object) -> bool:
    """Return whether an answer is to be awaited, as `inspect.isawaitable` does it in twice the time."""
    return isinstance(answer, Awaitable) or (isinstance(answer, GeneratorType) and isawaitable(answer))


def _call_of(function: object) -> Any:
    return getattr(type(function), "__call__", None)  # noqa: B004 (which it is, not whether)


class Callback(Generic[Answer]):
    """Hold a function of the application, inspected once, when a guard is built.

    Args:
        function: the function.
        in_memory: it never waits, as the object that it is a method of says.

    Attributes:
        function: the function.
        is_async: to call it gives something to await.
        in_memory: it is a plain function that never waits.
        may_block: it is a plain function that may wait, so that no event loop may call it.
    """

    __slots__ = ("function", "in_memory", "is_async", "may_block")

    def __init__(
        self, function: Callable[..., Answer | Awaitable[Answer]], *, in_memory: bool = False
    ) -> None:
        self.function = function
        self.is_async = is_async(function)
        self.in_memory = not self.is_async and (in_memory or is_in_memory(function))
        self.may_block = not self.is_async and not self.in_memory


def says_in_memory(owner: object, option: str, method: str) -> bool:
    """Return whether an object says of itself, by `in_memory = True`, that its methods never wait.

    Args:
        owner: the object.
        option: the name of the option that it is given by.
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
