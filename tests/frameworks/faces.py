"""Build one application in each framework behind the guard, for the table of `adapters/cases.py`.

A function creates each application with a guard and a clock, as in `adapters/faces.py`. It answers each path
of the table with the subject of the caller. Functions import their framework, because a server needs only
one.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import authguard.asgi
import authguard.wsgi
from adapters import faces
from authguard import Guard
from frameworks.django_served import django_asgi, django_wsgi

Make = Callable[[Guard, Callable[[], float]], Any]
METHODS = ["GET", "POST", "OPTIONS"]


@dataclass(frozen=True)
class Framework:
    """Describe a framework for the table.

    Attributes:
        interface: `asgi` or `wsgi`.
        make: returns the guarded application.
        distribution: the distribution whose version is shown; empty for the bare interface.
        caller: the expression with which a handler finds the caller, for docs/frameworks.md.
    """

    interface: str
    make: Make
    distribution: str
    caller: str = ""

    def ask(self, app: Any, *request: Any) -> faces.Answer:
        """Send a request to an application in this process."""
        return (faces.ask_asgi if self.interface == "asgi" else faces.ask_wsgi)(app, *request)


def litestar(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return a Litestar application."""
    module = importlib.import_module("litestar")

    async def page(request: Any) -> str:
        assert request.user is request.scope["state"]["user"]
        return str(request.user.subject)

    page.__annotations__["request"] = module.Request  # Litestar chooses the argument by the annotation
    routes = module.route(
        ["/", "/{rest:path}"], http_method=METHODS, media_type="text/plain", status_code=200
    )(page)
    app = module.Litestar([routes], openapi_config=None, logging_config=None)
    return authguard.asgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


def quart(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return a Quart application."""
    module = importlib.import_module("quart")
    app = module.Quart("app")

    async def page(rest: str = "") -> str:
        return str(module.request.scope["state"]["user"].subject)

    for path in ("/", "/<path:rest>"):
        app.add_url_rule(path, path, page, methods=METHODS, provide_automatic_options=False)
    app.asgi_app = authguard.asgi.AuthGuardMiddleware(app.asgi_app, guard=guard, clock=clock)
    return app


def falcon_asgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return a Falcon application on ASGI."""
    app = importlib.import_module("falcon.asgi").App()

    async def page(request: Any, response: Any) -> None:
        response.text = request.scope["state"]["user"].subject

    app.add_sink(page, "/")
    return authguard.asgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


def falcon_wsgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return a Falcon application on WSGI."""
    app = importlib.import_module("falcon").App()

    def page(request: Any, response: Any) -> None:
        response.text = request.env["authguard.user"].subject

    app.add_sink(page, "/")
    return authguard.wsgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


def bottle(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return a Bottle application."""
    module = importlib.import_module("bottle")
    app = module.Bottle()

    def page(rest: str = "") -> str:
        return str(module.request.environ["authguard.user"].subject)

    for path in ("/", "/<rest:path>"):
        app.route(path, METHODS, page)
    return authguard.wsgi.AuthGuardMiddleware(app, guard=guard, clock=clock)


#: Each framework gets the whole table, on a server of `servers.py`, and those of `IN_PROCESS` also in this
#: process.
FRAMEWORKS = {
    "ASGI": Framework("asgi", faces.raw_asgi, "", 'scope["state"]["user"]'),
    "WSGI": Framework("wsgi", faces.raw_wsgi, "", 'environ["authguard.user"]'),
    "Starlette": Framework("asgi", faces.starlette, "starlette", "request.user"),
    "FastAPI": Framework("asgi", faces.fastapi, "fastapi", "user: CurrentUser"),
    "Flask": Framework("wsgi", faces.flask_app, "flask", "current_user"),
    "Litestar": Framework("asgi", litestar, "litestar", "request.user"),
    "Quart": Framework("asgi", quart, "quart", 'request.scope["state"]["user"]'),
    "Falcon on ASGI": Framework("asgi", falcon_asgi, "falcon", 'request.scope["state"]["user"]'),
    "Falcon on WSGI": Framework("wsgi", falcon_wsgi, "falcon", 'request.env["authguard.user"]'),
    "Bottle": Framework("wsgi", bottle, "bottle", 'request.environ["authguard.user"]'),
    "Django on ASGI": Framework("asgi", django_asgi, "django", "request.user"),
    "Django on WSGI": Framework("wsgi", django_wsgi, "django", "request.user"),
}
#: A process can have only one Django project, so `test_django_same_answers.py` tests it.
IN_PROCESS = [name for name, framework in FRAMEWORKS.items() if framework.distribution != "django"]
