"""Check the answers of a `user_loader`: one that is no user must let no request pass."""

from collections.abc import Callable, Iterator
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
# Attributes and items that are false for users who must not pass: those of Flask-Login, Starlette and Django.
_MAY_PASS = {"is_authenticated": "authenticated", "is_active": "active"}
# Attributes of classes that declare fields (dataclasses, Pydantic, SQLAlchemy, Django, peewee), and of users
# of Flask-Login. No context manager, future or response of a library that a loader calls has one.
_OF_MODELS = ("__dataclass_fields__", "__pydantic_fields__", "__mapper__", "_meta", "is_authenticated")
# Columns of Django and SQLAlchemy: reading one that is not loaded would ask the database.
_COLUMNS = frozenset({"DeferredAttribute", "InstrumentedAttribute"})
# Text of columns and of raw queries that is true; other text, such as "0", is false. MySQL's BIT is b"\1".
_TRUE_TEXT = frozenset({"1", "\1", "t", "true", "y", "yes", "on"})
_RIGHTS = ("subject", "issuer", "scopes", "roles", "tier")


_Kind: TypeAlias = Literal["user", "may be empty", "may be refused", "no user"]


@lru_cache(maxsize=256)
def _kind_of(kind: Any) -> _Kind:
    """Return the meaning of the values of a type."""
    if _is_no_user(kind):
        return "no user"
    if kind.__module__ in _BUILT_IN or issubclass(kind, Number):
        return "may be empty"
    has_state = _has_items(kind) or _own(kind, "__getattr__") is not None or bool(_attributes_of(kind))
    return "may be refused" if has_state or kind.__dictoffset__ != 0 else "user"


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
def _attributes_of(kind: Any) -> dict[str, bool]:
    """Return which attributes of `_MAY_PASS` the class itself has, and whether they are columns.

    A property of the application may ask a database all the same.
    """
    own = {name: _own(kind, name) for name in _MAY_PASS}
    return {name: type(value).__name__ in _COLUMNS for name, value in own.items() if value is not None}


@lru_cache(maxsize=256)
def _has_items(kind: Any) -> bool:
    """Return whether values of a type have items by name, as mappings and `sqlite3.Row` have."""
    return _has_method(kind, "keys") and _has_method(kind, "__getitem__")


def is_user(answer: object) -> bool:
    """Return whether the answer of a `user_loader` may be a user of the application."""
    kind = _kind_of(type(answer))  # type: ignore[arg-type]
    return kind != "no user" and (kind != "may be empty" or bool(answer))


def lacking(answer: Any) -> str:
    """Return the state that a user lacks, `authenticated` or `active`; empty if it may pass.

    A state that is None lacks, as in Flask-Login and Django: a row without a value does not say that the
    account is active.

    Raises:
        ConfigurationError: if a property of the user's class raises an exception, such as one of SQLAlchemy
            whose session is closed. The exception is its cause, so that an outage remains one. Also if the
            state is a method, or a column that is not loaded.
        RefusedError: if the property raises it.
    """
    for name, meaning in _MAY_PASS.items():
        try:
            is_true = all(value is True or _is_true(name, value, answer) for value in _values(answer, name))
        except (RefusedError, ConfigurationError):
            raise
        except Exception as error:
            unreadable = ConfigurationError(
                f"{name} of {type(answer).__name__} must be readable after user_loader has returned, got "
                f"{type(error).__name__}: load what it needs in user_loader"
            )
            note_source(unreadable, f"{name} of", type(answer))
            raise unreadable from error
        if not is_true:
            return meaning
    return ""


def _values(answer: Any, name: str) -> Iterator[object]:
    """Yield the values of a state: the attribute, and the item of a mapping or row; none without both."""
    kind: Any = type(answer)
    is_column = _attributes_of(kind).get(name)
    if is_column is None:
        # An attribute that `__init__` sets, a field of Pydantic, or one of a row or proxy with `__getattr__`.
        yield getattr(answer, name, True)
    elif is_column and name not in vars(answer):
        raise ConfigurationError(
            f"{name} of {kind.__name__} must be loaded when user_loader returns, got a column that is not: "
            f"read user.{name} in user_loader, after the last commit"
        )
    else:
        yield getattr(answer, name)
    if _has_items(kind) and name in answer.keys():  # noqa: SIM118 (a row contains values)
        yield answer[name]


def _is_true(name: str, value: object, answer: object) -> bool:
    if type(value) in UNANSWERED:
        raise _no_state(name, value, type(answer))
    if isinstance(value, (bytes, bytearray)):
        value = value.strip(b"\0").decode("latin-1")
    return value.lower() in _TRUE_TEXT if isinstance(value, str) else bool(value)


def _no_state(name: str, value: object, kind: type) -> ConfigurationError:
    """Return the error for a state that is a method, or the coroutine of an `async` property."""
    if isinstance(value, CoroutineType):
        value.close()  # otherwise Python warns that the coroutine was never awaited
    return ConfigurationError(
        f"{name} of {kind.__name__} must be a value or a property, got {got(value)}: write @property above "
        f"def {name}(self)"
    )


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
        return _may_pass if _has_items(kind) else bool
    if meaning == "user":
        return None
    is_plain = not (_attributes_of(kind) or _has_items(kind) or _own(kind, "__getattr__") is not None)
    return _may_pass_by_own if is_plain else _may_pass


def _is_undecided(answer: object) -> bool:
    """Return False, since an answer is no user, or a principal, which may be another one."""
    return False


def _may_pass(answer: Any) -> bool:
    """Return whether an answer is a user in a state that may pass."""
    try:
        return is_user(answer) and not lacking(answer)
    except Exception:  # noqa: BLE001 (the flow reads the attributes again, and refuses the request)
        return False


def _may_pass_by_own(answer: Any) -> bool:
    """Return whether a user may pass whose class has no state, in less time than `_may_pass`."""
    own = getattr(answer, "__dict__", None) or {}
    if own.get("is_active", True) is True and own.get("is_authenticated", True) is True:
        return True
    return _may_pass(answer)


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
