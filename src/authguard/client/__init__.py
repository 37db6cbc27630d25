"""Call a protected API: `httpx.Auth` classes for tokens and API keys, and key rotation."""

from authguard.client.bearer import BearerAuth
from authguard.client.key import APIKeyAuth
from authguard.client.rotation import rotate_api_key

__all__ = ["APIKeyAuth", "BearerAuth", "rotate_api_key"]
