"""What the example can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Who we are, and whom we trust.

    Args:
        issuer: the authorization server, whose tokens are accepted.
        keys: its public keys; see `JWTVerifier`.
        resource: the URL of the MCP endpoint, as clients know it.
    """

    issuer: str
    keys: object
    resource: str = "http://127.0.0.1:8000/mcp"
