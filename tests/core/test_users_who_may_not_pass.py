"""Users of a `user_loader` who say of themselves that they must not pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.authentication import UnauthenticatedUser

from application_functions import TOKEN, WAITING, WAYS, Application, guard, refusal_of
from authguard import ANONYMOUS
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
    "a method": type("WithMethod", (), {"is_active": lambda self, now: False})(),
    "unknown": SimpleNamespace(is_active=None),
}


@WAYS
@pytest.mark.parametrize("user", ACTIVE.values(), ids=ACTIVE)
def test_a_user_who_is_active(way: str, user: Any) -> None:
    """A user passes whose `is_active` is not False, also when the caller is known."""
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
    """A column that is not loaded stays so, because the event loop must not ask the database."""
    session.merge(Member(id=1, is_active=True))
    session.commit()
    member = session.get(Member, 1)
    session.expire(member)
    application = Application(way)
    own_guard = guard(application)
    if known:
        application.decide(own_guard, bearer(TOKEN))
    application.user = {claims()["sub"]: member}
    assert application.decide(own_guard, bearer(TOKEN)).user is member
    assert "is_active" in sqlalchemy.inspect(member).unloaded
