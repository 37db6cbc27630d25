"""The OpenAPI document of the service, and the page that shows it."""

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
    """Run a service that has all endpoints."""
    with service_at(url, secret_scanning=True, dev=True) as service:
        yield Identity(service)


def routes_of(identity: Identity) -> list[Route]:
    """Return the routes of the service except for pages."""
    pages = set(identity._pages.paths)
    router: Any = identity.app.app
    return [route for route in router.routes if isinstance(route, Route) and route.path not in pages]


def document_of(identity: Identity) -> dict[str, Any]:
    response = TestClient(identity).get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    return dict(response.json())


def test_each_route_is_in_the_document(full: Identity) -> None:
    """The operations are exactly the endpoints, under the first prefix."""
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


@pytest.mark.slow
def test_a_document_has_the_bodies_of_its_own_service(url: str, full: Identity) -> None:
    """Documents of services with the same endpoints are equal, and one without API keys has fewer schemas."""
    with service_at(url, api_keys=False) as service, service_at(url, secret_scanning=True, dev=True) as other:
        fewer, same = document_of(Identity(service)), document_of(Identity(other))
    document = document_of(full)
    assert document == same
    names, all_names = (set(each["components"]["schemas"]) for each in (fewer, document))
    assert names < all_names
    assert {name for name in all_names - names if "Key" in name}


def test_bodies_are_those_that_the_endpoints_read(full: Identity) -> None:
    """The body of an operation is the model by which its endpoint reads the request."""
    for route in routes_of(full):
        operation = operation_of(route.endpoint)
        source = inspect.getsource(inspect.unwrap(route.endpoint))
        reading = r"(?:read_json|read_optional_json)\(request, (?:bodies\.)?(\w+)\)"
        # an optional body with a required field is checked only if it has fields
        names = re.findall(reading, source) or re.findall(r"validate\(bodies\.(\w+), fields\)", source)
        is_body = inspect.isclass(operation.json) and issubclass(operation.json, JSONBody)
        described = [kind.__name__ for kind in operation.json.__mro__] if is_body else []
        assert bool(names) is is_body and set(names) <= set(described), route.path
        assert ("read_form(" in source) is (operation.form is not None), route.path


def test_forms_name_the_fields_that_the_endpoints_read(full: Identity) -> None:
    """The forms of OAuth have the fields that the code reads, and the hint of RFC 7009."""
    source = inspect.getsource(inspect.getmodule(oauth_endpoint(full)))  # type: ignore[arg-type]
    read = set(re.findall(r'_required\(form, "(\w+)"\)|form\.get\("(\w+)"|"(\w+)" in form', source))
    names = {name for names_of_form in read for name in names_of_form if name}
    forms = oauth_forms.TokenForm, oauth_forms.IntrospectionForm, oauth_forms.RevocationForm
    described = {name for form in forms for name in form.__annotations__}
    assert described - {"token_type_hint"} == names


def oauth_endpoint(identity: Identity) -> Any:
    return next(r.endpoint for r in routes_of(identity) if r.path.endswith("/oauth/token")).__wrapped__


@pytest.mark.slow
def test_operations_that_the_guard_protects_say_so(full: Identity) -> None:
    """A request without a credential is 401 exactly where the document requires one."""
    client = TestClient(full)
    for path, methods in document_of(full)["paths"].items():
        for method, operation in methods.items():
            if path.endswith(("{provider}/callback", "{provider}/authorize", "auth/refresh")):
                continue  # open for the configured providers, or verifies an access token itself
            needs = bool(operation["security"]) and {} not in operation["security"]
            status = client.request(method, re.sub(r"\{\w+\}", "x", path)).status_code
            assert (status == 401) is needs, (path, status)


def test_names_are_unique_and_references_lead_somewhere(full: Identity) -> None:
    """Each operation has an id of its own, and each reference has its schema."""
    document = document_of(full)
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    schemes = {name for operation in operations for need in operation["security"] for name in need}
    assert schemes == document["components"]["securitySchemes"].keys()


@pytest.mark.slow
def test_the_document_shows_nothing_of_the_settings_that_is_secret(full: Identity) -> None:
    """The document has no text in the form of a secret, and not the secret of the settings."""
    assert shapes_in([("the document", json.dumps(document_of(full)))]) == []
    assert full._settings.secret not in json.dumps(document_of(full))


def test_it_says_where_the_service_is(full: Identity) -> None:
    """The server of the document is the issuer, and the description names the other prefixes."""
    document = document_of(full)
    assert document["servers"] == [{"url": ISSUER}]
    assert "/v1" in document["info"]["description"]
    assert document["openapi"].startswith("3.1.")


def test_without_keys_no_operation_takes_one(url: str) -> None:
    """The document of a service without API keys has neither their endpoints nor their scheme."""
    with service_at(url, api_keys=False) as service:
        document = document_of(Identity(service))
    assert not [path for path in document["paths"] if "api-keys" in path]
    assert "X-API-Key" not in json.dumps(document)


def test_providers_are_examples(url: str) -> None:
    """The configured providers are examples of the parameter in the path."""
    callbacks = [f"{ISSUER}{prefix}/auth/github/callback" for prefix in ("/api/v1", "/v1")]
    provider = GitHub(client_id="us", client_secret="provider-secret-1", redirect_uris=callbacks)
    with service_at(url) as service:
        document = document_of(Identity(service, providers=[provider]))
    (parameter, *_) = document["paths"]["/api/v1/auth/{provider}/authorize"]["get"]["parameters"]
    assert parameter["schema"]["examples"] == ["github"]


def test_it_can_be_switched_off(url: str) -> None:
    """With `openapi=False` the document and the page are 404."""
    with service_at(url, openapi=False) as service:
        client = TestClient(Identity(service))
        assert [client.get(path).status_code for path in ("/openapi.json", "/docs")] == [404, 404]


def test_pages_of_all_origins_may_read_it(full: Identity) -> None:
    """A page of another origin may read the document, without credentials."""
    response = TestClient(full).get("/openapi.json", headers={"origin": "https://viewer.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


def test_the_page_shows_each_operation_and_runs_nothing(full: Identity) -> None:
    """The page has a section for each operation, no scripts, and unique ids."""
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


@pytest.mark.slow
def test_the_page_is_rendered_once_for_each_mount_point(
    full: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is rendered once for each path of a mount, because rendering delays the event loop."""
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
    """The page is below `pages_path`, and links to the document."""
    with service_at(url, pages_path="/auth") as service:
        client = browser(Identity(service))
        assert client.get("/docs").status_code == 404
        assert 'href="/openapi.json"' in client.get("/auth/docs").text


def test_another_method_is_told_all_that_there_are(app: Identity) -> None:
    """A 405 lists the methods of all routes of the path (RFC 9110 section 15.5.6)."""
    client = TestClient(app)
    token = client.post("/v1/auth/register", json=ANN).json()["access_token"]
    client.headers["authorization"] = f"Bearer {token}"
    allowed = {
        path: set(re.split(", ?", client.options(path).headers["allow"]))
        for path in ("/v1/api-keys", "/v1/auth/login")
    }
    assert allowed["/v1/auth/login"] == {"POST"}
    assert allowed["/v1/api-keys"] == {"GET", "HEAD", "POST"}
