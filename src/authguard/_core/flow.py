"""How the core asks the world without touching it.

A flow is a generator. It asks with `answer = yield from Question(...)` and returns its result;
a driver (authguard.drivers) answers, throws failures in, and closes it in every case. So each
rule is written once, for servers with an event loop and for servers without one.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

Result = TypeVar("Result")
Answer = TypeVar("Answer")

Flow: TypeAlias = Generator["Question[Any]", Any, Result]


class Question(Generic[Answer]):
    """Something only the world can answer; `yield from` it, and the answer has its type."""

    __slots__ = ()

    def __iter__(self) -> Generator["Question[Answer]", Answer, Answer]:
        return (yield self)


class Call(Question[Answer]):
    """Call a user's function, which may be `async`, and may block if it is not.

    Args:
        function: what to call; a driver with an event loop runs it in a worker thread unless
            it is a coroutine function.
        arguments: what to call it with.
    """

    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., Answer | Awaitable[Answer]], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments
