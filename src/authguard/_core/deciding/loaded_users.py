"""Check the answers of a `user_loader`: one that is no user must let no request pass."""

from collections.abc import Callable
from functools import lru_cache
from numbers import Number
from types import CoroutineType, EllipsisType, ModuleType, NoneType, NotImplementedType
from typing import Any, Literal, TypeAlias

from authguard._core.callbacks import UNANSWERED, is_awaitable_type, note_source
from authguard._core.model import Principal
from authguard._core.options import got
from authguard.errors import ConfigurationError, RefusedError

# Types that cannot be a user: None refuses the request, False may be meant as None, and a coroutine was not
# awaited. If their values counted as users, every caller would pass.
_NO_USERS = UNANSWERED | {NoneType, bool, NotImplementedType, EllipsisType, ModuleType}
# The truth values of NumPy, which are no `bool`.
_NUMPY_BOOLS = frozenset({("numpy", "bool"), ("numpy", "bool_")})
# An empty value of the types in these modules, such as `list`, `range` and `deque`, or the number 0, is the
# result of a query without a row, such as `.all()` or `.count()`, or the default of `get`.
_BUILT_IN = ("builtins", "collections")
# Methods of iterators, such as the result of a statement, which may be empty.
_OF_ITERATORS = ("__next__", "__anext__", "__aiter__")
# Attributes that are False for users who must not pass: those of Flask-Login, Starlette and Django.
_MAY_PASS = {"is_authenticated": "authenticated", "is_active": "active"}
# Attributes of classes that declare fields (dataclasses, Pydantic, SQLAlchemy, Django, peewee), and of users
# of Flask-Login. No context manager, future or response of a library that a loader calls has one.
_OF_MODELS = ("__dataclass_fields__", "__pydantic_fields__", "__mapper__", "_meta", "is_authenticated")
# Columns of Django and SQLAlchemy: reading one that is not loaded would ask the database.
_COLUMNS = frozenset({"DeferredAttribute", "InstrumentedAttribute"})
_RIGHTS = ("subject", "issuer", "scopes", "roles", "tier")


_Kind: TypeAlias = Literal["user", "may be empty", "may be refused", "no user"]


@lru_cache(maxsize=256)
def _kind_of(kind: Any) -> _Kind:
    """Return the meaning of the values of a type."""
    if _is_no_user(kind):
        return "no user"
    if kind.__module__ in _BUILT_IN or issubclass(kind, Number):
        return "may be empty"
    has_attributes = bool(_attributes_of(kind)) or kind.__dictoffset__ != 0
    return "may be refused" if has_attributes else "user"


def _is_no_user(kind: Any) -> bool:
    """Return whether no value of a type is a user, such as a class, an iterator or a query."""
    if kind in _NO_USERS or issubclass(kind, (type, BaseException)) or is_awaitable_type(kind):
        return True
    if (kind.__module__, kind.__name__) in _NUMPY_BOOLS:
        return True
    # A MagicMock, which a test may use as a user, has all methods of iterators and context managers.
    if kind.__module__ == "unittest.mock":
        return False
    return _is_iterator(kind) or bool(_remedy_of(kind)) or _is_query(kind)


def _own(kind: Any, name: str) -> Any:
    """Return the attribute of a class that its objects share; None if only its metaclass has one.

    Metaclasses of models, such as those of peewee and Pony, have methods of iterators and context managers.
    """
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _has_method(kind: Any, *names: str) -> bool:
    """Return whether objects of a class have one of these methods.

    Methods of the class itself do not count: models have some that make a query, such as `User.where(…)`.
    """
    methods = [_own(kind, name) for name in names]
    return any(callable(method) and not isinstance(method, (classmethod, staticmethod)) for method in methods)


def _is_iterator(kind: Any) -> bool:
    return _has_method(kind, *_OF_ITERATORS)


def _is_query(kind: Any) -> bool:
    """Return whether a type is a query, or a manager, whose truth is not that of its rows."""
    has_rows = _has_method(kind, "__iter__") and _has_method(kind, "first")
    return _has_method(kind, "filter", "where") and (has_rows or _has_method(kind, "compile", "get_queryset"))


def _remedy_of(kind: Any) -> str:
    """Return the remedy for a value that contains a user; empty for a value of another type."""
    if any(_own(kind, name) is not None for name in _OF_MODELS):
        return ""
    if _has_method(kind, "__exit__", "__aexit__"):  # of @contextmanager, a session or a file
        return "enter it by with, and return the user from it"
    if _has_method(kind, "add_done_callback"):  # of an executor
        return "return its result()"
    # of httpx, requests and others, which all have the text of the response, too
    if _has_method(kind, "raise_for_status") and _own(kind, "text") is not None:
        return "return a user from its content"
    return ""


@lru_cache(maxsize=256)
def _attributes_of(kind: Any) -> tuple[str, ...]:
    """Return which attributes of `_MAY_PASS` the class itself has, other than columns.

    A property of the application may ask a database all the same.
    """
    own = {name: _own(kind, name) for name in _MAY_PASS}
    return tuple(
        name for name, value in own.items() if value is not None and type(value).__name__ not in _COLUMNS
    )


def is_user(answer: object) -> bool:
    """Return whether the answer of a `user_loader` may be a user of the application."""
    kind = _kind_of(type(answer))  # type: ignore[arg-type]
    return kind != "no user" and (kind != "may be empty" or bool(answer))


def lacking(answer: Any) -> str:
    """Return the state that a user lacks, `authenticated` or `active`; empty if it may pass.

    Raises:
        ConfigurationError: if a property of the user's class raises an exception, such as one of SQLAlchemy
            whose session is closed. The exception is its cause, so that an outage remains one.
        RefusedError: if the property raises it.
    """
    for name in _attributes_of(type(answer)):  # type: ignore[arg-type]
        try:
            value = getattr(answer, name)
        except RefusedError:
            raise
        except Exception as error:
            unreadable = ConfigurationError(
                f"{name} of {type(answer).__name__} must be readable after user_loader has returned, got "
                f"{type(error).__name__}: load what it needs in user_loader"
            )
            note_source(unreadable, f"{name} of", type(answer))
            raise unreadable from error
        if value is False:
            return _MAY_PASS[name]
    # An attribute that `__init__` sets, a field of Pydantic, or the loaded value of a column.
    if own := getattr(answer, "__dict__", None):
        for name, meaning in _MAY_PASS.items():
            if name in own and own[name] is False:
                return meaning
    return ""


def differing(answer: object, principal: Principal) -> list[str]:
    """Return the names of the rights that a `user_loader` has changed, if it has returned another principal.

    Args:
        answer: the return value of the function.
        principal: the principal that it was called with.
    """
    if answer is principal or type(answer) is not Principal:
        return []
    return [name for name in _RIGHTS if getattr(answer, name) != getattr(principal, name)]


@lru_cache(maxsize=256)
def check_of(kind: Any) -> Callable[[Any], bool] | None:
    """Return the function that returns whether a value of a type is a user who may pass.

    If it returns False, the flow decides: it has the error for the value.

    Returns:
        None if all values of the type are such users.
    """
    meaning = _kind_of(kind)
    if meaning == "no user" or kind is Principal:
        return _is_undecided
    if meaning == "may be empty":
        return bool
    if meaning == "user":
        return None
    return _may_pass if _attributes_of(kind) else _may_pass_by_own


def _is_undecided(answer: object) -> bool:
    """Return False, since an answer is no user, or a principal, which may be another one."""
    return False


def _may_pass(answer: Any) -> bool:
    try:
        return not lacking(answer)
    except Exception:  # noqa: BLE001 (the flow reads the attributes again, and refuses the request)
        return False


def _may_pass_by_own(answer: Any) -> bool:
    """Return the same for an answer whose class has none of the attributes of `_MAY_PASS`, in less time."""
    own = getattr(answer, "__dict__", None) or {}
    return own.get("is_active") is not False and own.get("is_authenticated") is not False


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
    elif _is_query(kind) or _is_iterator(kind):
        remedy = f"return a user from it, such as its first row, or {remedy}"
    elif _remedy_of(kind):
        remedy = f"{_remedy_of(kind)}, or {remedy}"
    return ConfigurationError(f"user_loader must return a user, got {got(answer)}: {remedy}")
