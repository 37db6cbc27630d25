"""`requires` finds the request or websocket among the arguments, by its annotation."""

import inspect
from typing import Annotated, Any, Generic, TypeVar

import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import authguard.django
import authguard.fastapi
import authguard.flask
import authguard.starlette
from adapters.callers import (
    FACES,
    READER,
    field,
    guarded,
    headers,
)
from adapters.faces import ask_asgi
from authguard import ConfigurationError


class ChatRequest(BaseModel):
    """A body whose class is named like a connection."""

    text: str


def test_fastapi_takes_the_connection_by_its_annotation() -> None:
    """A body, a query parameter and a dependency may be called `request` or `websocket`."""
    requires = authguard.fastapi.requires
    app = FastAPI()

    @app.post("/body")
    @requires("read")
    async def _body(request: ChatRequest) -> str:
        return request.text

    @app.get("/query")
    @requires("read")
    def _query(request: str, websocket: Annotated[int, Query()] = 1) -> str:
        return f"{request}{websocket}"

    @app.get("/unannotated")
    @requires("read")
    async def _unannotated(request) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return str(request)

    @app.get("/dependency")
    @requires("read")
    async def _dependency(request: Annotated[Request, Depends(lambda: "fake")]) -> str:
        return str(request)

    client = TestClient(guarded(app))
    for method, path, options in (
        ("POST", "/body", {"json": {"text": "hi"}}),
        ("GET", "/query?request=a&websocket=2", {}),
        ("GET", "/unannotated?request=b", {}),
        ("GET", "/dependency", {}),
    ):
        assert client.request(method, path, **options).status_code == 401, path  # type: ignore[arg-type]
        answer = client.request(method, path, headers=headers(READER), **options)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()) == (200, {"/body": "hi", "/query?request=a&websocket=2": "a2",
            "/unannotated?request=b": "b", "/dependency": "fake"}[path])  # fmt: skip
    assert client.get("/query", headers=headers(READER)).status_code == 422


def test_fastapi_takes_any_name_and_kind_of_the_connection() -> None:
    """The connection is found by its annotation: as text, in `Annotated`, by keyword, by its base class."""
    requires = authguard.fastapi.requires

    async def other_name(req: Request) -> bool:
        return isinstance(req, Request)

    async def annotated(req: Annotated[Request, "meta"]) -> bool:
        return isinstance(req, Request)

    async def text(req: "Request") -> bool:
        return isinstance(req, Request)

    async def base(conn: HTTPConnection, *, number: int = 1) -> bool:
        return isinstance(conn, Request)

    async def keyword(*, req: Request) -> bool:
        return isinstance(req, Request)

    async def with_default(number: int = 1, req: Request = None) -> bool:  # type: ignore[assignment]
        return isinstance(req, Request)

    async def several(request: Request, again: HTTPConnection) -> bool:
        return request is again

    app = FastAPI()
    functions: list[Any] = [other_name, annotated, text, base, keyword, with_default, several]
    for function in functions:
        app.add_api_route(f"/{function.__name__}", requires("read")(function))
    guarded(app)
    for function in functions:
        path = f"/{function.__name__}"
        assert ask_asgi(app, "GET", path).status == 401, path
        assert ask_asgi(app, "GET", path, [field(READER)]).body == b"true", path


def test_starlette_takes_any_name_and_kind_of_the_connection() -> None:
    """The connection is found by its annotation, by its name, or among the arguments of a wrapper."""
    requires = authguard.starlette.requires

    async def other_name(req: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def text(req: "Request") -> PlainTextResponse:
        return PlainTextResponse("in")

    async def unknown(request: "Elsewhere") -> PlainTextResponse:  # type: ignore[name-defined]  # noqa: F821
        return PlainTextResponse("in")

    async def union(req: Request | None = None) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def positional(req: HTTPConnection, /) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def anything(*args: Any, **kwargs: Any) -> PlainTextResponse:
        return PlainTextResponse("in")

    async def elsewhere(conn: "elsewhere.Request") -> PlainTextResponse:  # type: ignore[name-defined]  # noqa: F821
        return PlainTextResponse("in")

    async def untyped(request) -> PlainTextResponse:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return PlainTextResponse("in")

    functions: list[Any] = [
        other_name, text, unknown, union, positional, anything, elsewhere, untyped
    ]  # fmt: skip
    app = guarded(
        Starlette(routes=[Route(f"/{each.__name__}", requires("read")(each)) for each in functions])
    )
    for function in functions:
        path = f"/{function.__name__}"
        assert ask_asgi(app, "GET", path).status == 401, path
        assert ask_asgi(app, "GET", path, [field(READER)]).status == 200, path


def test_a_parameter_of_another_type_is_no_connection_of_starlette() -> None:
    """A parameter called request with another annotation is no connection."""
    with pytest.raises(ConfigurationError, match=r"got request: \S+\.ChatRequest, which is neither: add a "):

        @authguard.starlette.requires("read")
        async def _chat(request: ChatRequest) -> None: ...


_T = TypeVar("_T")


class _OtherRequest(Generic[_T]):
    """A generic request class of another framework."""


@pytest.mark.parametrize(
    "annotation", [_OtherRequest, _OtherRequest[int], int | None], ids=["class", "generic", "union"]
)
def test_a_handler_of_another_framework_is_refused_with_the_rule_to_write(annotation: Any) -> None:
    """A request of another framework is an error that advises a rule, which works in each framework."""

    async def handler(request: Any) -> None: ...

    handler.__annotations__["request"] = annotation
    with pytest.raises(
        ConfigurationError, match=r"got request: .*in another framework, write a Rule in prot"
    ):
        authguard.starlette.requires("read")(handler)


@FACES
def test_a_function_that_is_called_without_its_connection_does_not_run(requires: Any) -> None:
    """A call without the request or websocket is an error, regardless of its other arguments."""

    @requires("read")
    def helper(request: Request, extra: Any = None) -> str:
        return "secret"

    for args in ((), ("text",), (object(), 1)):
        with pytest.raises(TypeError, match="without its request or websocket"):
            helper(*args)


def test_the_signature_that_fastapi_sees_keeps_what_cannot_be_evaluated() -> None:
    """An annotation that cannot be evaluated, as under `if TYPE_CHECKING`, is no error at import."""

    @authguard.fastapi.requires("read")
    async def page(number: int) -> "Elsewhere": ...  # type: ignore[name-defined]  # noqa: F821

    assert list(inspect.signature(page).parameters) == ["number", "authguard_connection"]


@pytest.mark.parametrize(
    "module", [authguard.fastapi, authguard.flask, authguard.starlette, authguard.django]
)
@pytest.mark.parametrize("option", ["any_of", "roles"])
def test_a_list_without_names_is_refused(module: Any, option: str) -> None:
    """An empty list, as of an empty setting, is refused, since it would admit every caller."""
    words = f"^{option} must name at least one, got an empty list: leave {option} out for no requirement"
    with pytest.raises(ConfigurationError, match=words):
        module.requires(**{option: []})
