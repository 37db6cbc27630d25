"""The OpenAPI document of the service: it names what there is, and the page shows it."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jinja2 import Template
from starlette.routing import Route
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.api import oauth_forms
from authguard.identity.openapi.operations import operation_of
from authguard.identity.social import GitHub
from authguard.identity.web.bodies import JSONBody
from identity.processes import shapes_in
from identity.support import ANN, ISSUER, browser, service_at

pytestmark = pytest.mark.one_database


@pytest.fixture
def full(url: str) -> Iterator[Identity]:
    """A service that has all endpoints."""
    with service_at(url, secret_scanning=True, dev=True) as service:
        yield Identity(service)


def routes_of(identity: Identity) -> list[Route]:
    """The routes of the service that are no pages."""
    pages = set(identity._pages.paths)
    router: Any = identity.app.app
    return [route for route in router.routes if isinstance(route, Route) and route.path not in pages]


def document_of(identity: Identity) -> dict[str, Any]:
    response = TestClient(identity).get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    return dict(response.json())


def test_each_route_is_in_the_document(full: Identity) -> None:
    """The operations are exactly the endpoints, whatever their prefix is."""
    first, *others = full._settings.prefixes
    assert others
    results = set()
    for route in routes_of(full):
        path = route.path
        for prefix in others:
            path = re.sub(f"^{prefix}/", f"{first}/", path)
        results |= {(method, path) for method in (route.methods or set()) - {"HEAD"}}
    paths = document_of(full)["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == results


def test_bodies_are_those_that_the_endpoints_read(full: Identity) -> None:
    """The body of an operation is the model by which its endpoint reads the request."""
    for route in routes_of(full):
        operation = operation_of(route.endpoint)
        source = inspect.getsource(inspect.unwrap(route.endpoint))
        names = re.findall(r"read_json\(request, (?:bodies\.)?(\w+)\)", source)
        is_body = inspect.isclass(operation.json) and issubclass(operation.json, JSONBody)
        assert names == ([operation.json.__name__] if is_body else []), route.path
        assert ("read_form(" in source) is (operation.form is not None), route.path


def test_forms_name_the_fields_that_the_endpoints_read(full: Identity) -> None:
    """The forms of OAuth have the fields that the code reads, and no others but the hint of RFC 7009."""
    source = inspect.getsource(inspect.getmodule(oauth_endpoint(full)))  # type: ignore[arg-type]
    read = set(re.findall(r'_required\(form, "(\w+)"\)|form\.get\("(\w+)"|"(\w+)" in form', source))
    names = {name for names_of_form in read for name in names_of_form if name}
    forms = oauth_forms.TokenForm, oauth_forms.IntrospectionForm, oauth_forms.RevocationForm
    described = {name for form in forms for name in form.__annotations__}
    assert described - {"token_type_hint"} == names


def oauth_endpoint(identity: Identity) -> Any:
    return next(r.endpoint for r in routes_of(identity) if r.path.endswith("/oauth/token")).__wrapped__


def test_operations_that_the_guard_protects_say_so(full: Identity) -> None:
    """Who brings no credential is refused exactly where the document asks for one."""
    client = TestClient(full)
    for path, methods in document_of(full)["paths"].items():
        for method, operation in methods.items():
            if path.endswith(("{provider}/callback", "{provider}/authorize", "auth/refresh")):
                continue  # open for the providers that there are; takes an access token by itself
            needs = bool(operation["security"]) and {} not in operation["security"]
            status = client.request(method, re.sub(r"\{\w+\}", "x", path)).status_code
            assert (status == 401) is needs, (path, status)


def test_names_are_unique_and_references_lead_somewhere(full: Identity) -> None:
    """No two operations have one id, and each reference is one of a schema that is there."""
    document = document_of(full)
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    schemes = {name for operation in operations for need in operation["security"] for name in need}
    assert schemes == document["components"]["securitySchemes"].keys()


def test_the_document_shows_nothing_of_the_settings_that_is_secret(full: Identity) -> None:
    """Examples have no shape of a secret."""
    assert shapes_in([("the document", json.dumps(document_of(full)))]) == []
    assert full._settings.secret not in json.dumps(document_of(full))


def test_it_says_where_the_service_is(full: Identity) -> None:
    """The server of the document is the issuer, and the other prefixes are named."""
    document = document_of(full)
    assert document["servers"] == [{"url": ISSUER}]
    assert "/v1" in document["info"]["description"]
    assert document["openapi"].startswith("3.1.")


def test_without_keys_no_operation_takes_one(url: str) -> None:
    """A service without API keys names neither their endpoints nor their scheme."""
    with service_at(url, api_keys=False) as service:
        document = document_of(Identity(service))
    assert not [path for path in document["paths"] if "api-keys" in path]
    assert "X-API-Key" not in json.dumps(document)


def test_providers_are_examples(url: str) -> None:
    """The names of the providers that there are stand at the parameter of the path."""
    callbacks = [f"{ISSUER}{prefix}/auth/github/callback" for prefix in ("/api/v1", "/v1")]
    provider = GitHub(client_id="us", client_secret="provider-secret-1", redirect_uris=callbacks)
    with service_at(url) as service:
        document = document_of(Identity(service, providers=[provider]))
    (parameter, *_) = document["paths"]["/api/v1/auth/{provider}/authorize"]["get"]["parameters"]
    assert parameter["schema"]["examples"] == ["github"]


def test_it_can_be_switched_off(url: str) -> None:
    """With `openapi=False` there is neither the document nor the page."""
    with service_at(url, openapi=False) as service:
        client = TestClient(Identity(service))
        assert [client.get(path).status_code for path in ("/openapi.json", "/docs")] == [404, 404]


def test_pages_of_all_origins_may_read_it(full: Identity) -> None:
    """A viewer elsewhere may read the document, without credentials."""
    response = TestClient(full).get("/openapi.json", headers={"origin": "https://viewer.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


def test_the_page_shows_each_operation_and_runs_nothing(full: Identity) -> None:
    """The page has a section for each operation, under the policy of all pages, with unique ids."""
    response = browser(full).get("/docs")
    assert response.status_code == 200
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in response.text and "style=" not in response.text
    for path, methods in document_of(full)["paths"].items():
        for method, operation in methods.items():
            assert f'id="{operation["operationId"]}"' in response.text, (method, path)
    ids = re.findall(r' id="([^"]+)"', response.text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', response.text)) <= set(ids)


def test_the_page_is_rendered_once_for_each_mount_point(
    full: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for it, and rendering it takes some 20 ms of the event loop."""
    rendered, render = [], Template.render
    monkeypatch.setattr(
        Template, "render", lambda self, *given: rendered.append(self.name) or render(self, *given)
    )
    texts = [
        TestClient(full, root_path=root, base_url=ISSUER).get(f"{root}/docs{query}").text
        for root in ("", "/id", "", "/id")
        for query in ("", "?notice=deleted")
    ]
    assert rendered == ["reference.html"] * 2
    assert len(set(texts)) == 2
    assert 'href="/id/openapi.json"' in texts[2]
    assert "Your account was deleted" not in texts[1]


def test_the_page_is_where_the_pages_are(url: str) -> None:
    """Below `pages_path`, and it leads to the document wherever the service is mounted."""
    with service_at(url, pages_path="/auth") as service:
        client = browser(Identity(service))
        assert client.get("/docs").status_code == 404
        assert 'href="/openapi.json"' in client.get("/auth/docs").text


def test_another_method_is_told_all_that_there_are(app: Identity) -> None:
    """405 names the methods of all routes of the path (RFC 9110 section 15.5.6)."""
    client = TestClient(app)
    token = client.post("/v1/auth/register", json=ANN).json()["access_token"]
    client.headers["authorization"] = f"Bearer {token}"
    allowed = {
        path: set(re.split(", ?", client.options(path).headers["allow"]))
        for path in ("/v1/auth/github/callback", "/v1/auth/login")
    }
    assert allowed["/v1/auth/login"] == {"POST"}
    assert allowed["/v1/auth/github/callback"] == {"GET", "HEAD", "POST"}
