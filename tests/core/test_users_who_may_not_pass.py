"""Users of a `user_loader` who say of themselves that they must not pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock, create_autospec

import pydantic
import pytest
import sqlalchemy
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import SimpleLazyObject
from sqlalchemy import ForeignKey, orm
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.authentication import UnauthenticatedUser

from application_functions import TOKEN, WAITING, WAYS, Application, guard, refusal_of
from authguard import ANONYMOUS
from authguard.errors import RevokedTokenError
from support import bearer, claims


class Inactive:
    """Be a user as those of Flask-Login, who is not authenticated if the account is inactive."""

    def __init__(self, active: bool = False) -> None:
        self.active = active

    @property
    def is_authenticated(self) -> bool:
        """Return whether the account is active."""
        return self.active


@WAYS
@WAITING
@pytest.mark.parametrize("user", [Inactive(), ANONYMOUS, UnauthenticatedUser()])
def test_a_user_who_is_not_authenticated(way: str, user: Any, known: bool) -> None:
    """A user who is not authenticated, as frameworks have it for anonymous callers, is refused like None."""
    refusal = refusal_of(way, user, known=known)
    assert refusal.status == 401
    assert refusal.error.reason == "user_loader returned a user who is not authenticated"


@WAYS
def test_a_user_who_is_authenticated(way: str) -> None:
    """A user who is authenticated passes, also when the caller is known."""
    application = Application(way)
    own_guard = guard(application)
    application.user = {claims()["sub"]: Inactive(active=True)}
    for _ in range(2):
        assert application.decide(own_guard, bearer(TOKEN)).user.active


class Deactivated:
    """Be a user that the attribute of the instance says to be inactive."""

    def __init__(self) -> None:
        self.is_active = False


@dataclass(slots=True)
class Slotted:
    """Be a user without a dictionary."""

    is_active: bool


class Validated(pydantic.BaseModel):
    """Be a user of Pydantic."""

    is_active: bool


class Extended(pydantic.BaseModel, extra="allow"):
    """Be a user of Pydantic with further members."""


class Columns(NamedTuple):
    """Be a row of two columns."""

    id: int
    is_active: int


def sqlite_row(query: str) -> sqlite3.Row:
    """Return the only row of a query of `sqlite3`."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        row: sqlite3.Row = connection.execute(query).fetchone()
        return row


def sqlalchemy_row(query: str) -> sqlalchemy.Row[Any]:
    """Return the only row of a query of SQLAlchemy."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text(query)).one()
    engine.dispose()
    return row


class Table(DeclarativeBase):
    """Be the base of the tables."""


class Member(Table):
    """Be a user of SQLAlchemy that may be inactive."""

    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    is_active: Mapped[bool]


INACTIVE: dict[str, Any] = {
    "plain": Deactivated(),
    "slots": Slotted(is_active=False),
    "Pydantic": Validated(is_active=False),
    "SQLAlchemy": Member(id=1, is_active=False),
    "a property": type("WithProperty", (), {"is_active": property(lambda self: False)})(),
    "a class": type("Closed", (), {"is_active": False})(),
    "0": SimpleNamespace(is_active=0),
    "a BIT of MySQL": SimpleNamespace(is_active=b"\0"),
    "text of 0": SimpleNamespace(is_active="0"),
    "text of false": SimpleNamespace(is_active="False"),
    "empty": SimpleNamespace(is_active=""),
    "None": SimpleNamespace(is_active=None),
    "a mapping": {"id": 1, "is_active": False},
    "a mapping with attributes": type("Document", (dict,), {"is_active": True})(is_active=0),
    "a row of sqlite3": sqlite_row("SELECT 1 AS id, 0 AS is_active"),
    "a row of SQLAlchemy": sqlalchemy_row("SELECT 1 AS id, 0 AS is_active"),
    "a mapping of SQLAlchemy": sqlalchemy_row("SELECT 1 AS id, 0 AS is_active")._mapping,
    "a named tuple": Columns(1, 0),
    "a lazy object": SimpleLazyObject(Deactivated),
    "a mock": MagicMock(is_active=False),
    "an extra of Pydantic": Extended(is_active=False),
}


@WAYS
@WAITING
@pytest.mark.parametrize("user", INACTIVE.values(), ids=INACTIVE)
def test_a_user_who_is_not_active(way: str, user: Any, known: bool) -> None:
    """A user whose account is inactive is refused like None, as Django's own backends do."""
    refusal = refusal_of(way, user, known=known)
    assert refusal.status == 401
    assert refusal.error.reason == "user_loader returned a user who is not active"


ACTIVE: dict[str, Any] = {
    "plain": SimpleNamespace(is_active=True),
    "slots": Slotted(is_active=True),
    "1": SimpleNamespace(is_active=1),
    "a BIT of MySQL": SimpleNamespace(is_active=b"\1"),
    "text": SimpleNamespace(is_active="True", is_authenticated="1"),
    "a mapping": {"id": 1, "is_active": 1},
    "a mapping without it": {"id": 1},
    "a row of sqlite3": sqlite_row("SELECT 1 AS id, 1 AS is_active"),
    "a row of sqlite3 without it": sqlite_row("SELECT 'is_active' AS name"),
    "a row of SQLAlchemy": sqlalchemy_row("SELECT 1 AS id, 1 AS is_active"),
    "a row of SQLAlchemy without it": sqlalchemy_row("SELECT 1 AS id"),
    "a named tuple": Columns(1, 1),
    "a lazy object": SimpleLazyObject(SimpleNamespace),
    "a mock": MagicMock(),
    "a mock of a class": create_autospec(Deactivated, instance=True),
    "Pydantic": Validated(is_active=True),
    "Pydantic without it": Extended(),
    "SQLAlchemy": Member(id=1, is_active=True),
    "slots without it": type("Bare", (), {"__slots__": ("id",)})(),
}


@WAYS
@pytest.mark.parametrize("user", ACTIVE.values(), ids=ACTIVE)
def test_a_user_who_is_active(way: str, user: Any) -> None:
    """A user passes whose `is_active` is absent or true, also when the caller is known."""
    application = Application(way)
    own_guard = guard(application)
    application.user = {claims()["sub"]: user}
    for _ in range(2):
        assert application.decide(own_guard, bearer(TOKEN)).user is user


@pytest.fixture(scope="module", name="session")
def _session() -> Iterator[orm.Session]:
    """Yield a session of a database with an empty table."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    Table.metadata.create_all(engine)
    with orm.Session(engine) as session:
        yield session
    engine.dispose()


@WAYS
@WAITING
def test_a_column_that_is_not_loaded_is_not_read(way: str, known: bool, session: orm.Session) -> None:
    """A column that is not loaded is a 500, because the event loop must not ask the database."""
    session.merge(Member(id=1, is_active=True))
    session.commit()
    member = session.get_one(Member, 1)
    session.expire(member)
    refusal = refusal_of(way, member, known=known)
    assert refusal.status == 500
    assert refusal.error.reason == (
        "is_active of Member must be loaded when user_loader returns, got a column that is not: read "
        "user.is_active in user_loader, after the last commit"
    )
    assert "is_active" in sqlalchemy.inspect(member).unloaded


async def _not_awaited(user: object) -> bool:
    return False


METHODS: dict[str, tuple[Any, str]] = {
    "a method": (type("User", (), {"is_active": lambda self: False})(), "method"),
    "a static method": (type("User", (), {"is_active": staticmethod(lambda: False)})(), "function"),
    "an async property": (type("User", (), {"is_active": property(_not_awaited)})(), "coroutine"),
}


@WAYS
@WAITING
@pytest.mark.parametrize("name", METHODS)
def test_a_state_that_is_a_method(way: str, name: str, known: bool) -> None:
    """A state that must be called is a 500, because a method is true."""
    user, kind = METHODS[name]
    refusal = refusal_of(way, user, known=known)
    assert refusal.status == 500
    assert refusal.error.reason == (
        f"is_active of User must be a value or a property, got {kind}: write @property above def "
        "is_active(self)"
    )


def unreadable(name: str, error: Exception) -> Any:
    """Return a user whose property raises."""

    def read(self: object) -> bool:
        raise error

    return type("Unreadable", (), {name: property(read)})()


UNREADABLE: dict[str, tuple[Any, str]] = {
    "is_active": (unreadable("is_active", orm.exc.DetachedInstanceError("of x9x9")), "DetachedInstanceError"),
    "is_authenticated": (unreadable("is_authenticated", AttributeError("of x9x9")), "AttributeError"),
    "async Django": (
        unreadable("is_active", SynchronousOnlyOperation("of x9x9")),
        "SynchronousOnlyOperation",
    ),
}


@WAYS
@WAITING
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_user_whose_state_cannot_be_read(way: str, name: str, known: bool) -> None:
    """An exception of a property is a 500 that names it and the remedy, and no text of the exception."""
    user, kind = UNREADABLE[name]
    refusal = refusal_of(way, user, known=known)
    attribute = "is_authenticated" if name == "is_authenticated" else "is_active"
    assert refusal.status == 500
    assert refusal.error.reason == (
        f"{attribute} of Unreadable must be readable after user_loader has returned, got {kind}: load what "
        "it needs in user_loader"
    )
    assert type(refusal.error.__cause__.__cause__).__name__ == kind  # the log shows its traceback


@WAYS
@WAITING
@pytest.mark.parametrize(
    "outage",
    [
        ConnectionRefusedError(),
        sqlalchemy.exc.OperationalError("s", {}, OSError(), connection_invalidated=True),
    ],
)
def test_an_outage_while_the_state_is_read(way: str, known: bool, outage: Exception) -> None:
    """An outage of the database that a property asks is a 503, as one of the function itself is."""
    refusal = refusal_of(way, unreadable("is_active", outage), known=known)
    assert refusal.status == 503
    assert "is_active of" in refusal.error.reason and "Unreadable raised" in refusal.error.reason


@WAYS
@WAITING
def test_a_property_that_refuses_the_request(way: str, known: bool) -> None:
    """A refusal that a property raises is that of the request."""
    refusal = refusal_of(way, unreadable("is_active", RevokedTokenError("locked")), known=known)
    assert (refusal.status, refusal.error.reason) == (401, "locked")


class Company(Table):
    """Be the company of a user."""

    __tablename__ = "companies"
    id: Mapped[int] = mapped_column(primary_key=True)
    enabled: Mapped[bool]


class Employee(Table):
    """Be a user who is active if the company is."""

    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("companies.id"))
    company: Mapped[Company] = orm.relationship()

    @property
    def is_active(self) -> bool:
        """Return whether the company is enabled."""
        return self.company.enabled


@WAYS
@WAITING
@pytest.mark.parametrize(
    ("is_loaded", "enabled", "status"), [(True, True, 0), (True, False, 401), (False, True, 500)]
)
def test_a_property_that_needs_a_relationship(
    way: str, known: bool, is_loaded: bool, enabled: bool, status: int, session: orm.Session
) -> None:
    """A property that needs a relationship is read if the function has loaded it, and otherwise a 500."""
    session.merge(Company(id=1, enabled=enabled))
    session.merge(Employee(id=1, company_id=1))
    session.commit()
    session.expunge_all()
    employee = session.get_one(Employee, 1)
    if is_loaded:
        assert employee.company.id == 1
    session.expunge_all()
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = {claims()["sub"]: employee}
    decision = application.decide(own_guard, bearer(TOKEN))
    if status:
        assert decision.refusal.status == status
    else:
        assert decision.user is employee
    if status == 500:
        assert "is_active of Employee must be readable" in decision.refusal.error.reason
        assert "got DetachedInstanceError" in decision.refusal.error.reason
