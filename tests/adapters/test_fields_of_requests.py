"""A dependency that FastAPI reads from the request instead of calling it is an error at the start."""

import dataclasses
import sys
import types
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Form, Header, Query, Security, WebSocket
from pydantic import BaseModel
from starlette.testclient import TestClient
from typing_extensions import TypedDict

from adapters.callers import ADMIN, READER, field, guarded
from adapters.faces import ask_asgi
from authguard import ConfigurationError, Principal
from authguard.fastapi import CurrentPrincipal, CurrentUser, OptionalUser, current_user, requires


class User(BaseModel):
    """Hold a user."""

    name: str = ""


def own(user: CurrentUser) -> str:
    """Return the name of the caller."""
    return user.subject


class Plain(BaseModel):
    """Hold a field with a dependency of the guard."""

    text: str = ""
    author: CurrentUser[User] = User()


class Own(BaseModel):
    """Hold a field with a dependency that leads to the guard."""

    author: Annotated[str, Depends(own)] = ""


class Admins(BaseModel):
    """Hold a field with `requires`."""

    author: Annotated[str, Depends(requires("admin"))] = ""


class Scoped(BaseModel):
    """Hold a field with scopes."""

    author: Annotated[str, Security(current_user, scopes=["admin"])] = ""


class Optional(BaseModel):
    """Hold a field with an optional caller."""

    author: OptionalUser[User] = None


class Several(BaseModel):
    """Hold a field with a list of callers."""

    author: list[CurrentUser[User]] = []  # noqa: RUF012 (Pydantic copies it)


class Union(BaseModel):
    """Hold a field with a caller or None."""

    author: CurrentUser[User] | None = None


class Nested(BaseModel):
    """Hold other models, and itself."""

    inner: dict[str, list[Admins]] = {}  # noqa: RUF012 (Pydantic copies it)
    again: "Nested | None" = None


class Inherited(Plain):
    """Inherit the field."""


@dataclasses.dataclass
class Data:
    """Hold the field in a dataclass."""

    author: Annotated[str, Depends(requires("admin"))] = ""


class Typed(TypedDict):
    """Hold the field in a dictionary."""

    author: Annotated[str, Depends(requires("admin"))]


class Row(NamedTuple):
    """Hold the field in a tuple."""

    author: Annotated[str, Depends(requires("admin"))] = ""


MODELS = [Plain, Own, Admins, Scoped, Optional, Several, Union, Nested, Inherited, Data, Typed, Row]


@pytest.mark.parametrize("model", MODELS)
def test_a_dependency_in_a_model_of_the_body_does_not_start(model: Any) -> None:
    """The error names the route, the model and the field, and the parameter to write."""
    app = guarded(FastAPI())

    @app.post("/notes")
    async def _add(note: model) -> str:
        return "secret"

    words = r"^parameter note of the route /notes .* got the field author of .*: write author: \S.* as a parameter"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


def test_the_spelling_of_a_field_works() -> None:
    """The errors of fields of the guard write the types and scopes that the fields have."""
    spellings: dict[Any, str] = {
        Plain: "write author: CurrentUser[User] as a parameter",
        Admins: "write author: Annotated[str, Depends(requires('admin'))] as a parameter",
        Scoped: "write author: Annotated[str, Security(current_user, scopes=['admin'])] as a parameter",
    }
    for model, spelling in spellings.items():
        app = guarded(FastAPI())
        app.post("/notes")(_annotated(model))
        with pytest.raises(ConfigurationError) as raised, TestClient(app):
            pass
        assert spelling in str(raised.value)


def _annotated(kind: Any) -> Callable[..., Any]:
    async def endpoint(note: Any) -> str:
        return "secret"

    endpoint.__annotations__["note"] = kind
    return endpoint


@pytest.mark.parametrize(
    "place", [Query(), Header(), Cookie(), Form()], ids=lambda place: type(place).__name__
)
def test_the_same_in_other_places_of_the_request(place: Any) -> None:
    """The query, the header fields, the cookies and a form are searched, also of a dependency."""
    for is_dependency in (True, False):
        app, endpoint = guarded(FastAPI()), _annotated(Annotated[Admins, place])
        if is_dependency:
            app.post("/notes", dependencies=[Depends(endpoint)])(lambda: "secret")
        else:
            app.post("/notes")(endpoint)
        with pytest.raises(ConfigurationError, match="the field author of Admins"), TestClient(app):
            pass


class Note(BaseModel):
    """Hold fields without dependencies of the guard."""

    text: Annotated[str, "a text"] = ""
    other: Annotated[str, Depends(lambda: "x")] = ""
    inner: "Note | None" = None
    users: list[User] = []  # noqa: RUF012 (Pydantic copies it)


class Answer(BaseModel):
    """Hold a caller in an answer."""

    author: Annotated[str, Depends(requires("admin"))] = "ann"


class Parts:
    """Hold the parameters of a dependency."""

    def __init__(self, caller: CurrentPrincipal, size: int = 1) -> None:
        self.caller = caller


@dataclasses.dataclass
class Filled:
    """Hold the parameters of a dependency that is a dataclass."""

    caller: CurrentPrincipal
    admin: Annotated[Principal, Depends(requires("admin"))]


def test_models_that_fastapi_fills_start() -> None:
    """Other models, models of answers, and classes that are dependencies are no fault."""
    app = guarded(FastAPI())

    @app.post("/notes", response_model=Answer)
    async def _add(
        note: Note, parts: Annotated[Parts, Depends()], filled: Annotated[Filled, Depends()]
    ) -> Any:
        return {"author": filled.caller.subject}

    with TestClient(app) as client:
        answers = [client.post("/notes", json={}, headers=dict([field(token)])) for token in (READER, ADMIN)]
    assert [answer.status_code for answer in answers] == [403, 200]


HEAD = """
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated
from fastapi import Depends, Security
from starlette.requests import Request
from authguard.fastapi import current_user, requires
if TYPE_CHECKING:
    from authguard import Principal
    from authguard.fastapi import CurrentUser
    from elsewhere import Session
def session(): return "session"
"""


def module_of(name: str, signature: str) -> Callable[..., Any]:
    """Return the function of a module that imports some names for type checkers alone."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(f"{HEAD}\nasync def endpoint({signature}) -> str:\n    return 'secret'\n", vars(module))  # noqa: S102
    return vars(module)["endpoint"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("place", ["endpoint", "dependency", "websocket", "include_router"])
@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("requires", "_: Annotated[Principal, Depends(requires('admin'))] = None"),
        ("security", "_: Annotated[Principal, Security(current_user, scopes=['admin'])] = None"),
        ("alias", "_: CurrentUser = None"),
        ("unknown", "_: AdminUser = None"),
        ("without_default", "_: CurrentUser"),
    ],
)
def test_an_annotation_that_cannot_be_evaluated_does_not_start(name: str, signature: str, place: str) -> None:
    """FastAPI would read the parameter from the query, so the error names the annotation."""
    app, endpoint = guarded(FastAPI()), module_of(f"unevaluated_{name}", signature)
    if place == "endpoint":
        app.get("/wrong")(endpoint)
    elif place == "dependency":
        app.get("/wrong", dependencies=[Depends(endpoint)])(lambda: "secret")
    elif place == "include_router":
        router = APIRouter()
        router.get("/page")(lambda: "secret")
        app.include_router(router, prefix="/wrong", dependencies=[Depends(endpoint)])
    else:

        async def socket(websocket: WebSocket, value: Any = Depends(endpoint)) -> None: ...

        app.websocket("/wrong")(socket)
    words = r"^parameter _ of the route /wrong .* can evaluate, got (Annotated|\w+User)"
    with pytest.raises(ConfigurationError, match=words), TestClient(app):
        pass


def test_annotations_that_fastapi_does_not_need_start() -> None:
    """A parameter with `Depends` as its default, and the annotation of the result, need no names."""
    app = guarded(FastAPI())
    signature = "request: Request, db: Session = Depends(session), user: Principal = Depends(current_user)"
    app.get("/right", response_model=None)(module_of("evaluated", signature))
    with TestClient(app):
        pass
    assert ask_asgi(app, "GET", "/right", [field(READER)]).status == 200
