"""Options of the wrong type: refused when the object is built, and not when a request comes."""

from collections.abc import Iterable, Mapping
from typing import Any

from authguard.errors import ConfigurationError


def check_list(values: object, option: str) -> list[Any]:
    """List the values of an option that takes several.

    Raises:
        ConfigurationError: for text, a mapping, and anything that is not iterable.
    """
    if isinstance(values, str):
        raise ConfigurationError(f"{option} is a list; write [{values!r}]")
    if isinstance(values, (bytes, Mapping)) or not isinstance(values, Iterable):
        raise ConfigurationError(f"{option} is a list, got {type_of(values)}")
    return list(values)


def check_seconds(value: object, option: str, most: float, *, least: int = 0) -> float:
    """Check a number of seconds.

    Raises:
        ConfigurationError: for another type, such as timedelta, and a number out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        shown = value if isinstance(value, (int, float)) else type_of(value)
        raise ConfigurationError(f"{option} is {least} to {most:g} seconds, got {shown}")
    return value


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
        raise ConfigurationError(f"{option} must be {kind.__name__}, got {type_of(value)}: write {write}")


def check_method(value: object, option: str, method: str, write: str) -> None:
    """Check an option that takes an object with a method, or None.

    Raises:
        ConfigurationError: for anything else, such as a class.
    """
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise ConfigurationError(
            f"{option} must be an object with {method}(…), got {type_of(value)}: write {write}"
        )


def check_function(value: object, option: str) -> None:
    """Check an option that takes a function, or None.

    Raises:
        ConfigurationError: for anything else.
    """
    if value is not None and not callable(value):
        raise ConfigurationError(f"{option} must be a function, got {type_of(value)}")


def type_of(value: object) -> str:
    """Return the name of the type of a value, for an error: a value itself may be a secret."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
