"""Find the small changes of a source file that its tests should notice."""

import ast
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}  # fmt: skip
_MAKERS_OF_TYPES = ("TypeVar", "NewType", "cast", "Literal", "Callable", "Union", "Annotated")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOGGING = re.compile(r"(logger\.|_?log_|warnings\.)")
_WITHOUT_BEHAVIOUR = ("annotation", "returns", "decorator_list", "bases")  # types, in most cases


@dataclass(frozen=True)
class Mutant:
    """Describe a change of one place in a file.

    Attributes:
        path: the file, below the root of the project.
        lines: the lines whose tests should notice.
        start: where the changed text begins, in bytes.
        end: where it ends.
        text: the replacement.
        names: of constants that are defined there; tests of their users should notice.
    """

    path: str
    lines: range
    start: int
    end: int
    text: str
    names: tuple[str, ...] = ()

    def applied(self, source: bytes) -> bytes:
        """Return the source with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    """Yield every mutant of a file, without those of types, docstrings, messages and logging."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    for statement, names in _statements(ast.parse(source).body, at_import=True):
        for node, text in _changes(statement):
            start = offsets[node.lineno - 1] + node.col_offset
            end = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            if source[start:end] != text.encode():
                yield Mutant(path, _lines(statement, node), start, end, text, names)


def constants_of(source: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a file defines at import, each with the text of its value."""
    for statement, names in _statements(ast.parse(source).body, at_import=True):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from ((name, ast.unparse(statement.value)) for name in names)


def _statements(body: list[ast.stmt], *, at_import: bool) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    """Yield the statements of a body and those in them, with the names that they define at import."""
    for statement in body:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            continue
        names: tuple[str, ...] = ()
        if at_import and isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = tuple(node.id for node in targets if isinstance(node, ast.Name))
        yield statement, names
        below = at_import and not isinstance(statement, _FUNCTIONS)
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []), at_import=below)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(part.body, at_import=below)


def _lines(statement: ast.stmt, node: ast.expr | ast.stmt) -> range:
    """Return the lines whose tests should notice: for a default, the lines of its function."""
    first = statement.body[0] if isinstance(statement, _FUNCTIONS) else node
    last = statement if isinstance(statement, _FUNCTIONS) else node
    return range(first.lineno, (last.end_lineno or last.lineno) + 1)


def _changes(statement: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield the parts of a statement itself to change, each with its replacement."""
    if _is_left_alone(statement):
        return
    match statement:
        case (
            ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete()
            | ast.Assign(targets=[ast.Attribute()]) | ast.AnnAssign(target=ast.Attribute(), value=ast.expr())
        ):  # fmt: skip
            yield statement, "pass"
        case ast.Return(value=value) if value is not None and not _is_falsy(value):
            yield statement, "return None"
        case ast.Break() | ast.Continue():
            yield statement, "continue" if isinstance(statement, ast.Break) else "break"
        case ast.If(test=test) | ast.While(test=test):
            yield test, f"(not ({ast.unparse(test)}))"
        case _:
            pass
    for node in _expressions(statement):
        if isinstance(node, ast.Constant):
            yield from ((node, repr(value)) for value in _other_values(node.value))
        else:
            yield from ((node, f"({changed})") for changed in _other_operations(node))


def _is_falsy(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


def _is_left_alone(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Expr(value=value):
            return isinstance(value, ast.Constant) or bool(_LOGGING.match(ast.unparse(value)))
        case _:
            return False


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions of a statement, without types, f-strings and inner statements."""
    for name, value in ast.iter_fields(node):
        if name in _WITHOUT_BEHAVIOUR:
            continue
        for child in value if isinstance(value, list) else [value]:
            match child:
                case ast.stmt() | ast.JoinedStr() | ast.ExceptHandler() | ast.match_case():
                    continue
                case ast.Call(func=head) | ast.Subscript(value=head) if ast.unparse(head) in _MAKERS_OF_TYPES:
                    continue
                case ast.expr():
                    yield child
                    yield from _expressions(child)
                case ast.AST():
                    yield from _expressions(child)
                case _:
                    pass


def _other_values(value: object) -> Iterator[object]:
    """Yield other values of a constant; text with a space is for people, and is not changed."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case str() if " " not in value:
            yield value + (value[:1] or "x")
        case bytes() if b" " not in value:
            yield value + (value[:1] or b"x")
        case _:
            pass


def _other_operations(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare(ops=ops):
            for at, operator in enumerate(ops):
                for other in _COMPARISONS[type(operator)]:
                    yield _with(node, lambda copy, at=at, other=other: copy.ops.__setitem__(at, other()))
        case ast.BoolOp(op=operator, values=values):
            swapped = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield _with(node, lambda copy: setattr(copy, "op", swapped))
            yield from (_with(node, lambda copy, at=at: copy.values.pop(at)) for at in range(len(values)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield ast.unparse(operand)
        case ast.BinOp(op=operator) if type(operator) in _ARITHMETIC:
            yield _with(node, lambda copy: setattr(copy, "op", _ARITHMETIC[type(copy.op)]()))
        case ast.IfExp():
            yield _with(node, lambda copy: setattr(copy, "test", ast.UnaryOp(ast.Not(), copy.test)))
        case ast.Call(keywords=keywords):
            yield from (_with(node, lambda copy, at=at: copy.keywords.pop(at)) for at in range(len(keywords)))
        case _:
            pass


def _with(node: ast.expr, change: Callable[..., object]) -> str:
    copy = deepcopy(node)
    change(copy)
    return ast.unparse(copy)
