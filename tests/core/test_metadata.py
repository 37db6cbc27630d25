"""What the protected resource says about itself: RFC 9728."""

import json

import pytest

from authguard import ConfigurationError, DPoP, Guard, JWTVerifier, MutualTLS, ResourceMetadata
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
    """The well-known path stands between host and path (section 3.1); it is also at the root."""
    metadata = ResourceMetadata(resource)
    assert (metadata.url, metadata.paths) == (url, paths)


def test_what_it_says():
    """The members of section 2, `resource` character by character."""
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
    """Section 3.2."""
    assert set(document(ResourceMetadata("https://h"))) == {"resource", "bearer_methods_supported"}


def test_the_proofs_are_told():
    """So that clients know which tokens to get."""
    proofs = [DPoP("https://h", algorithms=["ES256"]), MutualTLS()]
    metadata = document(ResourceMetadata("https://h"), proofs=proofs)
    assert metadata["dpop_signing_alg_values_supported"] == ["ES256"]
    assert metadata["tls_client_certificate_bound_access_tokens"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_any_site_may_read_it(method):
    """It is for scripts, too."""
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
    ],
    ids=range(13),
)
def test_a_mistake_is_named_when_it_is_built(options, says):
    """What cannot be meant raises, and says what to change."""
    with pytest.raises(ConfigurationError, match=says):
        ResourceMetadata(**options)
