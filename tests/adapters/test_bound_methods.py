"""`requires` finds a method that is registered without its check: each access to a method is a new object."""

import functools
import gc
from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import authguard.flask
import authguard.starlette
from adapters.callers import ADMIN, READER, field, guarded, open_guard
from adapters.faces import ask_asgi, ask_wsgi
from adapters.test_order_of_wrappers import refuses
from authguard import ConfigurationError
from authguard._signatures import wrappers

Add = Callable[[Any, str, Any], object]

admin = authguard.starlette.requires("admin")


class Pages:
    """Hold pages as methods."""

    def show(self, request: Request) -> PlainTextResponse:
        """Return a page."""
        return PlainTextResponse("in")

    @classmethod
    def of_class(cls, request: Request) -> PlainTextResponse:
        """Return a page of the class."""
        return PlainTextResponse("in")

    def _titled(self, title: str, request: Request) -> PlainTextResponse:
        return PlainTextResponse(title)

    titled = functools.partialmethod(_titled, "in")


class Slotted:
    """Hold a page in an object without a dictionary and without weak references."""

    __slots__ = ("text",)

    def show(self, request: Request) -> PlainTextResponse:
        """Return a page."""
        return PlainTextResponse("in")


PAGES, SLOTTED = Pages(), Slotted()

ENDPOINTS = pytest.mark.parametrize(
    "endpoint",
    [
        lambda: PAGES.show,
        lambda: SLOTTED.show,
        lambda: Pages.of_class,
        lambda: PAGES.of_class,
        lambda: PAGES.titled,
        lambda: functools.partial(PAGES.show),
        lambda: functools.partial(PAGES._titled, "in"),
    ],
    ids=[
        "method",
        "slots",
        "of class",
        "of class by object",
        "partialmethod",
        "partial",
        "partial with value",
    ],
)
ADDS = pytest.mark.parametrize(
    ("make", "add"),
    [
        (FastAPI, lambda app, path, view: app.get(path)(view)),
        (FastAPI, lambda app, path, view: app.add_api_route(path, view)),
        (Starlette, lambda app, path, view: app.router.routes.append(Route(path, view))),
    ],
    ids=["FastAPI", "add_api_route", "Starlette"],
)


@ADDS
@ENDPOINTS
def test_a_check_of_a_method_that_is_thrown_away(make: Any, add: Add, endpoint: Callable[[], Any]) -> None:
    """A registered method is not guarded by another object of it that `requires` has got."""
    app = guarded(make())
    add(app, "/wrong", endpoint())
    assert callable(admin(endpoint()))
    refuses(app)


@ADDS
@ENDPOINTS
def test_a_method_that_is_registered_twice(make: Any, add: Add, endpoint: Callable[[], Any]) -> None:
    """A method that is registered twice on purpose, once with the check, is no fault."""
    app = guarded(make())
    add(app, "/open", endpoint())
    add(app, "/checked", admin(endpoint()))
    statuses = [ask_asgi(app, "GET", path, [field(READER)]).status for path in ("/open", "/checked")]
    assert statuses == [200, 403]
    assert ask_asgi(app, "GET", "/checked", [field(ADMIN)]).status == 200


@ADDS
def test_the_checks_of_other_methods(make: Any, add: Add) -> None:
    """The check of a method of another object, or with other values, is no fault of a registered method."""
    app = guarded(make())
    mine, other = Pages(), Pages()
    add(app, "/method", mine.show)
    add(app, "/partial", functools.partial(mine._titled, "in"))
    assert callable(admin(other.show))
    assert callable(admin(functools.partial(other._titled, "in")))
    assert callable(admin(functools.partial(mine._titled, "out")))
    assert callable(admin(mine._titled))
    statuses = [ask_asgi(app, "GET", path, [field(READER)]).status for path in ("/method", "/partial")]
    assert statuses == [200, 200]


@ADDS
def test_a_check_for_another_application(make: Any, add: Add) -> None:
    """A method that another application has with its check may be open in this one."""
    pages = Pages()
    app, other = guarded(make()), guarded(make())
    endpoints: tuple[Callable[[], Any], ...] = (
        lambda: pages.show,
        lambda: pages.titled,
        lambda: Pages.of_class,
    )
    for number, endpoint in enumerate(endpoints):
        add(app, f"/{number}", endpoint())
        add(other, f"/{number}", admin(endpoint()))
    for number in range(len(endpoints)):
        assert ask_asgi(app, "GET", f"/{number}", [field(READER)]).status == 200
        assert ask_asgi(other, "GET", f"/{number}", [field(READER)]).status == 403


@ADDS
def test_a_check_that_replaces_a_method_first(make: Any, add: Add) -> None:
    """A method that is replaced by its wrapper before the registration is guarded."""
    pages = Pages()
    app = guarded(make())
    vars(pages)["show"] = admin(pages.show)
    add(app, "/right", pages.show)
    assert [ask_asgi(app, "GET", "/right", [field(token)]).status for token in (READER, ADMIN)] == [403, 200]


def test_a_route_whose_method_is_replaced_later() -> None:
    """A route that calls the method itself is not guarded by a wrapper that replaces its endpoint."""
    pages = Pages()
    app = guarded(FastAPI())
    app.add_api_route("/wrong", pages.show)
    route: Any = app.router.routes[-1]
    route.endpoint = admin(pages.show)
    with pytest.raises(ConfigurationError, match="/wrong .*replaced later"):
        ask_asgi(app, "GET", "/wrong", [field(READER)])


class Views:
    """Hold views of Flask as methods."""

    def show(self) -> str:
        """Return a page."""
        return "in"


def test_a_check_of_a_method_of_flask_that_is_thrown_away() -> None:
    """The same applies to views of Flask."""
    views, app = Views(), flask.Flask("site")
    app.add_url_rule("/wrong", view_func=views.show)
    check = authguard.flask.requires("admin")
    assert callable(check(views.show))
    with pytest.raises(ConfigurationError, match="/wrong .*decorator of the route first"):
        authguard.flask.init_app(app, open_guard())


def test_a_method_of_flask_that_is_registered_twice() -> None:
    """A view that is registered twice on purpose, once with the check, is no fault."""
    views, app = Views(), flask.Flask("site")
    app.add_url_rule("/open", "open", views.show)
    app.add_url_rule("/checked", "checked", authguard.flask.requires("admin")(views.show))
    authguard.flask.init_app(app, open_guard())
    statuses = [ask_wsgi(app, "GET", path, [field(READER)]).status for path in ("/open", "/checked")]
    assert statuses == [200, 403]


@pytest.mark.parametrize("slots", [("__dict__", "__weakref__"), ()], ids=["weak", "strong"])
def test_methods_that_are_guarded_for_each_request_are_forgotten(
    slots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of wrappers that are gone is limited, for objects with and without weak references."""
    monkeypatch.setattr(wrappers, "_MAX_GONE", 5)

    def show(self: object, request: Request) -> None:
        return None

    kind: Any = type("Pages", (), {"__slots__": slots, "show": show})
    for _ in range(3):
        for _ in range(6):
            assert callable(admin(kind().show))
        gc.collect()
    assert callable(admin(kind().show))
    assert len(wrappers._wrappers[show]) == 5 + 1
