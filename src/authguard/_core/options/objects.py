"""Check options that are objects and functions.

Text given instead of an object may be a secret, and is not shown.
"""

from collections.abc import Callable
from functools import partial
from inspect import (
    CO_ITERABLE_COROUTINE,
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
    isroutine,
    signature,
)
from typing import Any

from authguard._core.options.values import got
from authguard.errors import ConfigurationError

# Parameters that cannot mean a principal, and its attribute of that meaning.
_NOT_PRINCIPALS = {
    **dict.fromkeys(("sub", "user_id", "userid", "username"), "principal.subject"),
    **dict.fromkeys(("claims", "jwt_data", "jwt_payload", "payload"), "principal.claims"),
    **dict.fromkeys(("jti", "token_id"), "principal.token_id"),
    **dict.fromkeys(("header", "jwt", "jwt_header", "token"), "its attributes"),
}


def check_object(value: object, option: str, kind: type, write: str, *, or_none: bool = True) -> None:
    """Check an option that takes an object of a class.

    Args:
        value: the object.
        option: the name of the option.
        kind: the class.
        write: the spelling that works.
        or_none: whether None is allowed.

    Raises:
        ConfigurationError: if it is anything else, such as the class itself.
    """
    if not isinstance(value, kind) and not (value is None and or_none):
        raise ConfigurationError(f"{option} must be {kind.__name__}, got {_got(value)}: write {write}")


def check_method(
    value: object, option: str, method: str, write: str, *, or_none: bool = True, takes: str | None = None
) -> None:
    """Check an option that takes an object with a method.

    Args:
        value: the object.
        option: the name of the option.
        method: the name of the method.
        write: the spelling that works.
        or_none: whether None is allowed.
        takes: the arguments that the method is called with, such as `"principal"`; None checks none.

    Raises:
        ConfigurationError: if it has no such method, the method is a generator or takes other arguments, or
            the value is a class.
    """
    if value is None and or_none:
        return
    function = None if isinstance(value, type) else getattr(value, method, None)
    if not callable(function):
        raise ConfigurationError(
            f"{option} must be an object with {method}(…), got {_got(value)}: write {write}"
        )
    if takes is None:
        _check_returns(function, f"{method} of {option}")
    else:
        check_arguments(function, f"{method} of {option}", takes)


def check_plain_methods(
    value: object, option: str, methods: str, write: str, *, or_none: bool = True
) -> None:
    """Check an option that takes an object whose methods are called without `await`.

    The coroutine of an `async` method would count as a true answer: every password would be accepted.

    Args:
        value: the object.
        option: the name of the option.
        methods: the names of the methods, such as `"hash, verify"`.
        write: the spelling that works.
        or_none: whether None is allowed.

    Raises:
        ConfigurationError: if a method is missing, `async` or a generator, or the value is a class.
    """
    if value is None and or_none:
        return
    for method in methods.split(", "):
        check_method(value, option, method, write, or_none=False)
        if is_async_function(getattr(value, method)):
            raise ConfigurationError(
                f"{option} must have a plain {method}, got an async one: write def {method}(…)"
            )


def check_function(
    value: object, option: str, write: str = "", *, or_none: bool = True, takes: str | None = None
) -> None:
    """Check an option that takes a function.

    Args:
        value: the function, or another callable.
        option: the name of the option.
        write: the spelling that works.
        or_none: whether None is allowed.
        takes: the arguments that it is called with, such as `"request, refusal"`; None checks none.

    Raises:
        ConfigurationError: for anything else.
    """
    if value is None and or_none:
        return
    if not callable(value):
        example = write or f"{option}=name, without parentheses"
        raise ConfigurationError(f"{option} must be a function, got {_got(value)}: write {example}")
    if takes is not None:
        check_arguments(value, option, takes)


def check_arguments(function: Callable[..., object], option: str, takes: str) -> None:
    """Check that a function accepts the arguments of its later calls.

    Args:
        function: the function, or another callable; it is accepted if its arguments are not known.
        option: the name of the option.
        takes: the arguments that it is called with, by position.

    Raises:
        ConfigurationError: if the function takes other arguments, or is a generator.
    """
    _check_returns(function, option)
    try:
        known = signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some functions written in C have no signature
        return
    given = takes.split(", ")
    try:
        bound = known.bind(*given)
    except TypeError:
        arguments = "one argument" if len(given) == 1 else f"{len(given)} arguments"
        got_names = ", ".join(known.parameters) or "none"
        raise ConfigurationError(
            f"{option} must be a function of {arguments}, got one of {got_names}: write def name({takes})"
        ) from None
    first = next(iter(bound.arguments), "")
    if given == ["principal"] and first.lower() in _NOT_PRINCIPALS:
        raise ConfigurationError(
            f"{option} must be a function of the principal, got one of {first}: write def name(principal), "
            f"and read {_NOT_PRINCIPALS[first.lower()]} in it"
        )
    for name, parameter in known.parameters.items():
        if name not in bound.arguments and type(parameter.default).__module__ == "fastapi.params":
            kind = type(parameter.default).__name__
            raise ConfigurationError(
                f"{option} must be a function that the guard can call, got the parameter {name} with "
                f"{kind}(…), which only FastAPI replaces: write def name({takes}), and call the dependency "
                "in the function"
            )


def check_plain_function(value: object, option: str, instead: str, takes: str) -> None:
    """Check an option that takes a function that is not `async`.

    Args:
        value: the function, or another callable.
        option: the name of the option.
        instead: the advice for a function that must wait.
        takes: the arguments that it is called with.

    Raises:
        ConfigurationError: for anything else.
    """
    check_function(value, option, or_none=False)
    if is_async_function(value):
        raise ConfigurationError(
            f"{option} must be a plain function, got an async one: write def {option}(…), and {instead}"
        )
    check_function(value, option, takes=takes)


def is_async_function(function: object) -> bool:
    """Return whether a function is `async`."""
    called = _called(function)
    return iscoroutinefunction(called) or isasyncgenfunction(called)


def _check_returns(function: object, option: str) -> None:
    """Refuse a generator function, such as a dependency of FastAPI: its result is true for every caller."""
    called = _called(function)
    flags = getattr(getattr(called, "__code__", None), "co_flags", 0)
    is_generator = isgeneratorfunction(called) and not flags & CO_ITERABLE_COROUTINE
    if is_generator or isasyncgenfunction(called):
        raise ConfigurationError(
            f"{option} must be a function that returns, got a generator: write return in the place of yield"
        )


def _called(function: Any) -> Any:
    """Return the function that a call runs, without the layers of `partial` around it."""
    while isinstance(function, partial):
        function = function.func
    return function if isroutine(function) else getattr(type(function), "__call__", None)  # noqa: B004 (as in callbacks)


def _got(value: object) -> str:
    return got(value, secret=not isinstance(value, (bool, int, float)))
