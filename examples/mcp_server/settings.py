"""Hold the settings of the example."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Hold the settings.

    Args:
        issuer: the authorization server of the accepted tokens.
        keys: its public keys; see `JWTVerifier`.
        resource: the URL of the MCP endpoint for clients.
    """

    issuer: str
    keys: object
    resource: str = "http://127.0.0.1:8000/mcp"
