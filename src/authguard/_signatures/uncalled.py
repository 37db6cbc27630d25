"""Find functions that create or return a check of the caller, which their framework does not call."""

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

from authguard._signatures import markers
from authguard._signatures.nodes import branches, own_nodes, thrown_away
from authguard._signatures.reached import own_attributes, with_own_values
from authguard._signatures.sources import UNREADABLE, parse_source, source_of

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_PACKAGE = __name__.partition(".")[0]
_DECORATOR = ("authguard.fastapi", "authguard.starlette", "authguard.flask", "authguard.django.decorators")
MADE = ("authguard._endpoint", "authguard.fastapi", "authguard.starlette")  # of results of `requires`
_DEPTH = 3  # modules in modules, such as authguard.fastapi
_ITEMS = 100  # of a list or dictionary of checks; longer ones have data
_HELPERS = 2  # functions that call functions, the last of which returns a check


def is_decorator(value: Any) -> bool:
    """Return whether a value is `requires` itself, and not the result of a call."""
    # `isinstance` would ask a proxy, such as those of Flask, which works only in a request.
    return type(value) is FunctionType and value.__name__ == "requires" and value.__module__ in _DECORATOR


def lacking_call(call: Any) -> str:
    """Return the call of `requires` instead of `requires` itself or a partial of it; empty for others.

    Args:
        call: a dependency.
    """
    arguments: list[str] = []
    while isinstance(call, partial):
        own = [*map(repr, call.args), *(f"{name}={value!r}" for name, value in call.keywords.items())]
        arguments = [*own, *arguments]
        call = call.func
    return f"requires({', '.join(arguments)})" if is_decorator(call) else ""


def uncalled_in(dependencies: Iterable[Any], route: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for each dependency that creates or returns the one that would check the caller.

    Args:
        dependencies: those of a route, including nested ones.
        route: the name of the route, for the sentences.
        guards: returns whether a callable checks the caller.
    """
    for dependency in dependencies:
        name = getattr(dependency, "__qualname__", type(dependency).__qualname__)
        if inspect.isclass(dependency):
            yield from markers.unread_attributes(dependency, route, guards)
            if not markers.checks(dependency, guards) and markers.checks(_call_of(dependency), guards):
                short = dependency.__name__
                yield (
                    f"a dependency of the route {route} must be an object, got the class {name}, whose "
                    "objects FastAPI does not call, so that it guards nothing: write "
                    f"Depends({short}()), with parentheses"
                )
            continue
        is_sound = guards(dependency) or lacking_call(dependency)  # another error names the latter
        returned = "" if is_sound else _returned_guard(dependency, guards, _HELPERS)
        if returned:
            yield (
                f"a dependency of the route {route} must check the caller, got {name}, which returns "
                f"{returned}, and FastAPI does not call that, so that it guards nothing: write "
                f"{markers.as_marker(returned)}"
            )


def unused_in(calls: Iterable[Any], place: str, guards: Callable[[Any], bool]) -> Iterator[str]:
    """Yield a sentence for each function that calls `requires`, and throws away the result or only tests it.

    Args:
        calls: functions, objects with `__call__`, and classes that a framework calls.
        place: the name of their place, for the sentences.
        guards: as for `uncalled_in`.
    """
    for call in calls:
        for function in _own_functions(call):
            for source, decorator in _unused(function, guards):
                yield (
                    f"the function {function.__qualname__} of {place} must use the result of {source}, got "
                    f"it thrown away, so that it guards nothing: write {markers.place_of(decorator)}"
                )


def _own_functions(call: Any) -> Iterator[FunctionType]:
    """Yield the functions of the application behind a callable, and those of a class."""
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, type):
        calls = [each for base in call.__mro__ for each in vars(base).values()]
    else:
        calls = [call, _call_of(type(call))]
    for each in calls:
        if isinstance(each, FunctionType | MethodType) and not _is_of_package(each):
            for function in with_own_values(each):
                if isinstance(function, FunctionType) and not _is_of_package(function):
                    yield function


def _is_of_package(function: FunctionType | MethodType) -> bool:
    """Return whether a function is of this package, and not one of an application around which it is."""
    return str(function.__module__).startswith(f"{_PACKAGE}.")


def _unused(function: FunctionType, guards: Callable[[Any], bool]) -> Iterator[tuple[str, str]]:
    """Yield the source of each call whose result a function does not use, and that of its decorator."""
    for node in _nodes_of(function, guards):
        if isinstance(node, ast.Lambda):
            continue
        used = _used_names(each for part in node.body for each in ast.walk(part))
        for each in own_nodes(node.body):
            for value in (*thrown_away(each), *_unused_value(each, used)):
                if not isinstance(value, ast.Call):
                    continue
                # With a function, as in `requires("admin")(view)`; without, Flask checks the caller.
                is_decorated = isinstance(value.func, ast.Call) or is_made(
                    _value(value.func, function), guards
                )
                for call in (value, value.func) if value.args and is_decorated else (value,):
                    if _is_guard(call, function, guards):
                        yield ast.unparse(value), ast.unparse(call)
                        break


def _unused_value(node: ast.AST, used: set[str]) -> list[ast.expr]:
    """Return the value that a node assigns to variables which nothing uses but a test; empty without one."""
    if not isinstance(node, ast.Assign):
        return []
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    # An attribute or an item, such as of `check = self.check = …`, may be used anywhere.
    return [node.value] if len(names) == len(node.targets) and used.isdisjoint(names) else []


def _used_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names of variables that a use other than a test has, or that other functions may use.

    Args:
        nodes: those of a function, and of the functions and classes inside of it.
    """
    nodes = list(nodes)
    tested = {
        id(value)
        for node in nodes
        # `check or …` is the check itself, unless the whole is tested
        if not (isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or))
        for thrown in thrown_away(node)
        for value in _with_parts(thrown)
    }
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in tested:
            names.add(node.id)
    return names


def _with_parts(value: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression, and those that may be its value."""
    yield value
    parts = value.values if isinstance(value, ast.BoolOp) else branches(value)
    for part in parts:
        if part is not value:
            yield from _with_parts(part)


def _call_of(kind: type) -> Any:
    return next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)


def _function_of(call: Any) -> Any:
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, MethodType):
        return call.__func__
    return call if isinstance(call, FunctionType) else _call_of(type(call))


def _owner_of(call: Any) -> Any:
    """Return the object that the function of a callable gets as its first argument; None for a function."""
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, MethodType):
        return call.__self__
    return None if isinstance(call, FunctionType) else call


def _returned_guard(call: Any, guards: Callable[[Any], bool], depth: int) -> str:
    """Return the source of the dependency that a callable returns; empty if it returns none.

    Functions whose source cannot be read, such as those of a console, are not examined.
    """
    function, owner = _function_of(call), _owner_of(call)
    if isinstance(function, FunctionType):
        for node in _nodes_of(function, guards, owner, depth):
            for value in _returned(node):
                if _is_guard(value, function, guards, owner, depth):
                    return markers.spelling_of_marker(_value(value, function, owner)) or ast.unparse(value)
    return ""


def _nodes_of(
    function: FunctionType, guards: Callable[[Any], bool], owner: Any = None, depth: int = _HELPERS
) -> list[_Function]:
    """Return the parsed source of a function that uses `requires` or the result of a call of it."""
    code = function.__code__
    try:
        if not _mentions(function, guards, owner, depth):
            return []
        functions = _functions_of(source_of(function))
    except UNREADABLE:
        return []
    return functions.get((code.co_name, code.co_firstlineno), [])


def _mentions(function: FunctionType, guards: Callable[[Any], bool], owner: Any, depth: int) -> bool:
    """Return whether a function, or one that it calls, uses `requires` or the result of a call of it."""
    code = function.__code__
    values = [function.__globals__.get(name) for name in code.co_names]
    values += [_variable(name, function) for name in code.co_freevars]
    values += [] if owner is None else [_member(owner, name) for name in code.co_names]
    values += [item for each in values for item in _items(each)]
    for _ in range(_DEPTH):
        for each in values:
            if _is_known(each, guards):
                return True
            called = _helper(each) if depth else None
            if called is not None and _mentions(called, guards, _owner_of(each), depth - 1):
                return True
        modules = [each for each in values if issubclass(type(each), ModuleType)]
        values = [vars(module).get(name) for module in modules for name in code.co_names]
    return False


@lru_cache(maxsize=8)  # most dependencies of an application are in a few files
def _functions_of(source: str) -> dict[tuple[str, int], list[_Function]]:
    """Return the functions of a source by name and first line, which is that of the first decorator."""
    functions: dict[tuple[str, int], list[_Function]] = {}
    for node in ast.walk(parse_source(source)):
        if isinstance(node, ast.Lambda):
            functions.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min((node.lineno, *(each.lineno for each in node.decorator_list)))
            functions.setdefault((node.name, first), []).append(node)
    return functions


def _returned(function: _Function) -> Iterator[ast.expr]:
    """Yield the expressions that a function returns or yields, and the values of returned variables."""
    if isinstance(function, ast.Lambda):
        yield from branches(function.body)
        return
    nodes = list(own_nodes(function.body))
    assigned = _assigned(nodes)
    for node in nodes:
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            for value in branches(node.value):
                yield from branches(assigned.get(value.id, value) if isinstance(value, ast.Name) else value)


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_guard(
    value: ast.expr,
    function: FunctionType,
    guards: Callable[[Any], bool],
    owner: Any = None,
    depth: int = _HELPERS,
) -> bool:
    if isinstance(value, ast.Subscript):  # the key may be a variable
        return any(is_made(item, guards) for item in _items(_value(value.value, function, owner)))
    if not isinstance(value, ast.Call):
        found = _value(value, function, owner)
        return is_made(found, guards) or markers.is_dependency(found, guards)
    called = _value(value.func, function, owner)
    if is_decorator(called):
        return True
    if markers.makes_marker(called):
        return any(
            _is_guard(each, function, guards, owner, depth)
            or markers.checks(_value(each, function, owner), guards)
            for each in markers.given_to(value)
        )
    return depth > 0 and _helper(called) is not None and bool(_returned_guard(called, guards, depth - 1))


def _is_known(value: Any, guards: Callable[[Any], bool]) -> bool:
    return any(
        (
            is_decorator(value),
            markers.makes_marker(value),
            is_made(value, guards),
            markers.is_dependency(value, guards),
        )
    )


def _items(value: Any) -> Iterable[Any]:
    """Return the items of a short list, tuple or dictionary; none of another object."""
    if type(value) not in (dict, list, tuple) or len(value) > _ITEMS:
        return ()
    return list(value.values() if type(value) is dict else value)


def _helper(value: Any) -> FunctionType | None:
    """Return the function of a value that is a function or a method of an application; None for others."""
    function = value.__func__ if type(value) is MethodType else value
    return function if type(function) is FunctionType and not _is_of_package(function) else None


def is_made(value: Any, guards: Callable[[Any], bool]) -> bool:
    """Return whether a value is the result of `requires(…)`."""
    return getattr(type(value), "__module__", None) in MADE and guards(value)


def _value(node: ast.expr, function: FunctionType, owner: Any = None) -> Any:
    """Return the value of a dotted name, without running code of the application.

    Args:
        node: the name.
        function: the function that uses it.
        owner: the first argument of the function; None if it is not known.
    """
    if isinstance(node, ast.Name):
        return owner if [node.id] == _first_argument(function) else _variable(node.id, function)
    if isinstance(node, ast.Attribute):
        holder = _value(node.value, function, owner)
        if issubclass(type(holder), ModuleType):
            return vars(holder).get(node.attr)
        return None if holder is None or holder is not owner else _member(owner, node.attr)
    return None


def _first_argument(function: FunctionType) -> list[str]:
    """Return the name of the first argument of a function in a list, which is empty without one."""
    code = function.__code__
    return list(code.co_varnames[: min(code.co_argcount, 1)])


def _member(owner: Any, name: str) -> Any:
    """Return an attribute of an object, or a method that is bound to it, without running its code."""
    own = own_attributes(owner)
    if name in own:
        return own[name]
    member = next((vars(base)[name] for base in type(owner).__mro__ if name in vars(base)), None)
    return MethodType(member, owner) if type(member) is FunctionType else member


def _variable(name: str, function: FunctionType) -> Any:
    if name not in function.__code__.co_freevars:
        return function.__globals__.get(name)
    try:
        return (function.__closure__ or ())[function.__code__.co_freevars.index(name)].cell_contents
    except ValueError:  # the variable has no value yet
        return None
