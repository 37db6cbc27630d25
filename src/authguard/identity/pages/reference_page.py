"""Serve the page that displays the OpenAPI document without scripts."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard._core.memory import Memory
from authguard.identity.openapi.document import DOCUMENT, ServiceDocument
from authguard.identity.pages.views import Views
from authguard.identity.settings import Settings
from authguard.identity.web.messages import page_path

#: The path of the page, below `Settings.pages_path`.
REFERENCE_PAGE = "/docs"
_METHODS = ("get", "post", "delete")
_REMEMBERED = 8  # mount points; a server has one, but some proxies let callers name others


class ReferencePage:
    """Show each endpoint with its input and answers.

    Args:
        settings: determine whether the page is switched on.
        views: builds the responses.
        document: the OpenAPI document.
    """

    def __init__(self, settings: Settings, views: Views, document: ServiceDocument) -> None:
        self._settings, self._views, self._document = settings, views, document
        # The rendered pages by mount point, because rendering blocks the event loop for some time, and any
        # caller may request the page.
        self._rendered: Memory[str, bytes] = Memory(_REMEMBERED)

    def routes(self) -> list[Route]:
        """Return the route; none if the document is switched off."""
        if not self._settings.openapi:
            return []
        return [Route(self._settings.pages_path + REFERENCE_PAGE, self.reference_page, methods=["GET"])]

    async def reference_page(self, request: Request) -> Response:
        """Show the document."""
        mount = request.scope.get("root_path") or ""
        html = self._rendered.get(mount)
        if html is None:
            html = self._render(request)
            self._rendered.put(mount, html)
        return self._views.html(html)

    def _render(self, request: Request) -> bytes:
        content = self._document.content
        values: dict[str, Any] = {
            "document": content,
            "document_path": page_path(request, "", DOCUMENT),
            "groups": [(tag, list(_operations(content, tag["name"]))) for tag in content["tags"]],
            "type_of": type_text,
            "notice": "",  # the page is the same for all queries
        }
        return bytes(self._views.page(request, "reference", **values).body)


def _operations(content: Mapping[str, Any], tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield method, path and description of the operations of a group."""
    for path, operations in content["paths"].items():
        for method in _METHODS:
            if method in operations and tag in operations[method]["tags"]:
                yield method.upper(), path, operations[method]


def type_text(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(type_text, schema["anyOf"]))
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return " or ".join(f'"{value}"' for value in values)
    if schema.get("type") == "array":
        return f"list of {type_text(schema['items'])}" if schema.get("items") else "list"
    if "format" in schema:
        return f"{schema['type']} ({schema['format']})"
    return str(schema.get("type", "any value"))
