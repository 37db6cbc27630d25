"""Find dependencies of FastAPI that would check the caller, but only if FastAPI called them twice."""

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_PACKAGE = __name__.partition(".")[0]
_DECORATOR = ("authguard.fastapi", "authguard.starlette")


def is_decorator(value: Any) -> bool:
    """Return whether a value is `requires` itself, and not the result of a call."""
    return isinstance(value, FunctionType) and value.__name__ == "requires" and value.__module__ in _DECORATOR


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
            if not guards(dependency) and guards(_call_of(dependency)):
                short = dependency.__name__
                yield (
                    f"a dependency of the route {route} must be an object, got the class {name}, whose "
                    "objects FastAPI does not call, so that it guards nothing: write "
                    f"Depends({short}()), with parentheses"
                )
            continue
        returned = None if guards(dependency) else _returned_guard(_function_of(dependency), guards)
        if returned:
            yield (
                f"a dependency of the route {route} must check the caller, got {name}, which returns "
                f"{returned}, and FastAPI does not call that, so that it guards nothing: write "
                f"Depends({returned})"
            )


def _call_of(kind: type) -> Any:
    return next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)


def _function_of(call: Any) -> Any:
    while isinstance(call, partial):
        call = call.func
    if isinstance(call, MethodType):
        return call.__func__
    return call if isinstance(call, FunctionType) else _call_of(type(call))


def _returned_guard(function: Any, guards: Callable[[Any], bool]) -> str:
    """Return the source of the dependency that a function returns; empty if it returns none.

    Functions whose source cannot be read, such as those of a console, are not examined.
    """
    if not isinstance(function, FunctionType) or not _mentions(function, guards):
        return ""
    code = function.__code__
    try:
        lines, _ = inspect.findsource(function)
        functions = _functions_of("".join(lines))
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in functions.get((code.co_name, code.co_firstlineno), ()):
        for value in _returned(node):
            if _is_guard(value, function, guards):
                return ast.unparse(value)
    return ""


def _mentions(function: FunctionType, guards: Callable[[Any], bool]) -> bool:
    """Return whether a function uses `requires`, or the result of a call of it, in any way."""
    code = function.__code__
    values = [function.__globals__.get(name) for name in code.co_names]
    values += [_variable(name, function) for name in code.co_freevars]
    return any(
        isinstance(each, ModuleType) or is_decorator(each) or _is_made(each, guards) for each in values
    )


@lru_cache(maxsize=8)  # most dependencies of an application are in a few files
def _functions_of(source: str) -> dict[tuple[str, int], list[_Function]]:
    """Return the functions of a source by name and first line, which is that of the first decorator."""
    found: dict[tuple[str, int], list[_Function]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min((node.lineno, *(each.lineno for each in node.decorator_list)))
            found.setdefault((node.name, first), []).append(node)
    return found


def _returned(function: _Function) -> Iterator[ast.expr]:
    """Yield the expressions that a function returns or yields, and the values of returned variables."""
    if isinstance(function, ast.Lambda):
        yield from _branches(function.body)
        return
    nodes = list(_own_nodes(function.body))
    assigned = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            for value in _branches(node.value):
                yield from _branches(assigned.get(value.id, value) if isinstance(value, ast.Name) else value)


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function, and not those of functions and classes inside of it."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from _own_nodes(ast.iter_child_nodes(node))


def _branches(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.IfExp):
        yield from _branches(value.body)
        yield from _branches(value.orelse)
    else:
        yield value


def _is_guard(value: ast.expr, function: FunctionType, guards: Callable[[Any], bool]) -> bool:
    if isinstance(value, ast.Call):
        return is_decorator(_value(value.func, function))
    return _is_made(_value(value, function), guards)


def _is_made(value: Any, guards: Callable[[Any], bool]) -> bool:
    """Return whether a value is the result of `requires(…)`."""
    return getattr(type(value), "__module__", None) in _DECORATOR and guards(value)


def _value(node: ast.expr, function: FunctionType) -> Any:
    """Return the value of a dotted name, without running code of the application."""
    if isinstance(node, ast.Name):
        return _variable(node.id, function)
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, function)
        return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    return None


def _variable(name: str, function: FunctionType) -> Any:
    if name not in function.__code__.co_freevars:
        return function.__globals__.get(name)
    try:
        return (function.__closure__ or ())[function.__code__.co_freevars.index(name)].cell_contents
    except ValueError:  # the variable has no value yet
        return None
