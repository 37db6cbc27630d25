"""Refuse options that are assigned to a built object, where they would have no effect."""

import sys
from functools import lru_cache
from inspect import Parameter, signature
from types import FrameType
from typing import TYPE_CHECKING, Any

from authguard.errors import ConfigurationError


@lru_cache(maxsize=256)
def _options_of(kind: Any) -> dict[str, str]:
    """Return the options of the classes of this package that a class inherits from, with their spellings."""
    owners = [each for each in kind.__mro__ if each.__module__.partition(".")[0] == "authguard"]
    return {
        name: _spelling(kind.__name__, parameter)
        for owner in owners
        if "__init__" in vars(owner)
        for name, parameter in list(signature(owner.__init__).parameters.items())[1:]
        if parameter.kind is not Parameter.VAR_KEYWORD
    }


def _is_being_built(built: object) -> bool:
    """Return whether an `__init__` of the object runs, which may set an attribute of a subclass."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 (as `inspect.currentframe` does)
    while frame is not None:
        code = frame.f_code
        is_init = code.co_name == "__init__" and code.co_argcount
        if is_init and frame.f_locals.get(code.co_varnames[0]) is built:
            return True
        frame = frame.f_back
    return False


class FixedOptions:
    """Have options that are given when the object is built, and never assigned later."""

    __slots__ = ()

    if not TYPE_CHECKING:  # pragma: no branch (otherwise type checkers would accept any attribute)

        def __setattr__(self, name: str, value: Any) -> None:
            kind = type(self)
            spelling = _options_of(kind).get(name)
            if spelling is not None and not _is_being_built(self):
                raise ConfigurationError(
                    f"{name} must be given to {kind.__name__}(…), got it assigned later: write {spelling}"
                )
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            spelling = _options_of(type(self)).get(name)
            text = f"{kind!r} object has no attribute {name!r}"
            if spelling is not None:
                text = f"{name} must be given to {kind}(…), got it read later: write {spelling}"
            raise AttributeError(text, name=name, obj=self)


def _spelling(kind: str, parameter: Parameter) -> str:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return f"{kind}(*{parameter.name})"
    if parameter.kind is Parameter.KEYWORD_ONLY:
        return f"{kind}(…, {parameter.name}=…)"
    return f"{kind}({parameter.name})"
