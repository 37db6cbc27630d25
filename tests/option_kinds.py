"""Define the kinds of options, and usual values of a wrong type for each."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any, NamedTuple

HOUR = timedelta(hours=1)
HUGE = 10**400  # too large for a float
#: Values of the wrong type for each kind of option; `kinds` below names the excluded values.
EMPTY: list[Any] = []
NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, MAPPING, FUNCTION, BYTES = (
    None, True, nan, "5", 5, [5], {"a": 5}, len, b"5",
)  # fmt: skip
#: Lists whose elements are of a wrong type, or have white space around them, as from text split at commas.
ELEMENTS: list[Any] = [[b"a"], [["a"]], [{"a": 5}], [True]]
SPACED: list[Any] = [[" a"], ["a\n"]]
WRONG: dict[str, list[Any]] = {
    "text": [NOTHING, FLAG, NAN, NUMBER, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR],
    "text or function": [FLAG, NAN, NUMBER, LIST, EMPTY, MAPPING, BYTES, HOUR],
    "number": [NOTHING, FLAG, NAN, TEXT, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR, inf, -1, 1.5],
    "seconds": [
        NOTHING,
        FLAG,
        NAN,
        TEXT,
        LIST,
        EMPTY,
        MAPPING,
        FUNCTION,
        BYTES,
        timedelta(-1),
        timedelta,
        HUGE,
    ],
    "any seconds": [NOTHING, FLAG, NAN, TEXT, LIST, EMPTY, MAPPING, FUNCTION, BYTES, timedelta, HUGE],
    "moment": [
        NOTHING,
        FLAG,
        NAN,
        TEXT,
        LIST,
        EMPTY,
        MAPPING,
        FUNCTION,
        BYTES,
        HOUR,
        -1,
        datetime(2026, 1, 1),
    ],
    "flag": [NOTHING, NAN, TEXT, 1, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR],
    "any list": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, MAPPING, FUNCTION, BYTES, HOUR, *ELEMENTS],
    "list": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, MAPPING, FUNCTION, BYTES, HOUR, *ELEMENTS, *SPACED],
    "texts": [FLAG, NAN, NUMBER, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR, *ELEMENTS, *SPACED],
    "object": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR],
    "function": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, EMPTY, MAPPING, BYTES, HOUR],
    "mapping": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, FUNCTION, BYTES, HOUR],
    "mapping or function": [NOTHING, FLAG, NAN, TEXT, NUMBER, LIST, BYTES, HOUR],
    "path": [NOTHING, FLAG, NAN, NUMBER, LIST, EMPTY, MAPPING, FUNCTION, BYTES, HOUR],
    "keys": [NOTHING, FLAG, NAN, NUMBER, LIST, EMPTY, MAPPING, FUNCTION, HOUR],
}


class Built(NamedTuple):
    """Describe a public class or function.

    Attributes:
        target: the class or function.
        good: valid arguments.
        kinds: of each option, such as `text`; with `?`, None is allowed.
        exempt: options that take anything, or whose other values are checked elsewhere.
    """

    target: Callable[..., Any]
    good: dict[str, Any]
    kinds: dict[str, str]
    exempt: frozenset[str] = frozenset()


def rows(kind: str, names: str) -> dict[str, str]:
    """Return the kind of each of the names."""
    return dict.fromkeys(names.split(), kind)
