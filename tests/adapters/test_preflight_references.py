"""A layer that refers to the application in another object is not copied for a preflight."""

import collections
import functools
import types
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from adapters.preflight_layers import ASGIHandlers, PureAdds, WSGIAdds, WSGIHandlers
from adapters.preflights import SPA, guard, preflight_asgi, preflight_wsgi
from authguard._preflight import references
from authguard.asgi import AuthGuardMiddleware
from authguard.wsgi import AuthGuardMiddleware as WSGIGuard

REGISTRY: dict[str, Any] = {}


class Pipeline:
    """Hold an application under a name of its own, with an attribute of its class beside it."""

    label = "pipeline"

    def __init__(self, target: Any) -> None:
        self.target = target

    def find(self) -> Any:
        """Return the application."""
        return self.target


class Slots:
    """Hold an application in a slot."""

    __slots__ = ("empty", "target")

    def __init__(self, target: Any) -> None:
        self.target = target

    def find(self) -> Any:
        """Return the application."""
        return self.target


class Mapped(dict[str, Any]):
    """Hold an application in an attribute of a dictionary."""

    def find(self) -> Any:
        """Return the application."""
        return self.target


def of_class(app: Any) -> Callable[[], Any]:
    """Hold an application in an attribute of a class."""

    class Holder:
        target = staticmethod(app)

        def find(self) -> Any:
            return type(self).target

    return Holder().find


def of_class_itself(app: Any) -> Callable[[], Any]:
    """Hold an application in a class, which is not created."""

    class Holder:
        target = [app]  # noqa: RUF012

        @classmethod
        def find(cls) -> Any:
            return cls.target[0]

    return Holder.find


def of_registry(app: Any) -> Callable[[], Any]:
    """Hold an application in a variable of the module."""
    REGISTRY["app"] = app
    return lambda: REGISTRY["app"]


def of_dictionaries(app: Any) -> Callable[[], Any]:
    """Hold an application five dictionaries deep."""
    deep = {"x": {"x": {"x": {"x": {"x": app}}}}}
    return lambda: deep["x"]["x"]["x"]["x"]["x"]


def of_mapped(app: Any) -> Callable[[], Any]:
    """Hold an application in an attribute of a dictionary."""
    mapped = Mapped(a=1)
    mapped.target = app
    return mapped.find


def of_long_list(app: Any) -> Callable[[], Any]:
    """Hold an application at the end of a long list."""
    long = [*range(1_000), app]
    return lambda: long[-1]


def of_deque(app: Any) -> Callable[[], Any]:
    """Hold an application in a queue of the standard library."""
    queue = collections.deque([app])
    return lambda: queue[0]


def of_default(app: Any) -> Callable[[], Any]:
    """Hold an application in a default value."""

    def find(*, app: Any = app) -> Any:
        return app

    return find


def of_attribute(app: Any) -> Callable[[], Any]:
    """Hold an application in an attribute of a function."""

    def find() -> Any:
        return find.target

    find.target = app  # type: ignore[attr-defined]
    return find


HOLDERS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "a helper": lambda app: Pipeline(app).find,
    "a helper in a helper": lambda app: Pipeline(Pipeline(app)).target.find,
    "a slot": lambda app: Slots(app).find,
    "a namespace": lambda app: functools.partial(getattr, types.SimpleNamespace(target=app), "target"),
    "a class": of_class,
    "a class itself": of_class_itself,
    "a registry": of_registry,
    "dictionaries": of_dictionaries,
    "an attribute of a dictionary": of_mapped,
    "a long list": of_long_list,
    "a queue": of_deque,
    "a default value": of_default,
    "an attribute of a function": of_attribute,
}
HELD = pytest.mark.parametrize("held", HOLDERS)


class Finds(PureAdds):
    """Call the application that another object holds."""

    def __init__(self, app: Any, hold: Any) -> None:
        super().__init__(app)
        self.find = hold(app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.find()(scope, receive, send)


class WSGIFinds(WSGIAdds):
    """Call the application that another object holds."""

    def __init__(self, app: Any, hold: Any) -> None:
        super().__init__(app)
        self.find = hold(app)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.find()(environ, start_response)


@HELD
def test_an_asgi_layer_with_another_reference_runs_no_handler(held: str) -> None:
    """The guard answers instead, and other requests reach the handler."""
    handlers = ASGIHandlers()
    app = Finds(handlers.plain, HOLDERS[held])
    answer = preflight_asgi(AuthGuardMiddleware(app, guard=guard()))
    assert (answer.status, answer.headers, handlers.ran) == (204, {}, [])
    preflight_asgi(AuthGuardMiddleware(app, guard=guard(public_paths=["/private"])))
    assert handlers.ran == ["/private"]


@HELD
def test_a_wsgi_layer_with_another_reference_runs_no_handler(held: str) -> None:
    """The same applies to WSGI."""
    handlers = WSGIHandlers()
    app = WSGIFinds(handlers.plain, HOLDERS[held])
    answer = preflight_wsgi(WSGIGuard(app, guard=guard()))
    assert (answer.status, answer.headers, handlers.ran) == (204, {}, [])
    preflight_wsgi(WSGIGuard(app, guard=guard(public_paths=["/private"])))
    assert handlers.ran == ["/private"]


def test_an_application_inside_of_the_application_is_found() -> None:
    """A layer may refer to an application that is farther inside than the one that it wraps."""
    handlers = ASGIHandlers()
    app = PureAdds(handlers.plain)
    layer = Finds(app, lambda app: Pipeline(app.app).find)
    assert preflight_asgi(AuthGuardMiddleware(layer, guard=guard())).headers == {}
    assert handlers.ran == []


class Dispatches(DispatcherMiddleware):
    """Dispatch by references of its own."""

    def __init__(self, app: Any, mounts: Any, hold: Any) -> None:
        super().__init__(app, mounts)
        self.find = hold(app)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.find()(environ, start_response)


@HELD
@pytest.mark.parametrize("of_mount", [False, True])
def test_a_dispatcher_with_another_reference_runs_no_handler(held: str, of_mount: bool) -> None:
    """A subclass of DispatcherMiddleware may refer to its application, or to a mounted one."""
    handlers, other = WSGIHandlers(), WSGIHandlers()
    hold = (lambda app: HOLDERS[held](other.plain)) if of_mount else HOLDERS[held]
    mounted = other.plain
    app = Dispatches(handlers.plain, {"/other": mounted}, hold)
    answer = preflight_wsgi(WSGIGuard(app, guard=guard()))
    assert (answer.status, handlers.ran, other.ran) == (204, [], [])


class Proxy:
    """Compute each attribute, as the proxies of Werkzeug do."""

    def __init__(self) -> None:
        object.__setattr__(self, "asked", [])

    def __getattribute__(self, name: str) -> Any:
        object.__getattribute__(self, "asked").append(name)
        raise RuntimeError("outside of a request")

    @property
    def app(self) -> Any:
        """Fail."""
        raise RuntimeError("computed")


def test_attributes_are_read_without_code_of_the_application() -> None:
    """Properties and proxies of the objects behind a layer are not run, and the layer answers."""
    proxy = Proxy()
    app = Finds(ASGIHandlers().plain, lambda app: None)
    app.find = proxy
    assert not references.leads_to(object(), app, app.app)
    assert object.__getattribute__(proxy, "asked") == []


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that refers to more objects than the limit is not copied, after no more than the limit."""
    monkeypatch.setattr(references, "MAX_EXAMINED", 100)
    examined: list[Any] = []
    search = references._references
    monkeypatch.setattr(references, "_references", lambda *given: examined.append(0) or search(*given))
    layer = PureAdds(ASGIHandlers().plain)
    layer.many = [[each] for each in range(1_000)]  # type: ignore[attr-defined]
    assert references.leads_to(layer.app, layer, object())
    assert len(examined) <= 101
    layer.many = [str(each) for each in range(1_000)]  # type: ignore[attr-defined]
    assert not references.leads_to(object(), layer, layer.app)


def test_a_layer_with_settings_and_its_application_still_answers() -> None:
    """CORS of Starlette answers inside a layer that has the settings, a logger and the application itself."""
    site = FastAPI()
    site.add_middleware(CORSMiddleware, allow_origins=[SPA], allow_methods=["GET"])

    class Tells:
        def __init__(self, app: Any) -> None:
            self.app = app
            self.site = site
            self.settings = {"many": [{"name": str(each)} for each in range(500)]}
            self.logger = __import__("logging").getLogger("site")

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    site.add_middleware(Tells)
    site.add_middleware(AuthGuardMiddleware, guard=guard())
    fields = {"Origin": SPA, "Access-Control-Request-Method": "GET"}
    answer = TestClient(site).options("/private", headers=fields)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, SPA)
