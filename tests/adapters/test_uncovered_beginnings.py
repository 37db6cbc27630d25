"""The guard warns of a pattern such as `/admin/*` if the route `/admin` requires less."""

import logging
import secrets
from collections.abc import Callable
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import authguard.flask
from adapters.faces import ask_wsgi
from authguard import Guard, JWTVerifier, Rule
from authguard.asgi import AuthGuardMiddleware
from authguard.fastapi import requires

ADMIN = Rule("/admin/*", roles=["admin"])


def page(*_: Any, **__: Any) -> PlainTextResponse:
    return PlainTextResponse("")


def guard(*protected: str | Rule, **options: Any) -> Guard:
    verifier = JWTVerifier(secrets.token_urlsafe(40), algorithms=["HS256"], issuer=None, audience=None)
    return Guard(verifier, protected_paths=protected, **options)


def site(*routes: Route | Mount) -> Starlette:
    return Starlette(routes=[Route("/admin", page), Route("/admin/users", page), *routes])


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return a function that gives the warnings of an application."""

    def call(app: Any, guard: Guard) -> list[str]:
        with caplog.at_level(logging.WARNING, "authguard"):
            if isinstance(app, flask.Flask):
                authguard.flask.init_app(app, guard)
                ask_wsgi(app, "GET", "/nothing")
            else:
                app.add_middleware(AuthGuardMiddleware, guard=guard)
                TestClient(app).get("/nothing")
        return [record.getMessage() for record in caplog.records if record.name == "authguard"]

    return call


def flask_site(path: str) -> flask.Flask:
    app = flask.Flask("site", static_folder=None)
    app.add_url_rule(path, "admin", lambda: "")
    app.add_url_rule("/admin/users", "users", lambda: "")
    return app


@pytest.mark.parametrize(
    "app", [site, lambda: flask_site("/admin"), lambda: flask_site("/admin/")], ids=["asgi", "flask", "slash"]
)
def test_the_route_at_the_beginning_is_named(app: Callable[[], Any], warned: Any) -> None:
    """The warning names the route that lacks the requirement, and both spellings."""
    [warning] = warned(app(), guard("/", ADMIN, public_paths=["/nothing"]))
    assert warning == (
        "patterns of a guard must match routes of the application, got '/admin/*' in protected_paths, which "
        "covers the paths below '/admin', and not the route '/admin': write '/admin', which covers both; if "
        "'/admin' requires less on purpose, write '/admin' in protected_paths, too"
    )


def test_an_open_route_is_named(warned: Any) -> None:
    """If protected_paths alone leaves the route open, the warning says how to list it as open."""
    [warning] = warned(site(), guard("/admin/*"))
    assert warning.endswith("if '/admin' is open on purpose, write '/admin' beside '/**' in public_paths")


@pytest.mark.parametrize(
    ("rules", "public"),
    [
        pytest.param(["/admin", ADMIN], None, id="requires less on purpose"),
        pytest.param(["/admin/*"], ["/admin", "/**"], id="open on purpose"),
        pytest.param([Rule("/admin", roles=["admin"])], None, id="the spelling that works"),
        pytest.param(["/", "/admin/*"], None, id="same requirement"),
        pytest.param([Rule("/", roles=["admin"]), ADMIN], None, id="required above"),
        pytest.param(["/", Rule("/admin/**", roles=["admin"])], None, id="any number"),
        pytest.param(["/", Rule("/admin/*", methods=["PUT"], roles=["admin"])], None, id="other methods"),
        pytest.param(["/admin/*"], ["/other"], id="closed by default"),
        pytest.param([Rule("/admin/*", optional="strict")], None, id="optional"),
    ],
)
def test_rules_that_were_written_on_purpose(rules: list[Any], public: list[str] | None, warned: Any) -> None:
    """A pattern for the paths below alone is accepted if the route is listed, or requires as much."""
    app = site(Route("/other", page))
    assert warned(app, guard(*rules, public_paths=public)) == []


def test_a_login_page_at_the_beginning(warned: Any) -> None:
    """The login page is open on purpose."""
    assert warned(site(), guard("/admin/*", login_path="/admin")) == []


def test_a_parameter_at_the_beginning(warned: Any) -> None:
    """A pattern with another wildcard shows that its author knows the meaning of one."""
    app = Starlette(routes=[Route("/teams/{id}", page), Route("/teams/{id}/keys", page)])
    assert warned(app, guard("/", Rule("/teams/*/*", roles=["admin"]))) == []


def test_a_route_that_checks_the_caller_itself(warned: Any) -> None:
    """A route with the same requirement by `requires` is no fault."""
    app = FastAPI(openapi_url=None)

    @app.get("/admin")
    @requires(roles=["admin"])
    async def admin() -> None: ...

    app.get("/admin/users")(page)
    assert warned(app, guard("/", ADMIN)) == []


def test_the_root_page_of_a_mounted_application(warned: Any) -> None:
    """The first page of an application that is mounted at the beginning is named, too."""
    app = Starlette(routes=[Mount("/admin", Starlette(routes=[Route("/", page), Route("/users", page)]))])
    [warning] = warned(app, guard("/", ADMIN))
    assert "and not the route '/admin'" in warning
