"""A Django project with the guard behind gunicorn, by WSGI, and behind uvicorn, by ASGI."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from frameworks.support import need

need("django", "gunicorn", "uvicorn")

pytestmark = pytest.mark.frameworks

from authguard.testing import issue_token
from wire.servers import Server, launch, stop

SECRET = "served-0nly-Secret-of-enough-bytes-9Vb"  # of `frameworks.django_served`


@pytest.fixture(name="server", params=["gunicorn", "uvicorn"])
def _server(request: Any) -> Iterator[Server]:
    app = "wsgi_app" if request.param == "gunicorn" else "asgi_app"
    server = launch(request.param, f"frameworks.django_served:{app}", {})
    yield server
    stop(server)


def bearer(**claims: Any) -> str:
    """The field of a caller."""
    return f"Authorization: Bearer {issue_token(SECRET, subject='ann', **claims)}"


def test_behind_a_server(server: Server) -> None:
    """Callers pass and others do not, in plain views and in `async` ones, by whatever path."""
    nobody = server.send("/private")
    assert (nobody.status, json.loads(nobody.body)["code"]) == (401, "missing_credentials")
    assert nobody.field("www-authenticate") == 'Bearer realm="api"'
    assert server.send("/private", bearer()).body == b"ann"
    assert (server.send("/open").status, server.send("/open").body) == (200, b"")
    assert server.send("/admin", bearer()).status == 403
    assert server.send("/admin", bearer(scopes=["admin"])).body == b"ann"
    head = server.send("/private", method="HEAD")
    assert (head.status, head.body) == (401, b"")
    browser = server.send("/private?a=1", "Accept: text/html")
    assert (browser.status, browser.field("location")) == (303, "/login?next=%2Fprivate%3Fa%3D1")
    for path in ("/open/../private", "/%6fpen%2f..%2fprivate", "//private", "/open;/private"):
        assert server.send(path).status == 401, path
