"""Check the types of the public face with FastAPI; this module is never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

from fastapi import Depends, FastAPI, HTTPException, Request, Security, WebSocket
from fastapi.responses import JSONResponse

from authguard import Guard, JWTVerifier, Principal, Refusal, Rule
from authguard.fastapi import (
    AuthGuardMiddleware,
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    RefusedHTTPException,
    current_principal,
    current_user,
    install,
    requires,
)


class User:
    """Represent a user of the application."""

    def __init__(self, name: str) -> None:
        self.name = name


async def load(principal: Principal) -> User | None:
    """Return the user of a principal, or None if it no longer exists."""
    return User(principal.subject)


app = FastAPI()
guard = Guard(
    JWTVerifier("secret", algorithms=["HS256"], issuer=None, audience=None),
    protected_paths=[Rule("/items", methods=["POST"], any_of=["a", "b"], roles={"editor"})],
    user_loader=load,
)
install(app, guard)
app.add_middleware(AuthGuardMiddleware, guard=guard)

LoadedUser = Annotated[User, Depends(current_user)]
Owner = CurrentUser[User]
Visitor = OptionalUser[User]
Reader = Annotated[Principal, Security(current_user, scopes=["read"])]
Boss = Annotated[Principal, Security(current_principal, scopes=["admin"])]


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, Any]:
    """Check that the caller is a principal."""
    assert_type(user, Principal)
    assert_type(user.subject, str)
    return {"subject": user.subject, "scopes": sorted(user.scopes)}


@app.get("/reader")
async def reader(user: Reader) -> str:
    """Check that a caller with scopes is also a principal."""
    assert_type(user, Principal)
    return user.display_name


@app.get("/loaded")
async def loaded(user: LoadedUser) -> str:
    """Check that the caller has the type that the user loader returns."""
    assert_type(user, User)
    return user.name


@app.get("/owner")
async def owner(user: Owner, same: CurrentUser[User], boss: Boss) -> str:
    """Check the short form, and the principal."""
    assert_type(user, User)
    assert_type(same, User)
    assert_type(boss, Principal)
    str(user.subject)  # type: ignore[attr-defined]
    number: int = user.name  # type: ignore[assignment]
    return user.name + str(number)


@app.get("/visitor")
async def visitor(user: Visitor, same: OptionalUser[User], principal: CurrentPrincipal) -> str:
    """Check that the optional caller may be None."""
    assert_type(user, User | None)
    assert_type(same, User | None)
    assert_type(principal, Principal)
    str(principal.name)  # type: ignore[attr-defined]
    str(user.name)  # type: ignore[union-attr]
    return principal.subject if user is None else user.name


@app.get("/somebody")
def somebody(user: OptionalUser) -> str:
    """Check that the optional caller is a principal or None without a user loader."""
    assert_type(user, Principal | None)
    return "nobody" if user is None else user.subject


@app.get("/report")
@requires("read", roles=["editor"])
async def report(user: CurrentUser, limit: int = 10) -> list[int]:
    """Check that a decorated operation keeps its type."""
    return list(range(limit))


@app.get("/plain")
@requires()
def plain(request: Request) -> str:
    """Check an operation that is not `async`."""
    return request.url.path


@app.get("/lines")
@requires("read")
async def lines(limit: int = 10) -> AsyncIterator[int]:
    """Check a generator that streams its items."""
    yield limit


@app.get("/listed", dependencies=[Depends(requires("read"))])
async def listed(user: Annotated[Principal, Depends(requires("admin"))]) -> str:
    """Check that a requirement is also a dependency."""
    assert_type(user, Principal)
    return user.subject


@requires("admin")
async def admin_only(request: Request) -> int:
    """Check a dependency."""
    return 1


@app.get("/dependency")
async def dependency(number: Annotated[int, Depends(admin_only)]) -> int:
    """Check that the value of a dependency has its type."""
    return number


@app.websocket("/ws")
async def stream(websocket: WebSocket, user: CurrentUser) -> None:
    """Check that a websocket has a caller."""
    assert_type(user, Principal)
    await websocket.accept()


@app.exception_handler(RefusedHTTPException)
async def refused(request: Request, error: RefusedHTTPException) -> JSONResponse:
    """Check a handler with the application's own answer."""
    assert_type(error.refusal, Refusal)
    assert_type(error.status_code, int)
    base: HTTPException = error
    challenge = (base.headers or {}).get("WWW-Authenticate")
    assert_type(challenge, str | None)
    return JSONResponse({"error": error.status_code}, error.status_code)


async def call(user: Principal, request: Request) -> None:
    """Check that a decorated operation keeps its return type."""
    assert_type(await report(user, limit=3), list[int])
    await owner(user, User("ada"), user)  # type: ignore[arg-type]
    assert_type(plain(request), str)
    assert_type(await admin_only(request), int)
    async for number in lines(3):
        assert_type(number, int)
