"""The metadata of the protected resource (RFC 9728)."""

import json
from typing import Any

import pytest

from authguard import (
    ConfigurationError,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    MutualTLS,
    ResourceMetadata,
)
from support import SECRET

PREFIX = "/.well-known/oauth-protected-resource"
ISSUERS = ["https://auth.example.com"]


def document(metadata, **options):
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    page = Guard(jwt, resource=metadata, **options).metadata_page
    return json.loads(page.answer("GET", PREFIX).body)


@pytest.mark.parametrize(
    ("resource", "url", "paths"),
    [
        ("https://api.example.com", "https://api.example.com" + PREFIX, {PREFIX}),
        ("https://api.example.com/", "https://api.example.com" + PREFIX, {PREFIX}),
        ("https://api.example.com/mcp", f"https://api.example.com{PREFIX}/mcp", {PREFIX, PREFIX + "/mcp"}),
        ("https://h:8443/a/b/", f"https://h:8443{PREFIX}/a/b/", {PREFIX, PREFIX + "/a/b/"}),
        ("https://h/%C3%BC", f"https://h{PREFIX}/%C3%BC", {PREFIX, PREFIX + "/\xfc"}),
        ("http://127.0.0.1:8000/mcp", f"http://127.0.0.1:8000{PREFIX}/mcp", {PREFIX, PREFIX + "/mcp"}),
    ],
)
def test_where_it_is(resource, url, paths):
    """The well-known path is between host and path (section 3.1), and at the root too."""
    metadata = ResourceMetadata(resource)
    assert (metadata.url, metadata.paths) == (url, paths)


def test_what_it_says():
    """The metadata has the members of section 2, with `resource` as it was written."""
    metadata = ResourceMetadata(
        "https://API.example.com/mcp", ISSUERS, scopes_supported=["read"], resource_name="Notes"
    )
    assert document(metadata) == {
        "resource": "https://API.example.com/mcp",
        "authorization_servers": ISSUERS,
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Notes",
    }


def test_what_is_empty_is_left_out():
    """An empty member is left out (section 3.2)."""
    assert set(document(ResourceMetadata("https://h"))) == {"resource", "bearer_methods_supported"}


def test_the_proofs_are_told():
    """The metadata has the kinds of proofs that the guard accepts."""
    proofs = [DPoP("https://h", algorithms=["ES256"]), MutualTLS()]
    metadata = document(ResourceMetadata("https://h"), proofs=proofs)
    assert metadata["dpop_signing_alg_values_supported"] == ["ES256"]
    assert metadata["tls_client_certificate_bound_access_tokens"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_any_site_may_read_it(method):
    """The metadata can be read by scripts of each origin."""
    answer = Guard(
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None),
        resource=ResourceMetadata("https://h"),
    ).metadata_page.answer(method, PREFIX)
    assert answer.status == 200
    assert dict(answer.headers)["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resource": "api.example.com"}, "must be a URL"),
        ({"resource": None}, "must be a URL"),
        ({"resource": "https://h/a?b"}, "must be a URL"),
        ({"resource": "https://h/a#b"}, "must be a URL"),
        ({"resource": 'https://h/a"b'}, "must be a URL"),
        ({"resource": "http://h/a"}, "must be https"),
        ({"resource": "https://h//a"}, "one way"),
        ({"resource": "https://h/a;b"}, "one way"),
        ({"resource": "https://h/a%252F"}, "one way"),
        ({"resource": "https://h", "authorization_servers": "https://a"}, "must be a list"),
        ({"resource": "https://h", "authorization_servers": ["a"]}, "must be a URL"),
        ({"resource": "https://h", "authorization_servers": ["http://a"]}, "must be https"),
        ({"resource": "https://h", "scopes_supported": "read"}, "must be a list"),
        ({"resource": "https://h", "scopes_supported": "read,write"}, r"=\['read', 'write'\]"),
        ({"resource": "https://h", "scopes_supported": ["read,write"]}, r"=\['read', 'write'\]"),
    ],
    ids=range(15),
)
def test_a_mistake_is_named_when_it_is_built(options, says):
    """A value that is no resource URL or no list of issuers is refused, with the correction."""
    with pytest.raises(ConfigurationError, match=says):
        ResourceMetadata(**options)


RESOURCE = "https://api.example.com/mcp"


def warned(caplog: pytest.LogCaptureFixture, *options: Any, servers: Any = ISSUERS) -> list[str]:
    """Build a guard of verifiers with these issuers and audiences; return its warnings."""
    verifiers = [
        JWTVerifier(SECRET, algorithms=["HS256"], issuer=issuer, audience=audience)
        for issuer, audience in options
    ]
    Guard(*verifiers, resource=ResourceMetadata(RESOURCE, servers))
    return caplog.messages


@pytest.mark.parametrize("issuer", [ISSUERS[0], None])
@pytest.mark.parametrize("audience", ["https://api.example.com", RESOURCE + "/", ["a", "b"]], ids=str)
def test_a_verifier_with_another_audience_is_a_warning(
    caplog: pytest.LogCaptureFixture, audience: Any, issuer: str | None
) -> None:
    """A verifier with another audience is a warning, because it would refuse the tokens for the resource."""
    (line,) = warned(caplog, (issuer, audience))
    assert line.startswith(f"audience must contain the resource '{RESOURCE}'")
    assert f"write audience='{RESOURCE}'" in line


@pytest.mark.parametrize("audience", [RESOURCE, ["other", RESOURCE], None], ids=str)
def test_the_audience_of_the_resource_is_no_warning(caplog: pytest.LogCaptureFixture, audience: Any) -> None:
    """A verifier whose audience contains the resource, or is None, gives no warning."""
    assert warned(caplog, (ISSUERS[0], audience)) == []


def test_an_issuer_that_the_metadata_do_not_name_may_have_any_audience(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A verifier of an issuer outside of the metadata may have any audience."""
    options = [(ISSUERS[0], RESOURCE), ("https://other.example.com", "web")]
    assert warned(caplog, *options) == []
    assert len(warned(caplog, *options, servers=())) == 1


def test_introspection_with_another_audience_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """An introspection verifier with another audience is a warning."""
    verifier = IntrospectionVerifier(
        "https://auth.example.com/introspect", client_id="api", client_secret=SECRET, audience="api"
    )
    Guard(verifier, resource=ResourceMetadata(RESOURCE, ISSUERS))
    assert len(caplog.messages) == 1
