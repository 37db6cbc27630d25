"""Serve an MCP server behind a guard, with notes of each caller.

The guard is around the whole server, so only callers with a token for this resource reach the
tools. A client finds the issuer of such a token in the metadata that the guard serves and names
in its refusals (RFC 9728).
"""

from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from starlette.applications import Starlette

from authguard import Guard, JWTVerifier, Principal, ResourceMetadata
from authguard.asgi import AuthGuardMiddleware
from authguard.starlette import current_principal

from .settings import Settings

READ, WRITE = "notes:read", "notes:write"


def build_guard(settings: Settings) -> Guard:
    """Accept the issuer's tokens, if they are for this resource (RFC 8707)."""
    jwt = JWTVerifier(settings.keys, algorithms=["ES256"], issuer=settings.issuer, audience=settings.resource)
    resource = ResourceMetadata(
        settings.resource, [settings.issuer], scopes_supported=[READ, WRITE], resource_name="Notes"
    )
    return Guard(jwt, resource=resource)


def create_app(settings: Settings) -> Starlette:
    """Build an application; applications share no state."""
    server = MCPServer("Notes")
    notes: dict[str, list[str]] = {}
    _add_tools(server, notes)
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    app.add_middleware(AuthGuardMiddleware, guard=build_guard(settings))
    return app


def _add_tools(server: MCPServer[Any], notes: dict[str, list[str]]) -> None:
    @server.tool()
    def read_notes(context: Context) -> list[str]:
        """Return all notes of the caller."""
        return notes.get(_caller(context, READ).subject, [])

    @server.tool()
    def write_note(text: str, context: Context) -> int:
        """Store a note, and return the number of notes of the caller."""
        mine = notes.setdefault(_caller(context, WRITE).subject, [])
        mine.append(text)
        return len(mine)


def _caller(context: Context, scope: str) -> Principal:
    """Return the caller of a tool, and check a scope: all tools have the same path."""
    principal = current_principal(context.request_context.request)
    if scope not in principal.scopes:
        raise ToolError(f"this needs the scope {scope}")
    return principal
