"""Use fastapi-users as a service: its routers, its JWT strategy, and SQLAlchemy with aiosqlite."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.password import PasswordHelper
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HASHER = PasswordHelper()


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "user"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(String(320), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(1024))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_superuser: Mapped[bool] = mapped_column(default=False)
    is_verified: Mapped[bool] = mapped_column(default=True)


class Database(BaseUserDatabase[User, uuid.UUID]):
    """Define the two measured queries. Its package for SQLAlchemy does not work with 2.1 yet."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, id: uuid.UUID) -> User | None:  # noqa: A002 (fastapi-users calls it so)
        return await self.session.scalar(select(User).where(User.id == id))

    async def get_by_email(self, email: str) -> User | None:
        return await self.session.scalar(select(User).where(User.email == email))


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]): ...


def seed(url: str, email: str, password: str) -> None:
    """Create the tables, and one account."""

    async def make() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            await connection.run_sync(Base.metadata.create_all)
        async with async_sessionmaker(engine)() as session:
            session.add(User(email=email, hashed_password=HASHER.hash(password)))
            await session.commit()
        await engine.dispose()

    asyncio.run(make())


def build(url: str, secret: str) -> FastAPI:
    sessions = async_sessionmaker(create_async_engine(url), expire_on_commit=False)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as one:
            yield one

    async def database(one: Annotated[AsyncSession, Depends(session)]) -> AsyncIterator[Database]:
        yield Database(one)

    async def manager(users: Annotated[Database, Depends(database)]) -> AsyncIterator[Manager]:
        yield Manager(users, HASHER)

    def strategy() -> JWTStrategy[Any, uuid.UUID]:
        return JWTStrategy(secret, 3600)

    backend = AuthenticationBackend("jwt", BearerTransport("auth/login"), strategy)
    users = FastAPIUsers[User, uuid.UUID](manager, [backend])
    app = FastAPI(openapi_url=None)
    app.include_router(users.get_auth_router(backend), prefix="/auth")
    app.include_router(users.get_users_router(schemas.BaseUser, schemas.BaseUserUpdate), prefix="/users")
    return app
