"""Decorators inside of several guards, and three nested guards: the counts and the quotas of a refusal."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.exceptions import HTTPException

import authguard.flask
import authguard.starlette
from adapters.faces import ask_asgi, ask_wsgi
from authguard import Guard, MemoryQuotas, Quota, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIAuthGuardMiddleware

from .test_counts_of_nested_guards import FIELDS, Silent, clock, limited, over_asgi, over_both, over_wsgi
from .test_terms import Keys

Send = Callable[..., int]


def _status_by_asgi(app: Any, guards: tuple[Guard, ...]) -> int:
    for guard in reversed(guards):
        app = AuthGuardMiddleware(app, guard=guard, clock=clock)
    return ask_asgi(app, "GET", "/private", FIELDS).status


def _status_by_wsgi(app: Any, guards: tuple[Guard, ...]) -> int:
    for guard in reversed(guards):
        app = WSGIAuthGuardMiddleware(app, guard=guard, clock=clock)
    return ask_wsgi(app, "GET", "/private", FIELDS).status


def by_starlette(*guards: Guard) -> int:
    """Return the status of a Starlette page that requires a scope, in these guards, the first outside."""

    @authguard.starlette.requires("admin")
    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse("secret")

    return _status_by_asgi(Starlette(routes=[Route("/private", page)]), guards)


def by_flask(*guards: Guard) -> int:
    """Return the status of a Flask page that requires a scope, in these guards, the first outside."""
    application = flask.Flask(__name__)

    @application.get("/private")
    @authguard.flask.requires("admin")
    def page() -> str:
        return "secret"

    return _status_by_wsgi(application.wsgi_app, guards)


def catching_by_starlette(*guards: Guard) -> int:
    """Return the status of a Starlette page that catches the refusals of its functions."""

    @authguard.starlette.requires("admin")
    async def menu(request: Any) -> None: ...

    @authguard.starlette.requires("owner")
    async def bills(request: Any) -> None: ...

    async def page(request: Any) -> PlainTextResponse:
        for part in (menu, bills, menu):
            with pytest.raises(authguard.starlette.RefusedHTTPException):
                await part(request)
        return PlainTextResponse("all but these")

    return _status_by_asgi(Starlette(routes=[Route("/private", page)]), guards)


def catching_by_flask(*guards: Guard) -> int:
    """Return the status of a Flask page that catches the refusals of its functions."""
    application = flask.Flask(__name__)

    @authguard.flask.requires("admin")
    def menu() -> None: ...

    @authguard.flask.requires("owner")
    def bills() -> None: ...

    @application.get("/private")
    def page() -> str:
        for part in (menu, bills, menu):
            with pytest.raises(HTTPException):
                part()
        return "all but these"

    return _status_by_wsgi(application.wsgi_app, guards)


decorated = pytest.mark.parametrize("send", [by_starlette, by_flask])
nested = pytest.mark.parametrize("send", [over_asgi, over_wsgi, over_both])


@decorated
def test_what_a_decorator_refuses_takes_nothing(send: Send) -> None:
    """A refusal by a decorator gives back the quotas of all guards."""
    stores = [MemoryQuotas(clock=clock) for _ in range(2)]
    for inner in (limited(stores[0], Quota(1, 60)), limited(stores[1], Quota(1, 60)), Guard(Keys())):
        outermost, middle = limited(stores[0], Quota(1, 60)), Guard(Keys())
        assert [send(outermost, middle, inner) for _ in range(3)] == [403] * 3


@decorated
def test_what_a_decorator_refuses_is_no_use(send: Send) -> None:
    """A refusal by a decorator is counted as forbidden by the outer guard, if the inner does not count."""
    keys = Keys()
    assert send(Guard(keys), Guard(Silent())) == 403
    assert keys.told == [("(default)", "forbidden")]


@decorated
def test_guards_that_count_nothing(send: Send) -> None:
    """A decorator refuses inside of two guards that do not count."""
    assert send(Guard(Silent()), Guard(Silent())) == 403


@decorated
def test_what_a_decorator_refuses_counts_once(send: Send) -> None:
    """The innermost guard that counts has the refusal of a decorator in its count."""
    keys = Keys()
    guards = Guard(keys), Guard(keys, protected_paths=["/**"]), Guard(keys, protected_paths=["/private"])
    assert send(*guards) == 403
    assert keys.told == [("/private", "forbidden")]


@pytest.mark.parametrize("send", [catching_by_starlette, catching_by_flask])
def test_several_refusals_of_one_request(send: Send) -> None:
    """A page that catches several refusals is counted once for each request."""
    keys, silent = Keys(), Guard(Silent())
    guard = Guard(keys)
    assert [send(guard, silent) for _ in range(2)] == [200, 200]
    assert [send(guard) for _ in range(2)] == [200, 200]
    assert keys.told == [("(default)", "forbidden")] * 4


@decorated
def test_a_caller_whom_only_the_outer_guard_knows(send: Send) -> None:
    """A caller whom only the outer guard has admitted takes nothing, if a decorator refuses."""
    outer = limited(MemoryQuotas(clock=clock), Quota(1, 60))
    inner = Guard(_Partner(), public_paths=["/private"])
    assert [send(outer, inner) for _ in range(3)] == [401] * 3


class _Partner(Keys):
    header = "X-Partner-Key"


@nested
def test_a_guard_without_quotas_between_two(send: Send) -> None:
    """A quota that the outermost guard has taken is not taken again by the innermost one."""
    store = MemoryQuotas(clock=clock)
    guards = limited(store, Quota(2, 60)), Guard(Keys()), limited(store, Quota(2, 60))
    assert [send(*guards) for _ in range(3)] == [200, 200, 429]


@nested
def test_the_innermost_of_three_guards_refuses(send: Send) -> None:
    """A refusal by the innermost guard gives back the quota of the outermost one, and changes its count."""
    keys = Keys()
    outermost = Guard(keys, quotas=[Quota(1, 60)], quota_store=MemoryQuotas(clock=clock))
    innermost = Guard(Silent(), protected_paths=[Rule("/**", scopes=["admin"])])
    assert [send(outermost, Guard(Silent()), innermost) for _ in range(3)] == [403] * 3
    assert keys.told == [("(default)", "forbidden")] * 3


@nested
def test_a_guard_that_does_not_count_between_two(send: Send) -> None:
    """The innermost guard counts, and the outermost one does not."""
    keys = Keys()
    guards = Guard(keys), Guard(Silent()), Guard(keys, protected_paths=["/**"])
    assert send(*guards) == 200
    assert keys.told == [("/**", "ok")]
