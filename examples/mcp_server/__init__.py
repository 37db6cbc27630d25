"""Serve an MCP server behind a guard."""
