"""A dependency of the guard that FastAPI would not call is found before the application starts."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Security, WebSocket
from pydantic import BaseModel
from starlette.testclient import TestClient

from adapters.callers import READER, headers, open_guard
from authguard import ConfigurationError, Principal
from authguard.fastapi import (
    CurrentPrincipal,
    CurrentUser,
    OptionalUser,
    current_principal,
    current_user,
    install,
    optional_user,
    requires,
)


class User(BaseModel):
    """An application's own user."""

    name: str


@requires("admin")
def admin_only() -> str:
    """Stand for a dependency that requires a scope."""
    return "admin"


def of_nobody() -> str:
    """Stand for a dependency that has nothing to do with the guard."""
    return "setting"


Reader = Annotated[Principal, Security(current_principal, scopes=["read"])]
Admin = Annotated[str, Depends(admin_only)]
Setting = Annotated[str, Depends(of_nobody)]

DEFAULTS: dict[str, tuple[Any, str]] = {
    "CurrentUser": (CurrentUser, "write user: CurrentUser"),
    "CurrentUser[User]": (CurrentUser[User], r"write user: CurrentUser\[User\]"),
    "OptionalUser": (OptionalUser, "write user: OptionalUser"),
    "CurrentPrincipal": (CurrentPrincipal, "write user: CurrentPrincipal"),
    "alias of one's own": (Reader, r"write user: Annotated\[Principal, Security\(current_principal, scopes="),
    "alias of another dependency": (Setting, r"write user: Annotated\[str, Depends\(of_nobody\)\]"),
    "alias of a guarded dependency": (Admin, r"write user: Annotated\[str, Depends\(admin_only\)\]"),
    "current_user": (current_user, "write user: CurrentUser"),
    "current_principal": (current_principal, "write user: CurrentPrincipal"),
    "optional_user": (optional_user, "write user: OptionalUser"),
    "requires()": (requires("admin"), r"write user=Depends\(requires\(\.\.\.\)\)"),
    "guarded function": (admin_only, r"write user=Depends\(admin_only\)"),
    "Depends(CurrentUser)": (Depends(CurrentUser), "write user: CurrentUser"),
    "Depends(OptionalUser)": (Depends(OptionalUser), "write user: OptionalUser"),
    "Security(CurrentPrincipal)": (Security(CurrentPrincipal, scopes=["a"]), "write user: CurrentPrincipal"),
    "Depends(Reader)": (
        Depends(Reader),
        r"write user: Annotated\[Principal, Security\(current_principal, scopes=",
    ),
}


def starts(app: FastAPI) -> None:
    """Start an application, and stop it."""
    install(app, open_guard())
    with TestClient(app):
        pass


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_dependency_in_the_place_of_a_default_value(name: str) -> None:
    """It would be a query parameter that strangers can set, or a default value, and guard nothing."""
    default, advice = DEFAULTS[name]
    app = FastAPI()

    @app.get("/wrong")
    async def _wrong(user: Any = default) -> str:
        return str(user)

    with pytest.raises(ConfigurationError, match=f"parameter user of the route /wrong .* must .*{advice}"):
        starts(app)


ANNOTATIONS: dict[str, tuple[Any, str]] = {
    "current_user": (Annotated[User, current_user], "write user: CurrentUser"),
    "optional_user": (Annotated[str, optional_user], "write user: OptionalUser"),
    "requires()": (Annotated[str, requires("admin")], r"write user: Annotated\[.*, Depends\(requires\("),
    "Depends(CurrentUser)": (Annotated[User, Depends(CurrentUser)], "write user: CurrentUser"),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_a_dependency_without_depends_in_an_annotation(name: str) -> None:
    """The caller would choose the value, in the body or in the query."""
    annotation, advice = ANNOTATIONS[name]
    app = FastAPI()

    async def wrong(user):  # type: ignore[no-untyped-def]
        return str(user)

    wrong.__annotations__["user"] = annotation
    app.post("/wrong")(wrong)
    with pytest.raises(ConfigurationError, match=f"parameter user of the route /wrong .* must .*{advice}"):
        starts(app)


def listed_if(is_listed: bool) -> list[Any]:
    """Return a list of one wrong dependency, or of none."""
    return [Depends(CurrentUser)] if is_listed else []


@pytest.mark.parametrize("place", ["websocket", "nested", "class", "router", "included", "decorator"])
def test_it_is_found_wherever_fastapi_takes_dependencies(place: str) -> None:
    """On websockets, in nested dependencies, in classes, and in lists of dependencies."""

    def nested(user: Any = CurrentUser) -> None: ...

    class Service:
        def __init__(self, user: Any = CurrentUser) -> None: ...

    async def endpoint(name: Any = {"nested": Depends(nested), "class": Depends(Service)}.get(place)) -> None:
        """Stand for an endpoint whose dependencies are wrong."""

    async def talk(websocket: WebSocket, user: Any = CurrentUser) -> None: ...

    app = FastAPI()
    router = APIRouter(dependencies=listed_if(place == "router"))
    if place == "websocket":
        router.websocket("/wrong")(talk)
    else:
        router.get("/wrong", dependencies=listed_if(place == "decorator"))(endpoint)
    app.include_router(
        router, prefix="/wrong" if place == "included" else "", dependencies=listed_if(place == "included")
    )
    with pytest.raises(ConfigurationError, match=r"the route /wrong .*write .*(user: C|Depends\(current_u)"):
        starts(app)


def test_annotations_as_text_are_read() -> None:
    """Annotations are text under `from __future__ import annotations`."""
    app = FastAPI()

    async def wrong(user: "Annotated[str, current_user]") -> str:
        return str(user)

    app.post("/wrong")(wrong)
    with pytest.raises(ConfigurationError, match="write user: CurrentUser"):
        starts(app)


def test_the_spellings_that_work_start() -> None:
    """Annotations, default values of `Depends`, and parameters that have nothing to do with the guard."""
    app = FastAPI()

    @app.get("/right")
    async def _right(
        user: CurrentUser,
        reader: Annotated[Principal, Security(current_principal, scopes=["read"])],
        setting: Setting,
        maybe: OptionalUser = None,
        old: Any = Depends(current_user),
        q: Annotated[str, Query()] = "q",
    ) -> str:
        return f"{user.subject} {reader.subject} {maybe.subject if maybe else ''} {old.subject} {setting} {q}"

    install(app, open_guard())
    with TestClient(app) as client:
        assert client.get("/right", headers=headers(READER)).json() == (
            "somebody somebody somebody somebody setting q"
        )
