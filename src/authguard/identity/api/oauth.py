"""Serve the OAuth 2 endpoints, and the documents in which clients find keys and endpoints."""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, request_response

from authguard.errors import RefusedError
from authguard.identity.api.answers import GrantedToken, Introspection, KeySetShown, Metadata, Nothing
from authguard.identity.api.documents import token_document
from authguard.identity.api.oauth_forms import IntrospectionForm, RevocationForm, TokenForm
from authguard.identity.errors import OAuthError, PayloadTooLargeError, StoreUnavailableError
from authguard.identity.model import Client, KeyClient
from authguard.identity.openapi.operations import Access, operation
from authguard.identity.reasons import Flow
from authguard.identity.usecases.refresh import RefreshRequest
from authguard.identity.web.messages import caller_of, json_response, read_form
from authguard.identity.web.parts import Web
from authguard.identity.web.sign_in import sign_in

# seconds for which guards may cache the key set; new keys are published earlier than that
_KEYS_SECONDS = 300
MAX_TOKEN = 16_384
_TOKEN_SCHEMES = ("bearer", "dpop")
MAX_BASIC = 4096  # characters in base64; ids have 64 characters at most, and secrets 43

# The errors of RFC 6749 section 5.2 for refusals of use cases, by status.
_OAUTH_ERRORS = {
    401: ("invalid_grant", 400, "The grant is not valid."),
    403: ("invalid_grant", 400, "The grant is not valid."),
    422: ("invalid_request", 400, "A parameter has a value that cannot be used."),
    413: ("invalid_request", 413, "The body is too large."),
    429: ("temporarily_unavailable", 429, "There were too many requests."),
    503: ("temporarily_unavailable", 503, "The service cannot do this at the moment."),
}

_OAUTH_STATUSES = (400, 401, 413, 429, 503)

#: The paths below each prefix; clients authenticate in the request itself.
PUBLIC_PATHS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
METADATA = "/.well-known/oauth-authorization-server"
#: The paths of the documents, which have no prefix.
WELL_KNOWN_PATHS = (
    "/.well-known/jwks.json",
    METADATA,
)

# Refusals that may come from a use case, which has recorded them, or from this module.
_UNRECORDED = (OAuthError, PayloadTooLargeError)
#: The events of grants; a request without one of these grants is recorded as that of a client.
_FLOWS = {
    "password": Flow.LOGIN,
    "refresh_token": Flow.REFRESH,
    "client_credentials": Flow.CLIENT_CREDENTIALS,
}

Endpoint = Callable[[Request], Awaitable[Response]]


class OAuthEndpoints:
    """Serve the endpoints of an authorization server, without pages.

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
        """Return the routes of the documents, which have no prefix."""
        return [
            Route(path, self.key_set if path == WELL_KNOWN_PATHS[0] else self.metadata)
            for path in well_known_paths(self._service.settings.issuer)
        ]

    def outside_of_mount(self) -> list[BaseRoute]:
        """Return the route of the metadata for an issuer with a path, where clients look for it."""
        return [
            Route(
                path,
                CORSMiddleware(request_response(self.metadata), allow_origins=["*"], allow_headers=["*"]),
            )
            for path in well_known_paths(self._service.settings.issuer)[len(WELL_KNOWN_PATHS) :]
        ]

    @operation(access=Access.CLIENT, form=TokenForm, answers={200: GrantedToken}, oauth=_OAUTH_STATUSES)
    async def token(self, request: Request) -> Response:
        """Issue tokens (RFC 6749 section 3.2): password, refresh_token, client_credentials."""
        form: dict[str, str] = {}
        try:
            form = await read_form(request)
            return await self._token(request, form)
        except _UNRECORDED as error:
            await self._record(request, _FLOWS.get(form.get("grant_type", ""), Flow.CLIENT), error)
            raise

    async def _token(self, request: Request, form: dict[str, str]) -> Response:
        client = await self._client(request, form)
        grant = _required(form, "grant_type")
        if grant == "client_credentials":
            if client is None:
                raise OAuthError("invalid_client", "This grant is for authenticated clients.")
            if client.is_public:
                raise OAuthError("unauthorized_client", "This grant is for clients that have a secret.")
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

    @operation(
        access=Access.CLIENT, form=IntrospectionForm, answers={200: Introspection}, oauth=_OAUTH_STATUSES
    )
    async def introspect(self, request: Request) -> Response:
        """Describe a token to a registered client (RFC 7662)."""
        try:
            form = await read_form(request)
            client = await self._client(request, form)
            if client is None or client.is_public:
                raise OAuthError("invalid_client", "Introspection is for authenticated clients.")
            token = _required(form, "token")
        except _UNRECORDED as error:
            await self._record(request, Flow.INTROSPECT, error)
            raise
        introspect = self._service.clients.introspect
        return json_response(await self._workers.read(introspect, token, client, caller_of(request)))

    @operation(access=Access.CLIENT, form=RevocationForm, answers={200: Nothing}, oauth=_OAUTH_STATUSES)
    async def revoke(self, request: Request) -> Response:
        """Revoke a token (RFC 7009); the answer is 200 for an invalid token, too."""
        try:
            form = await read_form(request)
            client = await self._client(request, form)
            token = _required(form, "token")
        except _UNRECORDED as error:
            await self._record(request, Flow.REVOKE, error)
            raise
        await self._workers.write(self._service.clients.revoke, token, client, caller_of(request))
        return json_response({})

    async def _record(self, request: Request, flow: Flow, error: OAuthError | RefusedError) -> None:
        """Record a request that was refused, unless its use case has recorded it."""
        record, caller = self._service.clients.record_refusal, caller_of(request)
        try:
            # The event is recorded in a thread, because the hook of the application may block.
            await self._workers.count(record, flow, caller, error)
        except StoreUnavailableError:  # too many requests wait
            record(flow, caller, error)

    async def _client(self, request: Request, form: dict[str, str]) -> Client | None:
        """Authenticate the client by Basic or by the form (RFC 6749 section 2.3.1).

        None if no client is named.

        An empty secret counts as no secret. A client without one is public, and is looked up by its id.
        """
        credentials, has_token = _basic(request)
        if "client_secret" in form and (credentials is not None or has_token):
            raise OAuthError("invalid_request", "Use only one way of client authentication.")
        if credentials is not None and form.get("client_id", credentials[0]) != credentials[0]:
            raise OAuthError("invalid_client", "The client_id in the form is another than that of Basic.")
        if credentials is None:
            if "client_secret" not in form and "client_id" not in form:
                return None
            credentials = (_required(form, "client_id"), form.get("client_secret", ""))
        client_id, secret = credentials
        clients, caller = self._service.clients, caller_of(request)
        if not secret:
            return await self._workers.count(clients.identify, client_id, caller)
        return await self._workers.count(clients.authenticate, client_id, secret, caller)

    @operation(answers={200: KeySetShown})
    async def key_set(self, request: Request) -> Response:
        """Return the public keys (RFC 7517 section 5); none for HS256."""
        keys = await self._workers.read(self._service.keys.public_keys, self._service.clock())
        response = json_response({"keys": keys})
        response.headers["cache-control"] = f"public, max-age={_KEYS_SECONDS}"
        del response.headers["pragma"]
        return response

    @operation(answers={200: Metadata}, stores=False)
    async def metadata(self, request: Request) -> Response:
        """Return the metadata of this authorization server (RFC 8414)."""
        return json_response(self._metadata())

    def _metadata(self) -> dict[str, Any]:
        settings = self._service.settings
        api = f"{settings.issuer}{next(iter(settings.prefixes))}"
        grants = ["refresh_token", "client_credentials"]
        methods = ["client_secret_basic", "client_secret_post"]
        document = {
            "issuer": settings.issuer,
            "token_endpoint": f"{api}/oauth/token",
            # Required, and never an empty list (RFC 8414 sections 2 and 3.2), because this server has no
            # authorization endpoint.
            "response_types_supported": ["none"],
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


def well_known_paths(issuer: str) -> list[str]:
    """Return the paths of the documents, including that of RFC 8414 section 3.1 for an issuer with a path."""
    path = unquote(urlsplit(issuer).path)
    return [*WELL_KNOWN_PATHS, *([METADATA + path] if path else [])]


def _with_oauth_errors(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint, so that its refusals have the format of RFC 6749 section 5.2."""

    @wraps(endpoint)  # `wraps` also copies the description of the operation
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


def _basic(request: Request) -> tuple[tuple[str, str] | None, bool]:
    """Return the id and secret of HTTP Basic, and whether the field has an access token instead.

    Pages send their access token with each request, even if it has expired; it does not identify the client.
    Swagger UI sends an empty id and an empty secret if its form was not filled in.
    """
    fields = request.headers.getlist("authorization")
    if not fields:
        return None, False
    scheme, _, value = fields[0].partition(" ")
    if len(fields) == 1 and scheme.lower() in _TOKEN_SCHEMES:
        return None, True
    try:
        if len(fields) > 1 or scheme.lower() != "basic" or len(value) > MAX_BASIC:
            raise ValueError
        client_id, colon, secret = b64decode(value.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise OAuthError("invalid_client", "The Authorization field is not HTTP Basic.") from None
    named = (unquote_plus(client_id), unquote_plus(secret))
    return (named if any(named) else None), False
