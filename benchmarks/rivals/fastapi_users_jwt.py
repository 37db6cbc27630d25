"""Use fastapi-users: `current_user` with its JWT strategy; users are in memory, for a fair comparison."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase

from benchmarks.apps import Contestant, fastapi
from benchmarks.tokens import AUDIENCE, SUBJECT, Issuer

USERS = {
    int(SUBJECT): SimpleNamespace(id=int(SUBJECT), email="ada@example.com", is_active=True, is_verified=True, is_superuser=False)
}  # fmt: skip


class Database(BaseUserDatabase[Any, int]):
    async def get(self, id: int) -> Any:  # noqa: A002 (fastapi-users calls it so)
        return USERS.get(id)


class Manager(IntegerIDMixin, BaseUserManager[Any, int]): ...


async def manager() -> AsyncIterator[Manager]:
    yield Manager(Database())


def build(issuer: Issuer) -> FastAPI:
    def strategy() -> JWTStrategy[Any, int]:
        public = None if issuer.algorithm == "HS256" else issuer.verification
        return JWTStrategy(issuer.verification, 3600, [AUDIENCE], issuer.algorithm, public)

    backend = AuthenticationBackend("jwt", BearerTransport("login"), strategy)
    current_user = FastAPIUsers[Any, int](manager, [backend]).current_user(active=True)
    app = FastAPI(openapi_url=None)

    @app.get("/p")
    async def operation(user: Annotated[Any, Depends(current_user)]) -> dict[str, bool]:
        return {"ok": True}

    return app


RIVAL = Contestant(
    "fastapi-users current_user", "fastapi-users", fastapi, build, algorithms=("HS256", "RS256"),
    unchecked=("wrong issuer",),
)  # fmt: skip
