"""Serve the API keys of an account in the format of the Invora document, and the usage of all of them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.identity.api.accounts import principal_of
from authguard.identity.api.answers import NewPair, Pairs, Success, UsageShown
from authguard.identity.api.key_documents import new_pair_document, pair_document, usage_document
from authguard.identity.errors import NotFoundError, TooManyKeysError
from authguard.identity.model import APIKeyRequest
from authguard.identity.openapi.operations import Access, operation
from authguard.identity.web.key_bodies import CreateKeyPair
from authguard.identity.web.messages import caller_of, json_response, read_optional_json
from authguard.identity.web.parts import Web

_KEYS = "/auth/api-keys"
_KEY = f"{_KEYS}/{{key_id}}"
_USAGE = "/auth/usage"


class KeyPairEndpoints:
    """Serve the endpoints of keys with a client secret, under each prefix.

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
            Route(prefix + _KEY, self.revoke, methods=["DELETE"]),
            Route(prefix + _USAGE, self.usage, methods=["GET"]),
        ]

    @operation(
        access=Access.OWNER,
        json=CreateKeyPair,
        needs_body=False,
        answers={201: NewPair},
        refused=(TooManyKeysError,),
    )
    async def create(self, request: Request) -> Response:
        """Create a key with a client secret: 201 with both, which are shown only once."""
        principal = principal_of(request)
        body = await read_optional_json(request, CreateKeyPair)
        wish = APIKeyRequest(name=body.name, scopes=body.permissions, kind="claw")
        new = await self._workers.write(self._service.api_keys.create, principal, wish, caller_of(request))
        return json_response(new_pair_document(new), 201)

    @operation(access=Access.OWNER, answers={200: Pairs})
    async def list(self, request: Request) -> Response:
        """List all keys of the owner, the newest first."""
        keys = await self._workers.read(self._service.api_keys.list, principal_of(request))
        now = self._service.clock()
        return json_response({"keys": [pair_document(key, now) for key in keys]})

    @operation(access=Access.OWNER, answers={200: Success}, refused=(NotFoundError,))
    async def revoke(self, request: Request) -> Response:
        """Revoke a key."""
        revoke = self._service.api_keys.revoke
        key_id = request.path_params["key_id"]
        await self._workers.write(revoke, principal_of(request), key_id, caller_of(request))
        return json_response({"success": True})

    @operation(access=Access.OWNER, answers={200: UsageShown})
    async def usage(self, request: Request) -> Response:
        """Return how many requests the keys of the owner have made, and their limits."""
        usage = await self._workers.read(self._service.api_keys.usage, principal_of(request))
        return json_response(usage_document(usage))
