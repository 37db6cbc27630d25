"""Paths with one slash too many, which cause no redirect to another host."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.support import ANN

pytestmark = pytest.mark.one_database  # redirects do not depend on the database

FIELDS = {"host": "evil.example", "x-forwarded-host": "evil.example"}


def routes_of(app):
    """Return each path and method of the service."""
    inner = app.app.app
    return [
        (method, route.path.replace("{session_id}", "1").replace("{provider}", "github"))
        for route in inner.routes
        if isinstance(route, Route)
        for method in sorted(route.methods - {"HEAD"})
    ]


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "/id"], ids=["alone", "mounted"])
@pytest.mark.parametrize("form", ["{}/", "{}//", "/{}", "{}/?next=/"])
def test_no_redirect_to_the_host_of_the_caller(service, prefix, form):
    """A path with additional slashes causes no redirect to the host that the caller has sent."""
    identity = Identity(service)
    app = Starlette(routes=[Mount(prefix, identity)]) if prefix else identity
    client = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    for method, path in routes_of(identity):
        response = client.request(method, form.format(prefix + path), headers=FIELDS, data=ANN)
        assert response.status_code not in (307, 308), (method, path)
        assert "evil.example" not in response.headers.get("location", ""), (method, path)
