"""List the paths that a regular expression of `re_path` matches, with parameters in the form of `path`."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice, product
from typing import Any

_parse: Any = import_module("re._parser").parse  # the standard library's parser, which has no public name

_MAX_PATHS = 20  # of one expression
_ANYTHING, _ONE_SEGMENT = "<path:any>", "<any>"
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_SLASH = ord("/")
_AT_START, _AT_END = ("AT_BEGINNING", "AT_BEGINNING_STRING"), ("AT_END", "AT_END_STRING")


def paths_of(regex: str, *, is_endpoint: bool) -> list[str]:
    """Return the paths of an expression, without optional parts first.

    Args:
        regex: the expression.
        is_endpoint: whether it is the end of the whole path, and not that of an `include`.

    Raises:
        ValueError: if the expression cannot be read in this way.
    """
    nodes = list(_parse(regex))
    starts = bool(nodes) and str(nodes[0][1]) in _AT_START
    ends = bool(nodes) and str(nodes[-1][1]) in _AT_END
    # Django compares the whole path only with an expression that ends in `$`.
    before = "" if starts or (is_endpoint and regex.endswith("$")) else _ANYTHING
    after = "" if ends or not is_endpoint else _ANYTHING
    paths = list(islice(_texts(nodes), _MAX_PATHS + 1))
    if len(paths) > _MAX_PATHS:
        raise ValueError("the expression has too many alternatives")
    return [before + path + after for path in paths]


def _texts(nodes: Sequence[Any]) -> Iterator[str]:
    for parts in product(*(_alternatives(str(op), value) for op, value in nodes)):
        yield "".join(parts)


def _alternatives(op: str, value: Any) -> list[str]:
    """Return the texts of a part of an expression; a parameter for each other part."""
    if op == "LITERAL":
        return [chr(value)]
    if op == "AT":
        return [""]
    if op in _REPEATS and value[:2] == (0, 1):
        return ["", *islice(_texts(value[2]), _MAX_PATHS)]
    if op == "BRANCH":
        return [text for branch in value[1] for text in islice(_texts(branch), _MAX_PATHS)]
    if op == "SUBPATTERN":
        return list(islice(_texts(value[3]), _MAX_PATHS))
    if op in ("ANY", "IN", "NOT_LITERAL", *_REPEATS):
        return [_ANYTHING if _may_be_slash(op, value) else _ONE_SEGMENT]
    raise ValueError(f"the expression has a part that is not read: {op}")


def _may_have_slash(nodes: Sequence[Any]) -> bool:
    return any(_may_be_slash(str(op), value) for op, value in nodes)


def _may_be_slash(op: str, value: Any) -> bool:
    match op:
        case "LITERAL" | "NOT_LITERAL":
            may = (value == _SLASH) is (op == "LITERAL")
        case "RANGE":
            may = value[0] <= _SLASH <= value[1]
        case "CATEGORY":
            may = "_NOT_" in str(value)  # such as \D
        case "IN":
            is_negated = str(value[0][0]) == "NEGATE"
            may = _may_have_slash(value[is_negated:]) is not is_negated
        case "BRANCH":
            may = any(map(_may_have_slash, value[1]))
        case "SUBPATTERN" | "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            may = _may_have_slash(value[-1])
        case _:
            may = op not in ("AT", "NEGATE")
    return may
