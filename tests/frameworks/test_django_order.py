"""`manage.py check` finds views of the URLconf that `@requires` should guard, but does not."""

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from frameworks.support import need

need("django", "rest_framework")

pytestmark = pytest.mark.frameworks

from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from adapters.answering import AUDIENCE, ISSUER, SECRET
from authguard import Guard, JWTVerifier
from authguard.django import requires
from frameworks import django_project  # noqa: F401 (it sets Django up)

GUARD = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE))


def check(*patterns: Any) -> None:
    """Run the checks of a project with these URL patterns."""
    module = ModuleType("urls_of_test")
    module.urlpatterns = [*patterns]  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=module, AUTHGUARD=GUARD):
        call_command("check")


def register(patterns: list[Any], place: Callable[..., Any] = path) -> Callable[[Any], Any]:
    """Return a decorator that adds a view to URL patterns."""

    def add(view: Any) -> Any:
        patterns.append(place("wrong", view))
        return view

    return add


def show(request: HttpRequest) -> HttpResponse:
    """Show a page."""
    return HttpResponse("in")


@pytest.mark.parametrize("place", [path, re_path])
@pytest.mark.parametrize("between", [lambda each: each, csrf_exempt], ids=["directly", "above another"])
def test_a_decorator_above_one_that_registers_the_view(place: Any, between: Any) -> None:
    """The error names the route and the view, also in an included URLconf."""
    patterns: list[Any] = []

    @requires("admin")
    @between
    @register(patterns, place)
    def _view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("secret")

    with pytest.raises(SystemCheckError, match=r"\(authguard\.E006\) .*/in/wrong \(.*_view\)"):
        check(path("in/", include(patterns)))


class _Operation:
    def __init__(self, view_func: Any) -> None:
        self.view_func = view_func


class _PathView:
    """Hold operations and return a view for them, as Django Ninja does."""

    def __init__(self) -> None:
        self.operations: list[_Operation] = []

    def get(self, view: Any) -> Any:
        self.operations.append(_Operation(view))
        return view

    def call(self, request: HttpRequest) -> Any:
        return self.operations[0].view_func(request)

    def wrapper(self) -> Any:
        def view(request: HttpRequest) -> Any:
            return self.call(request)

        return view


@pytest.mark.parametrize("kind", ["wrapper", "method"])
def test_a_decorator_above_an_operation_of_django_ninja(kind: str) -> None:
    """The error names the function of the operation, and the right order is no fault."""
    wrong, right = _PathView(), _PathView()

    @requires("admin")
    @wrong.get
    def _wrong(request: HttpRequest) -> HttpResponse:
        return HttpResponse("secret")

    @right.get
    @requires("admin")
    def _right(request: HttpRequest) -> HttpResponse:
        return HttpResponse("secret")

    patterns = [
        path(name, each.wrapper() if kind == "wrapper" else each.call)
        for name, each in (("wrong", wrong), ("right", right))
    ]
    with pytest.raises(SystemCheckError, match=r"/wrong \(.*_wrong\)") as caught:
        check(*patterns)
    assert "/right" not in str(caught.value)


def test_a_view_that_is_guarded_after_it_was_registered() -> None:
    """A module may replace the name of a view that its `urlpatterns` already have."""
    module = ModuleType("urls_that_guard_late")
    vars(module).update(requires=requires, path=path)
    source = """
def view(request): ...
def other(request): ...
urlpatterns = [path("wrong", view), path("open", other)]
view = requires("admin")(view)
helper = requires("admin")(other)
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, "urls_that_guard_late.py", "exec"), vars(module))  # noqa: S102
        with pytest.raises(SystemCheckError, match=r"/wrong \(view\)") as caught:
            check(*module.urlpatterns)
    assert "/open" not in str(caught.value)


def test_guarded_views_of_all_kinds_are_no_fault() -> None:
    """Functions, classes, methods, partials and views of REST framework pass the check."""
    from rest_framework.decorators import api_view
    from rest_framework.views import APIView

    class Plain(View):
        @requires("admin")
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(request, *args, **kwargs)

    @method_decorator(requires("admin"), name="dispatch")
    class Named(View):
        @method_decorator(requires("read"))
        def get(self, request: HttpRequest) -> HttpResponse:
            return show(request)

    @requires("admin")
    class Whole(View):
        pass

    class Rest(APIView):
        @requires("admin")
        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(request, *args, **kwargs)

    @requires("admin")
    @csrf_exempt
    def above(request: HttpRequest) -> HttpResponse:
        return show(request)

    @api_view(["GET"])
    @requires("admin")
    def of_rest(request: HttpRequest) -> HttpResponse:
        return show(request)

    check(
        path("plain", Plain.as_view()),
        path("named", Named.as_view()),
        path("whole", Whole.as_view()),
        path("rest", Rest.as_view()),
        path("above", above),
        path("of-rest", of_rest),
        path("below", csrf_exempt(requires("admin")(show))),
        path("partial", functools.partial(requires("admin")(show))),
        path("open", show),
    )


def throw_away(request: HttpRequest) -> HttpResponse:
    """Throw the check away."""
    requires("admin")
    return HttpResponse("in")


class ThrowAway(View):
    """Test the check for truth."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return a page."""
        return HttpResponse("in" if requires("admin") else "")


@pytest.mark.parametrize("view", [throw_away, ThrowAway.as_view()], ids=["function", "class"])
def test_a_view_that_throws_the_check_away(view: Any) -> None:
    """A call of `requires` as a statement or in a condition is an error that names the view."""
    with pytest.raises(SystemCheckError, match=r"E006\) the function .* of the route /wrong must use"):
        check(path("wrong", view))


def test_a_list_of_decorators_of_a_class() -> None:
    """Django does not read the list `decorators` of a class, unless the class applies it itself."""

    class Listed(View):
        decorators = (requires("admin"),)

    class Applied(Listed):
        @requires("admin")
        def dispatch(self, *args: Any, **options: Any) -> Any:
            return super().dispatch(*args, **options)

    with pytest.raises(
        SystemCheckError, match=r"E006\) @requires must decorate the class of the route /wrong"
    ):
        check(path("wrong", Listed.as_view()))
    check(path("right", Applied.as_view()), path("too", requires("admin")(Listed.as_view())))
