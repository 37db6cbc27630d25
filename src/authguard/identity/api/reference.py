"""Serve the OpenAPI document of the service."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.identity.api.answers import AnyDocument
from authguard.identity.openapi.document import DOCUMENT, ServiceDocument
from authguard.identity.openapi.operations import operation

_SECONDS = 300  # seconds for which clients may cache the document; an upgrade may change it
_HEADERS: Mapping[str, str] = {
    "cache-control": f"public, max-age={_SECONDS}",
    "x-content-type-options": "nosniff",
}


class DocumentEndpoint:
    """Serve the document, without authentication.

    Args:
        document: the document.
    """

    def __init__(self, document: ServiceDocument) -> None:
        self._document = document

    def routes(self) -> list[Route]:
        """Return the route, which has no prefix."""
        return [Route(DOCUMENT, self.read, methods=["GET"])]

    @operation(answers={200: AnyDocument}, stores=False)
    async def read(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        return Response(self._body, 200, _HEADERS, "application/json")

    @cached_property
    def _body(self) -> bytes:
        content: dict[str, Any] = self._document.content
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
