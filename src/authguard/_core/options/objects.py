"""Check options that are objects and functions; text in their place may be a secret, and is not shown."""

from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isroutine

from authguard._core.options.values import got
from authguard.errors import ConfigurationError


def check_object(value: object, option: str, kind: type, write: str, *, or_none: bool = True) -> None:
    """Check an option that takes an object of a class.

    Args:
        value: the object.
        option: the name of the option.
        kind: the class.
        write: the spelling that works.
        or_none: whether None may stand in its place.

    Raises:
        ConfigurationError: for anything else, such as the class itself.
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
        or_none: whether None may stand in its place.

    Raises:
        ConfigurationError: for anything else, such as a class.
    """
    if value is None and or_none:
        return
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        raise ConfigurationError(
            f"{option} must be an object with {method}(…), got {_got(value)}: write {write}"
        )


def check_function(value: object, option: str, write: str = "", *, or_none: bool = True) -> None:
    """Check an option that takes a function.

    Args:
        value: the function, or another callable.
        option: the name of the option.
        write: the spelling that works.
        or_none: whether None may stand in its place.

    Raises:
        ConfigurationError: for anything else.
    """
    if not callable(value) and not (value is None and or_none):
        example = write or f"{option}=name, without parentheses"
        raise ConfigurationError(f"{option} must be a function, got {_got(value)}: write {example}")


def check_plain_function(value: object, option: str, instead: str) -> None:
    """Check an option that takes a function that is not `async`.

    Args:
        value: the function, or another callable.
        option: the name of the option.
        instead: what to do instead of waiting.

    Raises:
        ConfigurationError: for anything else.
    """
    check_function(value, option, or_none=False)
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
