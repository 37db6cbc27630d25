"""Applications with a mount point of their own that are mounted at `/` inside the guard."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.testclient import TestClient

from adapters.test_mounts import fastapi, get, guard
from authguard import ConfigurationError
from authguard._mounted import layers_and_kept
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import install

AT_ROOT: dict[str, Any] = {
    "Mount": lambda: Starlette(routes=[Route("/x", PlainTextResponse("x")), Mount("/", fastapi("/api"))]),
    "Mount without a path": lambda: Router(routes=[Mount("", GZipMiddleware(fastapi("/api")))]),
    "Host": lambda: Starlette(routes=[Host("testserver", fastapi("/api"))]),
    "Mount in Mount": lambda: GZipMiddleware(
        Router(routes=[Mount("/", routes=[Mount("/", fastapi("/api"))])])
    ),
}
NOT_AT_ROOT: dict[str, Any] = {
    "below a path": lambda: Starlette(routes=[Mount("/v1", fastapi("/api"))]),
    "without a root path": lambda: Starlette(routes=[Mount("/", fastapi(""))]),
    "as it is itself": lambda: fastapi("/api"),
    "with the same root path": lambda: _with_same_root_path(),  # noqa: PLW0108  # defined below
    "a page": lambda: Starlette(routes=[Route("/", PlainTextResponse("page"))]),
}


def _with_same_root_path() -> FastAPI:
    app = fastapi("/api")
    app.mount("/", fastapi("/api"))
    return app


@pytest.mark.parametrize("kind", AT_ROOT)
def test_pages_that_have_two_paths_are_refused(kind: str) -> None:
    """A rule for `/admin` would not apply to `/api/admin`, which is the same page."""
    with pytest.raises(ConfigurationError, match="mounted at '/' must be empty, got '/api'.*--root-path"):
        get(AuthGuardMiddleware(AT_ROOT[kind](), guard=guard(protected_paths=["/admin"])), "/api/admin")
    # No rule distinguishes the paths here, so that both are protected.
    assert get(AuthGuardMiddleware(AT_ROOT[kind](), guard=guard()), "/api/admin").status_code == 401


def test_pages_that_have_two_paths_are_refused_at_startup() -> None:
    """An application that is mounted after the guard was built is refused at the startup."""
    app = FastAPI()
    install(app, guard(protected_paths=["/admin"]))
    app.mount("/", fastapi("/api"))
    with pytest.raises(ConfigurationError, match="is mounted at '/'"), TestClient(app):
        pass


@pytest.mark.parametrize("kind", NOT_AT_ROOT)
def test_pages_that_have_one_path_are_right(kind: str) -> None:
    """An application is accepted if the guard knows the mount point, or if the mount point is empty."""
    get(AuthGuardMiddleware(NOT_AT_ROOT[kind](), guard=guard(protected_paths=["/admin"])), "/admin")


def test_layers_that_lead_in_a_circle_are_looked_at_once() -> None:
    """A Starlette router refers to itself by its default method, and each layer is still visited once."""
    layers = list(layers_and_kept(Starlette()))
    assert 1 < len(layers) < 10
