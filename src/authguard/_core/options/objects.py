"""Check options that are objects and functions. Text in their place may be a secret, and is not shown."""

from collections.abc import Callable
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isroutine, signature

from authguard._core.options.values import got
from authguard.errors import ConfigurationError


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


def check_method(value: object, option: str, method: str, write: str, *, or_none: bool = True) -> None:
    """Check an option that takes an object with a method.

    Args:
        value: the object.
        option: the name of the option.
        method: the name of the method.
        write: the spelling that works.
        or_none: whether None is allowed.

    Raises:
        ConfigurationError: if it has no such method, or is a class.
    """
    if value is None and or_none:
        return
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        raise ConfigurationError(
            f"{option} must be an object with {method}(…), got {_got(value)}: write {write}"
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
    """Check that a function can be called as it will be.

    Args:
        function: the function, or another callable. One whose arguments are not known is taken.
        option: the name of the option.
        takes: the arguments that it is called with, by position.

    Raises:
        ConfigurationError: if the function takes other arguments.
    """
    try:
        known = signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # as for some that are written in C
        return
    given = takes.split(", ")
    try:
        known.bind(*given)
    except TypeError:
        arguments = "one argument" if len(given) == 1 else f"{len(given)} arguments"
        got_names = ", ".join(known.parameters) or "none"
        raise ConfigurationError(
            f"{option} must be a function of {arguments}, got one of {got_names}: write def name({takes})"
        ) from None


def check_plain_function(value: object, option: str, instead: str, takes: str) -> None:
    """Check an option that takes a function that is not `async`.

    Args:
        value: the function, or another callable.
        option: the name of the option.
        instead: what to do instead of waiting.
        takes: the arguments that it is called with.

    Raises:
        ConfigurationError: for anything else.
    """
    check_function(value, option, or_none=False, takes=takes)
    function = value
    while isinstance(function, partial):
        function = function.func
    called = function if isroutine(function) else type(function).__call__
    if iscoroutinefunction(called) or isasyncgenfunction(called):
        raise ConfigurationError(
            f"{option} must be a plain function, got an async one: write def {option}(…), and {instead}"
        )


def _got(value: object) -> str:
    return got(value, secret=not isinstance(value, (bool, int, float)))
