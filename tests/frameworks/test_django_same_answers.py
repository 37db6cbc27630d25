"""Django gives the answers of the table, on WSGI and ASGI, in middleware and in decorators."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from frameworks.support import need

need("django", "corsheaders", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import path as url
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from adapters import test_same_answers as table
from adapters.answering import NOW, guard
from adapters.cases import CASES
from authguard.django import requires
from frameworks.django_project import Project, ask_project, make_project

KINDS = ("wsgi", "asgi")
#: The guard is `async` or not like its neighbours in the list of middleware.
MAKERS = {
    **{kind: make_project(kind) for kind in KINDS},
    "wsgi, awaited": make_project("wsgi", ["frameworks.django_project.OnlyAsync"]),
    "asgi, not awaited": make_project("asgi", ["frameworks.django_project.OnlySync"]),
}


@pytest.fixture(name="face", params=MAKERS, scope="module")
def _face(request: pytest.FixtureRequest) -> Iterator[Any]:
    project = MAKERS[request.param](guard(), lambda: NOW)
    with override_settings(**project.settings):
        yield project.ask


@pytest.mark.parametrize("name", CASES, ids=str)
def test_answer(face: Any, name: str) -> None:
    """The answer to each request of the table is that of the other adapters."""
    table.test_answer(face, name)


@pytest.mark.parametrize(
    "test",
    [
        table.test_htmx_is_told_where_to_sign_in,
        table.test_all_invalid_tokens_get_the_same_answer,
        table.test_key_and_cookie_responses_are_kept_apart_by_caches,
        table.test_a_login_page_that_sends_straight_back_makes_no_circle,
        table.test_htmx_is_told_where_to_sign_in_anew,
        table.test_the_document_of_a_sign_in_has_its_code,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_answers_in_detail(face: Any, test: Callable[[Any], None]) -> None:
    """The detailed tests of the other adapters pass with Django."""
    test(face)


def _page(request: Any) -> HttpResponse:
    return HttpResponse(request.user.username)


async def _apage(request: Any) -> HttpResponse:
    return HttpResponse((await request.auser()).username)


class Page(View):
    def get(self, request: Any) -> HttpResponse:
        return _page(request)


class AsyncPage(View):
    async def get(self, request: Any) -> HttpResponse:
        return await _apage(request)


class PageWithMethod(View):
    @csrf_exempt
    def get(self, request: Any) -> HttpResponse:
        return _page(request)


def _on_method(decorate: Any) -> Any:
    class Methods(View):
        @decorate
        def get(self, request: Any) -> HttpResponse:
            return _page(request)

    return Methods.as_view()


def _on_async_method(decorate: Any) -> Any:
    class Methods(View):
        @decorate
        async def get(self, request: Any) -> HttpResponse:
            return await _apage(request)

    return Methods.as_view()


def _on_dispatch(view: Any) -> Callable[[Any], Any]:
    def decorated(decorate: Any) -> Any:
        class Dispatched(view):
            pass

        return method_decorator(decorate, name="dispatch")(Dispatched).as_view()

    return decorated


DECORATED: dict[str, Callable[[Any], Any]] = {
    "function": lambda decorate: decorate(_page),
    "async function": lambda decorate: decorate(_apage),
    "class": lambda decorate: decorate(Page).as_view(),
    "async class": lambda decorate: decorate(AsyncPage).as_view(),
    "as_view": lambda decorate: decorate(Page.as_view()),
    "async as_view": lambda decorate: decorate(AsyncPage.as_view()),
    "method": _on_method,
    "async method": _on_async_method,
    "method_decorator": _on_dispatch(Page),
    "async method_decorator": _on_dispatch(AsyncPage),
}


@pytest.fixture(name="framework", params=[f"{kind}, {name}" for kind in KINDS for name in DECORATED])
def _framework(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    kind, _, name = request.param.partition(", ")

    def make(guard: Any, clock: Any, requirement: dict[str, Any]) -> Project:
        options = dict(requirement)
        decorate = requires(*options.pop("scopes", ()), **options)
        return Project(kind, guard, url("route", DECORATED[name](decorate)), CLOCK=clock)

    monkeypatch.setitem(table.DECORATED, request.param, (make, ask_project))
    return request.param


@pytest.mark.parametrize("name", table.ROUTE_CASES)
def test_decorated_view(framework: str, name: str) -> None:
    """A decorator on a public path has the same requirement as a rule."""
    table.test_decorated_route(framework, name)


def test_a_decorated_view_challenges_as_a_rule_does(framework: str) -> None:
    """A decorated view sends the challenge of a rule, by the clock of the middleware."""
    table.test_a_decorated_route_challenges_as_a_rule_does(framework)


def test_the_stricter_of_rule_and_decorator_wins(framework: str) -> None:
    """A rule and a decorator are both enforced."""
    table.test_the_stricter_of_rule_and_decorator_wins(framework)
