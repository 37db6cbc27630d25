"""`httpx.Auth` classes that present a token or an API key, for callers of a protected API."""

from authguard.client.bearer import APIKeyAuth, BearerAuth

__all__ = ["APIKeyAuth", "BearerAuth"]
