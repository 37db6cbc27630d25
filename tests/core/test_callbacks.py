"""`in_memory` declares that a plain function never waits, and refuses other objects."""

import functools
import inspect
import types
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from authguard import APIKeyVerifier, ConfigurationError, Guard, MemoryQuotas, Quota, in_memory
from authguard._core.callbacks import Callback, is_awaitable
from authguard._core.flow import Call

VERIFIER = APIKeyVerifier(lambda digest: None)


def plain(principal: Any) -> Any:
    """Return the principal, as a plain function without a declaration."""
    return principal


@in_memory
def declared(principal: Any) -> Any:
    """Return the principal, as a declared plain function."""
    return principal


async def awaited(principal: Any) -> Any:
    """Return the principal, as an async function."""
    return principal


async def streamed(principal: Any) -> AsyncIterator[Any]:
    """Yield the principal, as an async generator."""
    yield principal


class Store:
    """Have a method of each kind, declared and undeclared."""

    @in_memory
    def method(self, principal: Any) -> Any:
        return principal

    @staticmethod
    @in_memory
    def static_above(principal: Any) -> Any:
        return principal

    @in_memory  # pyright: ignore
    @staticmethod
    def static_below(principal: Any) -> Any:
        return principal

    @classmethod
    @in_memory
    def of_class(cls, principal: Any) -> Any:
        return principal

    def undeclared(self, principal: Any) -> Any:
        return principal


class Called:
    """Be a callable object without a declaration."""

    def __call__(self, principal: Any) -> Any:
        return principal


class DeclaredCall:
    """Be a callable object with a declared `__call__`."""

    @in_memory
    def __call__(self, principal: Any) -> Any:
        return principal


class SaysItself(Called):
    """Be a callable object that is declared by an attribute."""

    in_memory = True


@pytest.mark.parametrize(
    "function",
    [
        declared,
        in_memory(lambda principal: principal),
        Store().method,
        Store.static_above,
        Store.static_below,
        Store().of_class,
        in_memory(Store().undeclared),
        in_memory({}.get),
        in_memory(Called()),
        in_memory(functools.partial(plain, 1)),
        functools.partial(declared, 1),
        in_memory(functools.cache(plain)),
        DeclaredCall(),
        SaysItself(),
    ],
)
def test_a_declared_function_may_be_called_in_the_event_loop(function: Callable[..., Any]) -> None:
    """Declared functions, methods, objects and functions written in C are called in the event loop."""
    callback = Callback(function)
    assert (callback.in_memory, callback.is_async, callback.may_block) == (True, False, False)


@pytest.mark.parametrize(
    "function", [plain, Store().undeclared, {}.get, Called(), functools.partial(plain, 1), lambda: None]
)
def test_what_is_not_declared_may_block(function: Callable[..., Any]) -> None:
    """A function without a declaration may block, even if another method of its object is declared."""
    assert Callback(function).may_block


def test_a_wrapper_of_a_declared_function_is_not_declared() -> None:
    """A wrapper by `functools.wraps` does not inherit the declaration, because its own code may block."""

    @functools.wraps(declared)
    def wrapper(principal: Any) -> Any:
        return declared(principal)

    assert Callback(wrapper).may_block


def test_an_async_wrapper_of_a_declared_function_is_awaited() -> None:
    """An async wrapper is awaited, although it has copied the attributes of a declared function."""

    @functools.wraps(declared)
    async def wrapper(principal: Any) -> Any:
        return declared(principal)

    callback = Callback(wrapper)
    assert (callback.is_async, callback.in_memory, callback.may_block) == (True, False, False)


def test_a_declared_function_stays_itself() -> None:
    """`in_memory` returns the same function, so that it can be combined with other decorators."""

    def function(principal: Any) -> Any:
        return principal

    assert in_memory(function) is function


@pytest.mark.parametrize("function", [awaited, functools.partial(awaited, 1), streamed])
def test_an_async_function_is_refused(function: Any) -> None:
    """An async function is refused with the advice to leave `in_memory` out."""
    with pytest.raises(ConfigurationError, match="plain function, got an async one: leave in_memory out"):
        in_memory(function)


def test_a_class_is_refused() -> None:
    """A class is refused with the advice to set the attribute `in_memory`."""
    with pytest.raises(ConfigurationError, match="got the class Called: write in_memory = True in the class"):
        in_memory(Called)


@pytest.mark.parametrize("value", [None, True, "secret text", 7])
def test_what_cannot_be_called_is_refused(value: Any) -> None:
    """A value that cannot be called is refused, and the error does not show a text."""
    with pytest.raises(
        ConfigurationError, match=r"must be a function, .*write in_memory\(function\)"
    ) as raised:
        in_memory(value)
    assert "secret text" not in str(raised.value)


@pytest.mark.parametrize("option", ["revocations", "quota_store", "a verifier"])
def test_an_object_in_memory_with_an_async_method_is_refused(option: str) -> None:
    """An object in memory with an async method is refused: its coroutine would be read as the answer."""
    store = SimpleNamespace(
        in_memory=True, is_revoked=awaited, take=awaited, give_back=awaited, verify=awaited
    )
    with pytest.raises(ConfigurationError, match=f"{option} with in_memory must have a plain"):
        if option == "a verifier":
            Guard(store)
        elif option == "revocations":
            Guard(VERIFIER, revocations=store)
        else:
            Guard(VERIFIER, quotas=[Quota(1, 60)], quota_store=store)


def test_a_store_of_the_package_is_in_memory() -> None:
    """`MemoryQuotas` is accepted as a store in memory."""
    Guard(VERIFIER, quotas=[Quota(1, 60)], quota_store=MemoryQuotas())


def test_a_question_looks_at_its_function_once() -> None:
    """A Call uses a prepared Callback as it is, so that the function is inspected only once."""
    callback = Callback(plain)
    assert Call(callback, 1).callback is callback
    assert Call(plain, 1).callback.function is plain


@types.coroutine
def _as_coroutine() -> Any:
    yield


@pytest.mark.parametrize(
    "make",
    [_as_coroutine, lambda: (number for number in ()), lambda: SimpleNamespace(__await__=None), lambda: None],
    ids=["coroutine of a generator", "generator", "attribute", "None"],
)
def test_an_awaitable_is_what_the_standard_library_says(make: Callable[[], Any]) -> None:
    """`is_awaitable` agrees with `inspect.isawaitable`; a generator is not awaitable."""
    assert is_awaitable(make()) is inspect.isawaitable(make())
