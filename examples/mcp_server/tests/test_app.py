"""Test the server over a real socket, with the client and authorization server of the `mcp` package."""

import asyncio
import secrets
import socket
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import AuthorizationCode, construct_redirect_uri
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette

from authguard.testing import issue_token
from mcp_server.app import READ, WRITE, create_app
from mcp_server.settings import Settings

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
REDIRECT = "http://127.0.0.1:1/callback"


@contextmanager
def listening():
    """Return a socket on a free port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield listener


@contextmanager
def serving(app, listener):
    """Run uvicorn in a thread with an event loop of its own."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        assert server.started
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def address(listener):
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Accounts:
    """Implement the provider for the authorization server of the `mcp` package: every user is Ada."""

    def __init__(self, issuer):
        self.issuer, self.clients, self.codes = issuer, {}, {}

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        code = secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=True,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        token = issue_token(
            KEY,
            algorithm="ES256",
            subject="ada",
            scopes=authorization_code.scopes,
            iss=self.issuer,
            aud=authorization_code.resource,
            client_id=client.client_id,
        )
        return OAuthToken(access_token=token, expires_in=300, scope=" ".join(authorization_code.scopes))


def authorization_server(issuer):
    """Return an application with the routes of the `mcp` package."""
    options = ClientRegistrationOptions(enabled=True, valid_scopes=[READ, WRITE])
    return Starlette(
        routes=create_auth_routes(Accounts(issuer), AnyHttpUrl(issuer), client_registration_options=options)
    )


@pytest.fixture(scope="module", name="settings")
def _settings():
    with listening() as first, listening() as two:
        # The issuer in the spelling of the package, which its client compares.
        issuer = str(AnyHttpUrl(address(first)))
        settings = Settings(issuer=issuer, keys=PUBLIC, resource=address(two) + "/mcp")
        with serving(authorization_server(issuer), first), serving(create_app(settings), two):
            yield settings


class Storage:
    """Store the registration and tokens of a client; empty at first."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def token(settings, **claims):
    """Return a token for this server; other claims or another key make it invalid."""
    good = {"iss": settings.issuer, "aud": settings.resource, "scopes": [READ], "subject": "bob"}
    return issue_token(claims.pop("key", KEY), algorithm="ES256", **(good | claims))


@asynccontextmanager
async def connected(settings, **options):
    """Yield the client of the package, and the list of its requests."""
    seen = []

    async def note(response):
        seen.append((response.request.method, str(response.request.url), response.status_code))

    async with (
        httpx2.AsyncClient(event_hooks={"response": [note]}, **options) as http,
        Client(streamable_http_client(settings.resource, http_client=http)) as client,
    ):
        yield client, seen


def bearer(text):
    return {"headers": {"authorization": f"Bearer {text}"}}


@pytest.mark.slow
def test_a_client_with_a_token_calls_tools(settings):
    """A tool knows its caller."""

    async def main():
        writer = token(settings, scopes=[READ, WRITE])
        async with connected(settings, **bearer(writer)) as (client, _):
            assert (await client.call_tool("write_note", {"text": "hi"})).structured_content == {"result": 1}
            assert (await client.call_tool("read_notes", {})).structured_content == {"result": ["hi"]}
        async with connected(settings, **bearer(token(settings, subject="eve"))) as (client, _):
            assert (await client.call_tool("read_notes", {})).structured_content == {"result": []}
            refused = await client.call_tool("write_note", {"text": "hi"})
            assert refused.is_error
            assert WRITE in refused.content[0].text

    asyncio.run(main())


@pytest.mark.parametrize(
    "claims",
    [
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"aud": "https://other.example/mcp"},
        {"iss": "https://other.example"},
        {"expires_in": -60},
        {"cnf": {"jkt": "x"}},
    ],
    ids=["forged", "for another server", "of another issuer", "expired", "bound"],
)
def test_a_bad_token_is_refused(settings, claims):
    """The server never sees a request with an invalid token; the refusal names the metadata."""
    response = httpx2.post(settings.resource, json={}, **bearer(token(settings, **claims)))
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert 'resource_metadata="http://127.0.0.1:' in response.headers["www-authenticate"]


def test_a_client_finds_its_way_by_itself(settings):
    """A client follows the 401 to the metadata, then to the issuer, gets a token, and calls the tool."""
    storage = Storage()
    answers = []

    async def open_browser(url):
        async with httpx2.AsyncClient() as browser:
            location = (await browser.get(url)).headers["location"]
        answers.append(parse_qs(urlsplit(location).query))

    async def come_back():
        (answer,) = answers
        return AuthorizationCodeResult(code=answer["code"][0], state=answer["state"][0])

    metadata = OAuthClientMetadata(client_name="Test", redirect_uris=[REDIRECT])

    async def main():
        auth = OAuthClientProvider(settings.resource, metadata, storage, open_browser, come_back)
        async with connected(settings, auth=auth) as (client, seen):
            await client.call_tool("write_note", {"text": "found it"})
            assert (await client.call_tool("read_notes", {})).structured_content == {"result": ["found it"]}
        return seen

    seen = asyncio.run(main())
    base, issuer = settings.resource.removesuffix("/mcp"), settings.issuer.rstrip("/")
    assert seen[0] == ("POST", settings.resource, 401)
    assert [url for _, url, _ in seen][1:5] == [
        f"{base}/.well-known/oauth-protected-resource/mcp",
        f"{issuer}/.well-known/oauth-authorization-server",
        f"{issuer}/register",
        f"{issuer}/token",
    ]
    assert all(status < 300 for _, _, status in seen[1:])
    claims = jwt.decode(storage.tokens.access_token, options={"verify_signature": False})
    assert (claims["aud"], claims["scope"]) == (settings.resource, f"{READ} {WRITE}")


def test_scripts_of_any_site_may_read_the_metadata(settings):
    """A browser allows scripts of any site to request and to read the metadata."""
    url = settings.resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
    origin = {"origin": "https://inspector.example"}
    asks = {
        **origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "mcp-protocol-version",
    }
    for response in (httpx2.options(url, headers=asks), httpx2.get(url, headers=origin)):
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "*")
    assert response.json() == {
        "resource": settings.resource,
        "authorization_servers": [settings.issuer],
        "scopes_supported": [READ, WRITE],
        "bearer_methods_supported": ["header"],
        "resource_name": "Notes",
    }
