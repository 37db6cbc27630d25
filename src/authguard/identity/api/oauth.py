"""Serve the OAuth 2 endpoints, and the documents by which clients find keys and endpoints."""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authguard.errors import RefusedError
from authguard.identity.api.documents import token_document
from authguard.identity.errors import OAuthError
from authguard.identity.model import Caller, Client, KeyClient
from authguard.identity.usecases.refresh import RefreshRequest
from authguard.identity.web.messages import caller_of, json_response, read_form
from authguard.identity.web.parts import Web
from authguard.identity.web.sign_in import sign_in

_KEYS_SECONDS = 300  # for which guards may keep the key set; new keys are published earlier than that
MAX_TOKEN = 16_384
MAX_BASIC = 4096  # characters in base64; ids have 64 characters at most, and secrets 43

# The errors of RFC 6749 section 5.2 for the refusals of use cases, by status.
_OAUTH_ERRORS = {
    401: ("invalid_grant", 400, "The grant is not valid."),
    403: ("invalid_grant", 400, "The grant is not valid."),
    422: ("invalid_request", 400, "A parameter has a value that cannot be used."),
    413: ("invalid_request", 413, "The body is too large."),
    429: ("temporarily_unavailable", 429, "There were too many requests."),
    503: ("temporarily_unavailable", 503, "The service cannot do this at the moment."),
}

#: The paths below each prefix; clients prove who they are in the request itself.
PUBLIC_PATHS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
#: The paths of the documents, which are below no prefix.
WELL_KNOWN_PATHS = (
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)

Endpoint = Callable[[Request], Awaitable[Response]]


class OAuthEndpoints:
    """Answer at the endpoints of an authorization server, without pages.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._service, self._workers = web.service, web.workers

    def routes(self, prefix: str) -> list[BaseRoute]:
        """Return the routes under a prefix."""
        endpoints = (self.token, self.introspect, self.revoke)
        return [
            Route(prefix + path, _with_oauth_errors(endpoint), methods=["POST"])
            for path, endpoint in zip(PUBLIC_PATHS, endpoints, strict=True)
        ]

    def well_known(self) -> list[BaseRoute]:
        """Return the routes of the documents, which are below no prefix."""
        endpoints = (self.key_set, self.metadata, self.openid_configuration)
        return [Route(path, endpoint) for path, endpoint in zip(WELL_KNOWN_PATHS, endpoints, strict=True)]

    async def token(self, request: Request) -> Response:
        """Issue tokens (RFC 6749 section 3.2): password, refresh_token, client_credentials."""
        form = await read_form(request)
        client = await self._client(request, form)
        grant = _required(form, "grant_type")
        if grant == "client_credentials":
            if client is None:
                raise OAuthError("invalid_client", "This grant is for clients that prove who they are.")
            issue = self._service.clients.issue_token
            return json_response(
                await self._workers.read(issue, client, form.get("scope"), caller_of(request))
            )
        if isinstance(client, KeyClient):
            raise OAuthError("unauthorized_client", "API keys have client_credentials, and no other grant.")
        if "scope" in form:
            raise OAuthError("invalid_scope", "The tokens of users have no scopes.")
        client_id = None if client is None else client.id
        if grant == "refresh_token":
            token = _required(form, "refresh_token")
            tokens = await self._web.refreshes.ask(RefreshRequest(token, caller_of(request), client_id))
            return json_response(token_document(tokens))
        if grant == "password" and self._service.settings.password_grant:
            username, password = _required(form, "username"), _required(form, "password")
            tokens = await sign_in(self._web, username, password, caller_of(request), client_id=client_id)
            return json_response(token_document(tokens))
        raise OAuthError("unsupported_grant_type", "The grant type is not one of those in the metadata.")

    async def introspect(self, request: Request) -> Response:
        """Describe a token to a registered client (RFC 7662)."""
        form = await read_form(request)
        client = await self._client(request, form)
        if client is None:
            raise OAuthError("invalid_client", "Introspection is for clients that prove who they are.")
        token = _required(form, "token")
        introspect = self._service.clients.introspect
        return json_response(await self._workers.read(introspect, token, client, caller_of(request)))

    async def revoke(self, request: Request) -> Response:
        """Revoke a token (RFC 7009); 200 for one that is not valid, too."""
        form = await read_form(request)
        client = await self._client(request, form)
        token = _required(form, "token")
        await self._workers.write(self._service.clients.revoke, token, client, caller_of(request))
        return json_response({})

    async def _client(self, request: Request, form: dict[str, str]) -> Client | None:
        """Authenticate the client by Basic or by the form (RFC 6749 section 2.3.1); None for a public one."""
        credentials = _basic(request)
        if credentials is not None and "client_secret" in form:
            raise OAuthError("invalid_request", "Prove who the client is in one way only.")
        if credentials is not None and form.get("client_id", credentials[0]) != credentials[0]:
            raise OAuthError("invalid_client", "The client_id in the form is another than that of Basic.")
        if credentials is None and "client_secret" in form:
            credentials = (_required(form, "client_id"), form["client_secret"])
        if credentials is None:
            if "client_id" in form:
                raise OAuthError("invalid_client", "The client has to prove who it is.")
            return None
        caller: Caller = caller_of(request)
        return await self._workers.count(self._service.clients.authenticate, *credentials, caller)

    async def key_set(self, request: Request) -> Response:
        """Return the public keys (RFC 7517 section 5); none for HS256."""
        keys = await self._workers.read(self._service.keys.public_keys, self._service.clock())
        response = json_response({"keys": keys})
        response.headers["cache-control"] = f"public, max-age={_KEYS_SECONDS}"
        del response.headers["pragma"]
        return response

    async def metadata(self, request: Request) -> Response:
        """Return the metadata of this authorization server (RFC 8414)."""
        return json_response(self._metadata())

    async def openid_configuration(self, request: Request) -> Response:
        """Return the metadata where OpenID Connect Discovery has it; there are no ID tokens."""
        return json_response(
            self._metadata()
            | {
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [self._service.settings.algorithm],
            }
        )

    def _metadata(self) -> dict[str, Any]:
        settings = self._service.settings
        api = f"{settings.issuer}{next(iter(settings.prefixes))}"
        grants = ["refresh_token", "client_credentials"]
        methods = ["client_secret_basic", "client_secret_post"]
        document = {
            "issuer": settings.issuer,
            "token_endpoint": f"{api}/oauth/token",
            "token_endpoint_auth_methods_supported": [*methods, "none"],
            "grant_types_supported": [*(["password"] if settings.password_grant else []), *grants],
            "introspection_endpoint": f"{api}/oauth/introspect",
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint": f"{api}/oauth/revoke",
            "revocation_endpoint_auth_methods_supported": [*methods, "none"],
        }
        if not self._service.keys.is_shared_secret:
            document["jwks_uri"] = f"{settings.issuer}/.well-known/jwks.json"
        return document


def _with_oauth_errors(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint, so that its refusals have the form of RFC 6749 section 5.2."""

    async def with_oauth_errors(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as error:
            if error.status_code not in _OAUTH_ERRORS:
                raise
            code, status, text = _OAUTH_ERRORS[error.status_code]
            response = json_response({"error": code, "error_description": text}, status)
            retry_after = getattr(error, "retry_after", None)
            if retry_after is not None:
                response.headers["retry-after"] = str(int(retry_after))
            return response

    return with_oauth_errors


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if value is None or len(value) > MAX_TOKEN:
        raise OAuthError("invalid_request", f"{name} is required.")
    return value


def _basic(request: Request) -> tuple[str, str] | None:
    fields = request.headers.getlist("authorization")
    if not fields:
        return None
    scheme, _, value = fields[0].partition(" ")
    try:
        if len(fields) > 1 or scheme.lower() != "basic" or len(value) > MAX_BASIC:
            raise ValueError
        client_id, colon, secret = b64decode(value.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise OAuthError("invalid_client", "The Authorization field is not HTTP Basic.") from None
    return unquote_plus(client_id), unquote_plus(secret)
