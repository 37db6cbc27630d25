"""Define a usual FastAPI application: nested routers, classes, generators, tasks, and a mounted part."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    File,
    Form,
    HTTPException,
    Query,
    Request,
    WebSocket,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from authguard import Principal
from authguard.fastapi import CurrentPrincipal, CurrentUser, OptionalUser, RefusedHTTPException, requires


class User(BaseModel):
    """Hold an account of the shop."""

    name: str
    scopes: list[str] = []


def load(principal: Principal) -> User:
    return User(name="user " + principal.subject, scopes=sorted(principal.scopes))


Customer = CurrentUser[User]
Visitor = OptionalUser[User]


class PublicUser(BaseModel):
    """Show the public part of an account."""

    model_config = ConfigDict(from_attributes=True)
    name: str


class ChatRequest(BaseModel):
    """Define a body whose parameter is called `request`."""

    text: str


class Log:
    """Record the actions, for the tests."""

    def __init__(self) -> None:
        self.lines: list[str] = []


def log_of(request: Request) -> Log:
    log: Log = request.app.state.log
    return log


class Session:
    """Represent a dependency that ends with the request."""

    def __init__(self, user: User) -> None:
        self.user = user


def session(request: Request, user: Customer) -> Iterator[Session]:
    log = log_of(request)
    log.lines.append("open")
    try:
        yield Session(user)
    finally:
        log.lines.append("closed")


class Paging:
    """Represent a class as a dependency, with a caller in it."""

    def __init__(self, user: Visitor, size: Annotated[int, Query(le=10)] = 3) -> None:
        self.size = size if user is None else 10


class MustHave:
    """Represent an object as a dependency, created with arguments."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, user: Customer) -> User:
        if self.scope not in user.scopes:
            raise HTTPException(404)
        return user


class AdminOnly:
    """Represent an object whose call has a decorator that requires a role."""

    @requires("admin")
    def __call__(self, size: int = 1) -> int:
        return size


class Timed(APIRoute):
    """Define a route class of the application."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def timed(request: Request) -> Any:
            response = await handler(request)
            response.headers["x-timed"] = "yes"
            return response

        return timed


chat = APIRouter(prefix="/chat", route_class=Timed, tags=["chat"])


@chat.post("/ask")
@requires("read")
async def ask(request: ChatRequest, websocket: str = "none") -> str:
    return request.text + websocket


@chat.post("/sync")
@requires("read")
def sync_ask(request: ChatRequest) -> str:
    return request.text


@chat.get("/search")
@requires("read")
async def search(request: str, user: Customer) -> str:
    return request + user.name


@chat.get("/stream")
@requires("read")
async def stream(user: Customer) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(2):
            yield f"data: {number} {user.name}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@chat.get("/items")
@requires("read")
async def items(size: int = 2) -> AsyncIterator[int]:
    for number in range(size):
        yield number


@chat.websocket("/ws/{room}")
@requires("read")
async def talk(room: str, websocket: WebSocket, user: Customer) -> None:
    await websocket.accept()
    await websocket.send_text(room + user.name)
    await websocket.close()


admin = APIRouter(prefix="/admin", dependencies=[Depends(requires("admin"))])


@admin.get("/users/{name}", response_model=PublicUser, response_model_exclude_unset=True)
async def read_user(name: str) -> User:
    return User(name=name, scopes=["secret"])


@admin.websocket("/ws")
async def watch(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("admin")
    await websocket.close()


def numbered(number: int, user: Customer) -> str:
    return f"{number} {user.name}"


orders = APIRouter()


@orders.post("/orders", status_code=202)
async def order(
    tasks: BackgroundTasks, made: Annotated[Session, Depends(session)], request: Request
) -> PublicUser:
    tasks.add_task(log_of(request).lines.append, f"mail to {made.user.name}")
    return PublicUser.model_validate(made.user)


@orders.get("/page")
def page(paging: Annotated[Paging, Depends()]) -> int:
    return paging.size


@orders.get("/writers")
async def writers(user: Annotated[User, Depends(MustHave("admin"))]) -> str:
    return user.name


@orders.get("/admins")
async def admins(size: Annotated[int, Depends(AdminOnly())]) -> int:
    return size


@orders.post("/upload")
@requires("read")
async def upload(
    file: Annotated[bytes, File()], note: Annotated[str, Form()], principal: CurrentPrincipal
) -> str:
    return f"{len(file)} {note} {principal.subject}"


@orders.put("/many")
@orders.get("/many")
@requires(any_of=["write", "admin"])
async def many() -> str:
    return "many"


orders.add_api_route("/partial", functools.partial(numbered, number=7))


def part() -> FastAPI:
    """Return a mounted part with a handler of its own."""
    app = FastAPI(dependencies=[Depends(requires("read"))])

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"part": error.status_code}, error.status_code, error.headers)

    @app.get("/me")
    async def me(user: Customer, again: Visitor) -> str:
        assert again is user
        return user.name

    return app


def shop() -> FastAPI:
    app = FastAPI()
    app.state.log = Log()
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_headers=["*"])
    version = APIRouter(prefix="/v1")
    version.include_router(chat)
    version.include_router(admin, prefix="/internal")
    app.include_router(version, prefix="/api")
    app.include_router(orders)
    app.mount("/part", part())

    @app.exception_handler(RefusedHTTPException)
    async def refused(request: Request, error: RefusedHTTPException) -> JSONResponse:
        return JSONResponse({"refused": error.status_code}, error.status_code, error.headers)

    return app
