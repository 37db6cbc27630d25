"""Invalid return values of a `user_loader`, none of which lets a request pass."""

import logging
from collections import Counter, UserDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import MagicMock, Mock

import httpx
import pydantic
import pytest
import sqlalchemy
from django.db.models import Manager, QuerySet
from sqlalchemy import orm
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool

from application_functions import TOKEN, WAITING, WAYS, Application, guard, refusal_of
from authguard._core.options import got
from support import bearer, claims


@WAYS
@WAITING
@pytest.mark.parametrize("answer", [False, True])
def test_yes_and_no_are_no_users(way: str, answer: bool, known: bool) -> None:
    """True or False instead of a user is a 500, with advice about the return value."""
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = answer
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    reason = f"user_loader must return a user, got {answer} (bool): return None to refuse the request"
    assert refusal.error.reason == reason


EMPTY: list[Any] = [[], (), {}, set(), frozenset(), "", b"", 0, 0.0]
EMPTY += [range(0), {}.values(), {}.items(), bytearray(), deque(), Counter(), Decimal(0), Fraction(0)]


@WAYS
@WAITING
@pytest.mark.parametrize("answer", EMPTY, ids=repr)
def test_a_query_without_a_row_is_no_user(way: str, answer: object, known: bool) -> None:
    """An empty result of a query is a 500, because its user is missing."""
    refusal = refusal_of(way, answer, known=known)
    assert refusal.status == 500
    assert refusal.error.reason == (
        f"user_loader must return a user, got {got(answer)}: return None to refuse the request"
    )


@WAYS
@pytest.mark.parametrize("answer", [["ann"], ("ann", 7), {"id": 7}, "ann", 7], ids=repr)
def test_another_built_in_value_may_be_a_user(way: str, answer: object) -> None:
    """Another built-in value, such as a row or a key, may be a user."""
    application = Application(way)
    application.user = {claims()["sub"]: answer}
    assert application.decide(guard(application), bearer(TOKEN)).user == answer


@WAYS
def test_a_user_of_the_application_may_be_false(way: str) -> None:
    """A user of an application's class may be false, because its truth has a meaning of its own."""
    application = Application(way)
    application.user = Basket()
    assert application.decide(guard(application), bearer(TOKEN)).user is application.user


class Basket:
    """Be a user with the length of an empty basket."""

    def __len__(self) -> int:
        return 0


@WAITING
def test_a_coroutine_that_was_not_awaited_is_no_user(known: bool) -> None:
    """A coroutine that was not awaited is a 500."""
    application = Application("async")
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = nobody()
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    reason = "user_loader must return a user, got coroutine: await it, or return None to refuse the request"
    assert refusal.error.reason == reason


async def nobody() -> None:
    """Return no user."""


class Table(DeclarativeBase):
    """Be the base of the tables."""


class Account(Table):
    """Be a user of SQLAlchemy."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)


class Item(UserDict[str, str]):
    """Be a user with the methods of a mapping."""

    def first(self) -> None:
        """Be a method that queries have, too."""


class Awaitable:
    """Be the query of a library that is awaited."""

    def __await__(self) -> Any:
        """Return the rows."""
        return iter(())


class Cursor:
    """Be a cursor that is read by `async for`."""

    def __aiter__(self) -> "Cursor":
        return self

    async def __anext__(self) -> None:
        raise StopAsyncIteration


@pytest.fixture(scope="module", name="session")
def _session() -> Iterator[orm.Session]:
    """Yield a session of a database with an empty table."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    Table.metadata.create_all(engine)
    with orm.Session(engine) as session:
        yield session
    engine.dispose()


def _query_of_django(_: orm.Session) -> Any:
    rows: Any = QuerySet(query=object())
    rows._result_cache = []
    return rows


# The returned value if the call that reads a row is forgotten.
FORGETFUL: dict[str, Callable[[orm.Session], Any]] = {
    "select(Account)": lambda session: sqlalchemy.select(Account),
    "session.query(Account)": lambda session: session.query(Account),
    "session.execute(…)": lambda session: session.execute(sqlalchemy.select(Account)),
    "session.scalars(…)": lambda session: session.scalars(sqlalchemy.select(Account)),
    "session.execute(…).mappings()": lambda session: session.execute(sqlalchemy.select(Account)).mappings(),
    "Account.objects.filter(…)": _query_of_django,
    "an iterator": lambda session: iter([Account(id=1)]),
    "a cursor": lambda session: Cursor(),
}


@WAYS
@WAITING
@pytest.mark.parametrize("result", FORGETFUL.values(), ids=FORGETFUL)
def test_a_result_whose_row_was_not_read_is_no_user(
    way: str, result: Callable[[orm.Session], Any], known: bool, session: orm.Session
) -> None:
    """A query or its result is a 500 with advice, because it says nothing about a user."""
    answer = result(session)
    refusal = refusal_of(way, answer, known=known)
    assert refusal.status == 500
    kind, advice = type(answer).__name__, "return a user from it, such as its first row"
    assert refusal.error.reason == (
        f"user_loader must return a user, got {kind}: {advice}, or return None to refuse the request"
    )


@WAITING
def test_an_awaitable_that_an_async_function_returns_is_no_user(known: bool) -> None:
    """A future, or another object to await, is a 500, as a coroutine is."""
    application = Application("async")
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = Awaitable()
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    reason = "user_loader must return a user, got Awaitable: await it, or return None to refuse the request"
    assert refusal.error.reason == reason


@contextmanager
def entered() -> Iterator[Account]:
    """Yield a user."""
    yield Account(id=1)


@asynccontextmanager
async def entered_in_a_loop() -> AsyncIterator[Account]:
    """Yield a user."""
    yield Account(id=1)


# Values that only contain a user, or stand for a missing user, with the advice of the error.
NO_USERS: dict[str, tuple[Callable[[], Any], str]] = {
    "a future of an executor": (Future, "return its result(), or "),
    "a context manager": (entered, "enter it by with, and return the user from it, or "),
    "an async context manager": (entered_in_a_loop, "enter it by with, and return the user from it, or "),
    "a session": (orm.Session, "enter it by with, and return the user from it, or "),
    "a file": (StringIO, "return a user from it, such as its first row, or "),
    "a response": (lambda: httpx.Response(404), "return a user from its content, or "),
    "NotImplemented": (lambda: NotImplemented, ""),
    "an ellipsis": (lambda: ..., ""),
    "a module": (lambda: pytest, ""),
    "a truth value of NumPy": (type("bool_", (), {"__module__": "numpy"}), ""),
    "Account.objects": (Manager, "return a user from it, such as its first row, or "),
}


@WAYS
@WAITING
@pytest.mark.parametrize(("result", "advice"), NO_USERS.values(), ids=NO_USERS)
def test_a_value_that_only_leads_to_a_user_is_no_user(
    way: str, result: Callable[[], Any], advice: str, known: bool
) -> None:
    """A value that only leads to a user is a 500 with advice, because the user may not exist."""
    answer = result()
    refusal = refusal_of(way, answer, known=known)
    assert refusal.status == 500
    kind = type(answer).__name__
    reason = f"user_loader must return a user, got {kind}: {advice}return None to refuse the request"
    assert refusal.error.reason == reason


def test_an_exception_that_is_returned_is_no_user() -> None:
    """An exception that is returned instead of raised is a 500."""
    application = Application()
    own_guard = guard(application, user_loader=lambda principal: ValueError("no such user"))
    refusal = application.decide(own_guard, bearer(TOKEN)).refusal
    assert refusal.status == 500
    assert refusal.error.reason == (
        "user_loader must return a user, got ValueError: return None to refuse the request"
    )


@WAYS
@pytest.mark.parametrize(
    "user", [Account(id=1), Item(name="Ann"), Mock(), MagicMock(), SimpleNamespace(first="Ann", filter="x")]
)
def test_an_object_of_another_class_is_a_user(way: str, user: Any) -> None:
    """A model, a mapping, and the mock of a test are users."""
    application = Application(way)
    application.user = {claims()["sub"]: user}
    assert application.decide(guard(application), bearer(TOKEN)).user is user


class ActiveRecord(pydantic.BaseModel):
    """Be a user of Pydantic, whose class makes queries."""

    name: str = "Ann"

    @classmethod
    def where(cls, name: str) -> list[str]:
        """Return the users of a name."""
        return [name]

    @staticmethod
    def filter(name: str) -> list[str]:
        """Return the users of a name."""
        return [name]

    @classmethod
    def first(cls) -> None:
        """Return the first user."""


class MetaModel(type):
    """Be the class of models that are iterated over, entered and awaited, as those of peewee and Pony."""

    def __iter__(cls) -> Iterator[str]:
        return iter(())

    def __next__(cls) -> str:
        return "Ann"

    def __aiter__(cls) -> Any:
        return cls

    def __enter__(cls) -> None:
        """Begin."""

    def __exit__(cls, *error: object) -> None:
        """End."""

    def raise_for_status(cls) -> None:
        """Do nothing."""

    def add_done_callback(cls) -> None:
        """Do nothing."""


class Row(metaclass=MetaModel):
    """Be a user of such a model."""

    def filter(self) -> None:
        """Be a method that queries have, too."""

    def first(self) -> None:
        """Be a method that queries have, too."""


class Sponsor:
    """Be a user with a method that responses have, too."""

    def raise_for_status(self) -> None:
        """Raise an error if the membership has ended."""


@dataclass
class Tenant:
    """Be a user that can be entered."""

    name: str = "Ann"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End."""


class Impersonated(Tenant):
    """Be a user of Flask-Login that can be entered."""

    is_authenticated = True


class Repeatable:
    """Be a user whose class says that it cannot be iterated over."""

    __iter__ = None
    filter = first = lambda self: None


@WAYS
@WAITING
@pytest.mark.parametrize("make", [ActiveRecord, Row, Sponsor, Tenant, Impersonated, Repeatable])
def test_an_object_that_resembles_a_query_is_a_user(way: str, make: Callable[[], Any], known: bool) -> None:
    """Methods of the class itself and of its metaclass, and single methods of responses, make no query."""
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = {claims()["sub"]: make()}
    assert application.decide(own_guard, bearer(TOKEN)).user is application.user[claims()["sub"]]


CHANGES: dict[str, dict[str, Any]] = {
    "subject": {"subject": "other"},
    "scopes": {"scopes": ["admin"]},
    "roles": {"roles": ["admin"]},
    "tier": {"tier": "gold"},
}


@WAYS
@WAITING
@pytest.mark.parametrize("name", CHANGES)
def test_a_principal_with_other_rights_is_a_warning(
    way: str, name: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A principal with other rights is a warning once, because rules do not read it."""
    application = Application(way)
    own_guard = guard(application)
    principal = application.decide(own_guard, bearer(TOKEN)).auth.principal
    if not known:
        own_guard = guard(application)
    application.user = {claims()["sub"]: replace(principal, **CHANGES[name])}
    with caplog.at_level(logging.WARNING, "authguard"):
        users = [application.decide(own_guard, bearer(TOKEN)).user for _ in range(3)]
    assert users == [application.user[principal.subject]] * 3
    (line,) = caplog.messages
    assert f"user_loader returned a Principal with other {name}, which rules and requires do not read" in line


@WAYS
def test_the_same_principal_is_no_warning(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same principal, or one with other claims, gives no warning."""
    application = Application(way)
    own_guard = guard(application)
    principal = application.decide(own_guard, bearer(TOKEN)).auth.principal
    for user in (principal, replace(principal, claims={"name": "Ann"})):
        application.user = {claims()["sub"]: user}
        assert application.decide(own_guard, bearer(TOKEN)).user is user
    assert caplog.messages == []
