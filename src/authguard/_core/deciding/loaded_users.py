"""Check the answers of a `user_loader`: one that is no user must let no request pass."""

from functools import lru_cache
from types import CoroutineType, NoneType
from typing import Any, Literal, TypeAlias

from authguard._core.callbacks import UNANSWERED, is_awaitable_type
from authguard._core.model import Principal
from authguard._core.options import got
from authguard.errors import ConfigurationError

# Types that cannot be a user: None refuses the request, False may be meant as None, and a coroutine was not
# awaited. If their values counted as users, every caller would pass.
_NO_USERS = UNANSWERED | {NoneType, bool}
# An empty value of these types is the result of a query without a row, such as `.all()` or `.count()`, or the
# default of `get`.
_EMPTY_USERS = frozenset({list, tuple, dict, set, frozenset, str, bytes, int, float})
# Methods of iterators, such as the result of a statement, which may be empty.
_OF_ITERATORS = ("__next__", "__anext__", "__aiter__")
_RIGHTS = ("subject", "issuer", "scopes", "roles", "tier")


_Kind: TypeAlias = Literal["user", "may be empty", "principal", "may be anonymous", "no user"]


@lru_cache(maxsize=256)
def _kind_of(kind: Any) -> _Kind:
    """Return the meaning of the values of a type."""
    if kind in _EMPTY_USERS:
        return "may be empty"
    if kind is Principal:
        return "principal"
    if _is_no_user(kind):
        return "no user"
    # As the users of Flask-Login, Starlette and Django have it.
    return "may be anonymous" if hasattr(kind, "is_authenticated") else "user"


def _is_no_user(kind: Any) -> bool:
    """Return whether no value of a type is a user, such as a class, an iterator or a query."""
    if kind in _NO_USERS or issubclass(kind, type) or is_awaitable_type(kind):
        return True
    # A MagicMock, which a test may use as a user, has all methods of iterators.
    if any(hasattr(kind, name) for name in _OF_ITERATORS) and kind.__module__ != "unittest.mock":
        return True
    # The queries of SQLAlchemy, Django and similar libraries, whose truth is not that of their rows.
    filters = any(callable(getattr(kind, name, None)) for name in ("filter", "where"))
    has_rows = hasattr(kind, "__iter__") and callable(getattr(kind, "first", None))
    return filters and (has_rows or callable(getattr(kind, "compile", None)))


@lru_cache(maxsize=256)
def is_doubtful(kind: Any) -> bool:
    """Return whether a type has values that are no user, or a mistake; all values of others are users."""
    return _kind_of(kind) != "user"


def is_user(answer: object) -> bool:
    """Return whether the answer of a `user_loader` may be a user of the application."""
    kind = _kind_of(type(answer))  # type: ignore[arg-type]
    return kind != "no user" and (kind != "may be empty" or bool(answer))


def is_anonymous(answer: Any) -> bool:
    """Return whether a user says of itself that it is not authenticated."""
    kind = _kind_of(type(answer))  # type: ignore[arg-type]
    return kind in {"principal", "may be anonymous"} and answer.is_authenticated is False


def differing(answer: object, principal: Principal) -> list[str]:
    """Return the names of the rights that a `user_loader` has changed, if it has returned another principal.

    Args:
        answer: the return value of the function.
        principal: the principal that it was called with.
    """
    if answer is principal or type(answer) is not Principal:
        return []
    return [name for name in _RIGHTS if getattr(answer, name) != getattr(principal, name)]


def is_plain_user(answer: Any) -> bool:
    """Return whether an answer is a user, but neither anonymous nor a principal, which may be another one."""
    kind = _kind_of(type(answer))  # type: ignore[arg-type]
    if kind == "may be empty":
        return bool(answer)
    return kind == "user" or (kind == "may be anonymous" and answer.is_authenticated is not False)


def no_user(answer: object) -> ConfigurationError:
    """Return the error for an answer that is no user, and close a coroutine that was not awaited."""
    remedy = "return None to refuse the request"
    if isinstance(answer, CoroutineType):
        answer.close()  # otherwise Python warns that the coroutine was never awaited
    kind: Any = type(answer)
    if is_awaitable_type(kind):
        remedy = f"await it, or {remedy}"
    elif isinstance(answer, type):
        remedy = f"call it, or {remedy}"
    elif kind not in _NO_USERS | _EMPTY_USERS:
        remedy = f"return a user from it, such as its first row, or {remedy}"
    return ConfigurationError(f"user_loader must return a user, got {got(answer)}: {remedy}")
