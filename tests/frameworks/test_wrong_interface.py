"""The middleware of the wrong interface is refused for each framework, and bridges are accepted."""

from typing import Any

import pytest

from frameworks.support import need

need("a2wsgi", "litestar", "quart", "falcon", "bottle")

pytestmark = pytest.mark.frameworks

import bottle
import falcon
import falcon.asgi
import litestar
import quart
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

from adapters.preflights import guard
from authguard import ConfigurationError, asgi, wsgi

QUART = quart.Quart("app")
OF_ASGI: list[Any] = [
    litestar.Litestar([], openapi_config=None, logging_config=None),
    QUART,
    QUART.asgi_app,
    falcon.asgi.App(),
    WSGIMiddleware(bottle.Bottle()),
]
OF_WSGI: list[Any] = [bottle.Bottle(), falcon.App(), ASGIMiddleware(QUART)]


@pytest.mark.parametrize("app", OF_ASGI, ids=lambda app: type(app).__qualname__)
def test_an_application_of_asgi(app: Any) -> None:
    """The middleware of ASGI accepts an ASGI application, and that of WSGI refuses it."""
    assert asgi.AuthGuardMiddleware(app, guard=guard())
    with pytest.raises(ConfigurationError, match="got an ASGI application"):
        assert wsgi.AuthGuardMiddleware(app, guard=guard())


@pytest.mark.parametrize("app", OF_WSGI, ids=lambda app: type(app).__qualname__)
def test_an_application_of_wsgi(app: Any) -> None:
    """The middleware of WSGI accepts a WSGI application, and that of ASGI refuses it."""
    assert wsgi.AuthGuardMiddleware(app, guard=guard())
    with pytest.raises(ConfigurationError, match="got a WSGI application"):
        assert asgi.AuthGuardMiddleware(app, guard=guard())


def test_the_handlers_of_django() -> None:
    """Each of Django's two handlers is refused by the middleware of the other interface."""
    with pytest.raises(ConfigurationError, match="got an ASGI application"):
        wsgi.AuthGuardMiddleware(ASGIHandler.__new__(ASGIHandler), guard=guard())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="got a WSGI application"):
        asgi.AuthGuardMiddleware(WSGIHandler.__new__(WSGIHandler), guard=guard())  # type: ignore[arg-type]
