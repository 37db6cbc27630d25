"""An MCP server behind the guard."""
