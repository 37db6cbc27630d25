"""Search the objects to which a layer of middleware refers, without running code of the application."""

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dis import opmap
from functools import partial
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from authguard._layers import layers_of
from authguard._signatures.reached import cells, own_attributes

#: The number of objects behind a layer that are examined, and of references from the layer to each of them.
MAX_EXAMINED = 5_000
MAX_STEPS = 8

_PLAIN = (str, bytes, bytearray, int, float, complex, type(None), re.Pattern, ModuleType)
# Packages of the standard library whose objects have a use for other objects, as users write them.
_HOLDERS = frozenset({"builtins", "collections", "contextvars", "functools", "queue", "types", "weakref"})
_LOAD_GLOBAL, _EXTENDED_ARG = opmap["LOAD_GLOBAL"], opmap["EXTENDED_ARG"]
_FRAMEWORKS = {("starlette.applications", "Starlette"), ("flask.app", "Flask")}


def is_same(value: Any, app: Any) -> bool:
    """Return whether two objects are identical, or are the same bound method."""
    return value is app or (type(app) is type(value) is MethodType and value == app)


def leads_to(app: Any, made: Any, *replacements: Any) -> bool:
    """Return whether a copy of a layer refers to an application, or to one that is inside of it.

    If a layer refers to more objects than can be examined, it is assumed to.

    Args:
        app: the application.
        made: the copy.
        replacements: the applications that the copy should call instead.
    """
    inner = list(layers_of(app))
    # kept alive, so that no other object gets an id
    seen = {id(each): each for each in (made, *replacements)}
    slots: dict[type, list[Any]] = {}
    waiting = deque((part, 1) for part in _references(made, slots))
    while waiting:
        value, steps = waiting.popleft()
        if any(is_same(value, each) for each in inner):
            return True
        if id(value) in seen or _is_closed(type(value)):
            continue
        seen[id(value)] = value
        if len(seen) > MAX_EXAMINED:
            return True
        if issubclass(type(value), type):
            waiting.extend((part, MAX_STEPS - 1) for part in _of_class(value))  # it may be a large library
        elif steps < MAX_STEPS:
            waiting.extend((part, steps + 1) for part in _references(value, slots))
    return False


def _is_closed(kind: type) -> bool:
    """Return whether objects of a class are not searched: texts, frameworks' applications, loggers and so on.

    An application leads to all its layers, and a layer that has it for its settings does not call it.
    """
    names = {(vars(base).get("__module__"), base.__qualname__) for base in kind.__mro__}
    if issubclass(kind, _PLAIN) or not names.isdisjoint(_FRAMEWORKS):
        return True
    package = str(vars(kind).get("__module__", "builtins")).partition(".")[0]
    return package in sys.stdlib_module_names and package not in _HOLDERS


def _references(value: Any, slots: dict[type, list[Any]]) -> Iterable[Any]:
    kind = type(value)  # and not the attribute `__class__`, which a proxy computes
    if issubclass(kind, list | tuple | set | frozenset | deque):
        return list(value)
    if issubclass(kind, dict):
        return [*dict.values(value), *_own(value, slots)]
    if issubclass(kind, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if kind is MethodType:
        return [value.__self__, value.__func__]
    if kind is FunctionType:
        return list(_of_function(value))
    return list(_own(value, slots))


def _of_function(function: FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    yield from cells(function)
    names = _global_names(function.__code__)
    yield from (function.__globals__[name] for name in names if name in function.__globals__)


def _global_names(code: CodeType) -> set[str]:
    """Return the names of the variables of its module that a function reads.

    `co_names` has the names of attributes, too: `self.app` is not the variable `app` of the module. `dis`
    would give the same names, in a hundred times the time.
    """
    names: set[str] = set()
    argument = 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == _LOAD_GLOBAL:
            names.add(code.co_names[argument >> 1])
        if operation != _EXTENDED_ARG:
            argument = 0
    return names


def _own(value: Any, slots: dict[type, list[Any]]) -> Iterator[Any]:
    """Yield the attributes of an instance, and once those of its classes.

    Args:
        value: the instance.
        slots: the slots of the classes that have been seen.
    """
    yield from own_attributes(value).values()
    for base in type(value).__mro__:
        if base not in slots:
            slots[base] = [part for part in vars(base).values() if isinstance(part, MemberDescriptorType)]
            yield from _of_class(base)
        for slot in slots[base]:
            try:
                yield slot.__get__(value)
            except AttributeError:
                continue  # the slot has not been set


def _of_class(cls: type) -> Iterator[Any]:
    for name, part in list(vars(cls).items()):
        if not name.startswith("__"):
            yield part.__func__ if isinstance(part, staticmethod | classmethod) else part
