"""Read the expressions in the parsed source of a function."""

import ast
from collections.abc import Iterable, Iterator


def thrown_away(node: ast.AST) -> list[ast.expr]:
    """Return the expressions in a node whose values nothing uses but a test."""
    if isinstance(node, ast.Expr):
        return list(branches(node.value))
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        return [node.test]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [node.operand]
    return node.values[:-1] if isinstance(node, ast.BoolOp) else []


def own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function, and not those of functions and classes inside of it."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from own_nodes(ast.iter_child_nodes(node))


def branches(value: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions one of which is the value of an expression, is in its list, or is awaited."""
    parts: list[ast.expr] = []
    if isinstance(value, ast.IfExp):
        parts = [value.body, value.orelse]
    elif isinstance(value, ast.BoolOp):
        parts = value.values
    elif isinstance(value, ast.List | ast.Tuple | ast.Set):
        parts = value.elts
    elif isinstance(value, ast.Await):
        parts = [value.value]
    else:
        yield value
    for part in parts:
        yield from branches(part)
