"""django-cors-headers works behind the guard on WSGI and ASGI, and no view runs for a preflight."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders")

pytestmark = pytest.mark.frameworks

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import re_path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from adapters.preflights import SECRET_TEXT, SPA, guard, preflight_asgi, preflight_wsgi
from authguard import asgi, wsgi
from frameworks.django_project import CORS_LAYER

BODIES = pytest.mark.parametrize("body", [b"", b'{"a": 1}'], ids=["no body", "a body"])
RAN: list[str] = []

LAYERS = ["preflight_urls.Notes", CORS_LAYER, "django.middleware.common.CommonMiddleware"]


def _view(request: Any) -> HttpResponse:
    """Answer any method."""
    RAN.append(request.path)
    return HttpResponse(SECRET_TEXT)


class Notes:
    """Record that the middleware ran."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        RAN.append("middleware")
        return self.get_response(request)


class OwnCors:
    """Add CORS fields by hand, so that the guard cannot find the layer."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = HttpResponse("OK") if request.method == "OPTIONS" else self.get_response(request)
        response["Access-Control-Allow-Origin"] = SPA
        return response


@pytest.fixture(autouse=True)
def _urls() -> Iterator[None]:
    from corsheaders.middleware import CorsMiddleware

    class Derived(CorsMiddleware):
        """Be a subclass of the application."""

    class Synchronous(CorsMiddleware):
        """Be a subclass that cannot be asynchronous."""

        async_capable = False

    module = ModuleType("preflight_urls")
    module.urlpatterns = [re_path("^.*$", _view)]
    module.Notes, module.OwnCors = Notes, OwnCors
    module.Derived, module.Synchronous = Derived, Synchronous
    sys.modules["preflight_urls"] = module
    RAN.clear()
    with override_settings(ROOT_URLCONF="preflight_urls", MIDDLEWARE=LAYERS, CORS_ALLOWED_ORIGINS=[SPA]):
        yield
    del sys.modules["preflight_urls"]


def _wsgi(path: str = "/private", body: bytes = b"", options: Any = None, **changes: str) -> Any:
    app = wsgi.AuthGuardMiddleware(WSGIHandler(), guard=guard(**(options or {})))
    return preflight_wsgi(app, path, body, **changes)


def _asgi(path: str = "/private", body: bytes = b"", options: Any = None, **changes: str) -> Any:
    app = asgi.AuthGuardMiddleware(ASGIHandler(), guard=guard(**(options or {})))
    return preflight_asgi(app, path, body, **changes)


@pytest.fixture(name="ask", params=[_wsgi, _asgi], ids=["wsgi", "asgi"])
def _ask(request: Any) -> Any:
    return request.param


@BODIES
@pytest.mark.parametrize("layer", [CORS_LAYER, "preflight_urls.Derived", "preflight_urls.Synchronous"])
def test_it_answers_preflights(ask: Any, layer: str, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The CORS layer answers preflights, and no other middleware runs."""
    with override_settings(MIDDLEWARE=["preflight_urls.Notes", layer]):
        answer = ask(body=body)
    assert answer.allows, answer
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert (answer.body, answer.read, RAN, caplog.records) == (b"", [], [], [])


def test_an_origin_that_is_refused_stays_refused(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An origin that the CORS layer refuses gets no CORS fields, and no warning is logged."""
    answer = ask(Origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    assert (answer.body, RAN, caplog.records) == (b"", [], [])


@BODIES
def test_a_path_that_cors_is_not_for(ask: Any, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A preflight of a path outside of the CORS layer is answered by the guard, and runs no view."""
    with override_settings(CORS_URLS_REGEX="^/api/.*$"):
        answer = ask(body=body)
        assert (answer.status, answer.allows, answer.body, RAN, caplog.records) == (204, False, b"", [], [])
        assert ask("/api/x", body).allows
    assert RAN == []


@BODIES
def test_without_a_cors_layer_no_view_runs(ask: Any, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Without a CORS layer no view runs for a preflight, and one warning is logged."""
    with override_settings(MIDDLEWARE=["preflight_urls.Notes"]):
        answer = ask(body=body)
    assert (answer.status, answer.headers, answer.body, answer.read) == (204, {}, b"", [])
    assert (RAN, len(caplog.records)) == ([], 1)


@BODIES
@pytest.mark.parametrize("layer", ["preflight_urls.OwnCors", CORS_LAYER])
def test_passed_on(ask: Any, layer: str, body: bytes) -> None:
    """With `preflight="pass"` a CORS layer answers, also one that the guard cannot find."""
    with override_settings(MIDDLEWARE=[layer]):
        answer = ask("/private", body, {"preflight": "pass"})
    assert (answer.allows, answer.body, RAN) == (True, b"", [])
    assert "content-type" not in answer.headers


def test_paths_of_any_kind_are_answered(ask: Any) -> None:
    """A preflight of an odd path is answered without an error."""
    for path in ("/caf\xe9", "/%zz", "//x//y"):
        assert ask(path).status in (200, 204, 400)
    assert RAN == []


@BODIES
def test_inside_another_asgi_application(body: bytes) -> None:
    """A preflight is answered by Django as a mounted application, behind compressing middleware."""
    app = Starlette(routes=[Mount("/django", ASGIHandler())], middleware=[Middleware(GZipMiddleware)])
    with override_settings(CORS_URLS_REGEX="^/private$"):
        answer = preflight_asgi(asgi.AuthGuardMiddleware(app, guard=guard()), "/django/private", body)
    assert (answer.allows, answer.body, RAN) == (True, b"", [])


def test_a_view_runs_for_other_requests_of_open_paths(ask: Any) -> None:
    """A view of a public path runs for another OPTIONS request, as a control of these tests."""
    with override_settings(MIDDLEWARE=[]):
        assert ask("/private", b"", {"public_paths": ["/private"]}).body == SECRET_TEXT.encode()
    assert RAN == ["/private"]
