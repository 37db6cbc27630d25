"""Write the signature of a public class or function as in its source, with the types."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

_WIDTH = 84
_QUOTED = re.compile(r"'([^'\"\\]*)'")


def signature(name: str, thing: Any) -> str:
    """Return the lines that call a class or a function, with types and defaults.

    Args:
        name: its public name, such as `Guard.verify`.
        thing: the class or function.
    """
    maker = vars(thing).get("__init__", thing.__init__) if inspect.isclass(thing) else thing
    node = _node(maker)
    if node is None:
        return _from_fields(name, thing)
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in {"self", "cls"}:
        (arguments.posonlyargs or arguments.args).pop(0)
    returns = "" if node.returns is None or inspect.isclass(thing) else f" -> {_text(node.returns)}"
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    parts = [_one(arguments, place) for place in range(_count(arguments))]
    return _lines(f"{prefix}{name}", _marked(arguments, parts), returns)


def type_of(value: property) -> str:
    """Return the type of a property, as in its source; empty without a type."""
    node = _node(value.fget) if value.fget else None
    return "" if node is None or node.returns is None else _text(node.returns)


def _lines(name: str, parts: Sequence[str], returns: str) -> str:
    """Return a call in one line, or with one parameter per line if the line would be too long."""
    parts = [_QUOTED.sub(r'"\1"', part) for part in parts]
    line = f"{name}({', '.join(parts)}){returns}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def _text(node: ast.expr) -> str:
    """Return an annotation, without quotes around it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node)


def _node(function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the definition in the source; None if Python or a dataclass has created it."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    node = ast.parse(source).body[0]
    return node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _from_fields(name: str, thing: Any) -> str:
    """Return the signature from `inspect`, with the types of the fields of a dataclass or a named tuple.

    The annotations from `inspect` are not used, because their text differs between versions of Python.
    """
    try:
        told = inspect.signature(thing)
    except (ValueError, TypeError):
        return name
    types = _field_types(thing) if inspect.isclass(thing) else {}
    parts = []
    is_marked = False
    for each in told.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not is_marked:
            parts.append("*")
        is_marked = is_marked or each.kind in {each.KEYWORD_ONLY, each.VAR_POSITIONAL}
        bare = str(each.replace(annotation=each.empty)).replace("<factory>", "...")
        parts.append(_typed(bare, types[each.name]) if each.name in types else bare)
    return (
        name
        if parts in (["*args", "**kwargs"], ["*args", "**kwds"], ["*values"])
        else _lines(name, parts, "")
    )


def _typed(parameter: str, annotation: str) -> str:
    name, mark, default = parameter.partition("=")
    return f"{name}: {annotation}" + (f" = {default}" if mark else "")


def _field_types(cls: type) -> dict[str, str]:
    """Return the annotations of the fields of a class, as in the source of the class and its bases.

    An `__init__` that only type checkers see has the types that the constructor accepts.
    """
    types: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("authguard"):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            for node in getattr(body, "body", []):
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    types[node.target.id] = _text(node.annotation)
            for node in ast.walk(body):
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    types |= {each.arg: _text(each.annotation) for each in node.args.args if each.annotation}
    return types


def _count(arguments: ast.arguments) -> int:
    return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)


def _one(arguments: ast.arguments, place: int) -> str:
    """Return one parameter, with its type and default."""
    positional = [*arguments.posonlyargs, *arguments.args]
    if place < len(positional):
        index = place - (len(positional) - len(arguments.defaults))
        argument, default = positional[place], arguments.defaults[index] if index >= 0 else None
    else:
        argument = arguments.kwonlyargs[place - len(positional)]
        default = arguments.kw_defaults[place - len(positional)]
    text = argument.arg + (f": {_text(argument.annotation)}" if argument.annotation else "")
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}" if argument.annotation else f"{text}={ast.unparse(default)}"


def _marked(arguments: ast.arguments, parts: list[str]) -> list[str]:
    """Return the parameters with `*`, `*name`, `/` and `**name` among them."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    marked = parts[:positional]
    if arguments.posonlyargs:
        marked.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        star = arguments.vararg
        marked.append(f"*{star.arg}" + (f": {_text(star.annotation)}" if star.annotation else ""))
    elif arguments.kwonlyargs:
        marked.append("*")
    marked += parts[positional:]
    if arguments.kwarg:
        rest = arguments.kwarg
        marked.append(f"**{rest.arg}" + (f": {_text(rest.annotation)}" if rest.annotation else ""))
    return marked
