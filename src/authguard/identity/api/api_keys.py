"""Serve the API keys of an account in the format of the AINative document, and their rotations and states."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard._core.model import Principal
from authguard.identity.api.accounts import principal_of
from authguard.identity.api.answers import FullKey, KeyShown, Message, NewKey
from authguard.identity.api.key_documents import full_key_document, key_document, new_key_document
from authguard.identity.errors import KeyLockedError, KeyNotActiveError, NotFoundError, TooManyKeysError
from authguard.identity.model import APIKeyRequest, Caller, StoredAPIKey
from authguard.identity.openapi.operations import Access, operation
from authguard.identity.web.key_bodies import CreateKey, RotateKey
from authguard.identity.web.messages import (
    caller_of,
    json_response,
    message_response,
    read_json,
    read_optional_json,
)
from authguard.identity.web.parts import Web

_KEYS = "/api-keys"
_KEY = f"{_KEYS}/{{key_id}}"
_ROTATIONS = f"{_KEY}/rotations"
_KEY_LIST = list[KeyShown]
_SWITCH = (NotFoundError, KeyNotActiveError, KeyLockedError)


class APIKeyEndpoints:
    """Serve the endpoints of API keys, under each prefix.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._service, self._workers = web.service, web.workers

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes under a prefix."""
        return [
            Route(prefix + _KEYS, self.create, methods=["POST"]),
            Route(prefix + _KEYS, self.list, methods=["GET"]),
            Route(prefix + _KEY, self.show, methods=["GET"]),
            Route(prefix + _KEY, self.revoke, methods=["DELETE"]),
            Route(f"{prefix}{_KEY}/disable", self.disable, methods=["POST"]),
            Route(f"{prefix}{_KEY}/enable", self.enable, methods=["POST"]),
            Route(prefix + _ROTATIONS, self.rotate, methods=["POST"]),
        ]

    @operation(access=Access.OWNER, json=CreateKey, answers={201: NewKey}, refused=(TooManyKeysError,))
    async def create(self, request: Request) -> Response:
        """Create a key: 201 with its text, which is shown only once."""
        principal = principal_of(request)
        body = await read_json(request, CreateKey)
        wish = APIKeyRequest(
            name=body.name,
            scopes=body.scopes,
            kind=body.kind,
            expires_in_days=body.expires_in_days,
            tier=body.tier,
            metadata=body.metadata,
            networks=body.networks,
        )
        new = await self._workers.write(self._service.api_keys.create, principal, wish, caller_of(request))
        return json_response(new_key_document(new), 201)

    @operation(access=Access.OWNER, answers={200: _KEY_LIST})
    async def list(self, request: Request) -> Response:
        """List all keys of the owner, the newest first."""
        keys = await self._workers.read(self._service.api_keys.list, principal_of(request))
        now = self._service.clock()
        return json_response([key_document(key, now) for key in keys])

    @operation(access=Access.OWNER, answers={200: FullKey}, refused=(NotFoundError,))
    async def show(self, request: Request) -> Response:
        """Show a key with its state and scopes."""
        find, key_id = self._service.api_keys.find, request.path_params["key_id"]
        key = await self._workers.read(find, principal_of(request), key_id)
        return json_response(full_key_document(key, self._service.clock()))

    @operation(access=Access.OWNER, answers={200: FullKey}, refused=_SWITCH)
    async def disable(self, request: Request) -> Response:
        """Disable a key until it is enabled again."""
        return await self._switch(request, self._service.api_keys.disable)

    @operation(access=Access.OWNER, answers={200: FullKey}, refused=_SWITCH)
    async def enable(self, request: Request) -> Response:
        """Enable a key."""
        return await self._switch(request, self._service.api_keys.enable)

    async def _switch(
        self, request: Request, switch: Callable[[Principal, str, Caller], StoredAPIKey]
    ) -> Response:
        key_id = request.path_params["key_id"]
        key = await self._workers.write(switch, principal_of(request), key_id, caller_of(request))
        return json_response(full_key_document(key, self._service.clock()))

    @operation(access=Access.OWNER, answers={200: Message}, refused=(NotFoundError,))
    async def revoke(self, request: Request) -> Response:
        """Revoke a key; it stays in the lists, with its state."""
        revoke = self._service.api_keys.revoke
        key_id = request.path_params["key_id"]
        await self._workers.write(revoke, principal_of(request), key_id, caller_of(request))
        return message_response("API key revoked successfully")

    @operation(
        access=Access.OWNER,
        json=RotateKey,
        needs_body=False,
        answers={201: NewKey},
        refused=(NotFoundError, KeyNotActiveError),
    )
    async def rotate(self, request: Request) -> Response:
        """Rotate the secret of a key: 201 with its new text, which is shown only once.

        The id stays the same.
        """
        principal = principal_of(request)
        body = await read_optional_json(request, RotateKey)
        new = await self._workers.write(
            self._service.api_keys.rotate,
            principal,
            request.path_params["key_id"],
            activate=body.activate,
            grace_seconds=body.grace_seconds,
            caller=caller_of(request),
        )
        return json_response(new_key_document(new), 201)
